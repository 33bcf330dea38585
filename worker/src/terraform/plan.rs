//! The plan job: `init`, `plan` into a file, and what people and the apply need of it.

use super::backend::Backend;
use super::bundle::{self, Origin};
use super::init::{self, LockFile};
use super::prepare::{storage, text};
use super::{Unfinished, Workplace, commands::Commands, private_file, step::Step, summary};
use crate::tools::ResolvedTool;
use proto::terraform::{PlanSummary, ToolUsed};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Where the tool records which provider versions it chose.
pub(super) const LOCK_FILE: &str = ".terraform.lock.hcl";
/// Longest plan file, in bytes: it is sealed in memory.
const MAX_PLAN: u64 = 128 * 1024 * 1024;
const MAX_LOCK_FILE: u64 = 1024 * 1024;
/// Longest JSON text of a plan, in bytes.
const MAX_JSON: usize = 128 * 1024 * 1024;

/// A plan, ready to be stored.
#[derive(PartialEq, Eq)]
pub struct Planned {
    /// The plan file and what belongs to it. Holds secrets in the clear: seal it before it goes anywhere.
    pub bundle: Vec<u8>,
    /// SHA-256 of the plan file, hex. What an approval is bound to.
    pub plan_sha256: String,
    pub tool: ToolUsed,
    pub summary: PlanSummary,
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bundle = format_args!("{} bytes", self.bundle.len());
        f.debug_struct("Planned")
            .field("bundle", &bundle)
            .field("plan_sha256", &self.plan_sha256)
            .field("tool", &self.tool)
            .field("summary", &self.summary)
            .finish()
    }
}

/// Makes the plan. Changes nothing but, where it is new, adding the workspace to the backend.
pub async fn plan<C: Commands>(commands: &mut C, place: &Workplace<'_>, tool: &ResolvedTool) -> Result<Planned, Unfinished> {
    say_version(commands, tool).await;
    let backend = init::init(commands, place, tool, LockFile::MayChange).await?;
    if backend == Backend::Checkout {
        warn_about_state(commands, tool).await;
    }
    init::select_workspace(commands, place, tool, true).await?;
    commands.phase(Step::Plan.phase()).await;
    let file = place.private("plan");
    run(commands, place, tool, &file).await?;
    let summary = summarise(commands, place, tool, &file).await?;
    let plan = read(&file, MAX_PLAN).map_err(|error| storage(&error))?;
    let lock_file = lock_file(place.dir()).map_err(|error| storage(&error))?;
    let origin = Origin::new(place.order.spec, place.order.commit, &tool.used);
    // It holds secrets, and is of no use any more.
    std::fs::remove_file(&file).map_err(|error| storage(&error))?;
    let bundle = bundle::pack(origin, &plan, lock_file.as_deref());
    Ok(Planned { bundle, plan_sha256: bundle::digest(&plan), tool: tool.used.clone(), summary })
}

async fn say_version<C: Commands>(commands: &mut C, tool: &ResolvedTool) {
    let by = if tool.asked_by == "nobody" { "the worker's default".to_owned() } else { format!("asked for by {}", tool.asked_by) };
    commands.narrate(&format!("Using {} {} ({by})", tool.used.tool, tool.used.version)).await;
}

async fn warn_about_state<C: Commands>(commands: &mut C, tool: &ResolvedTool) {
    let name = tool.used.tool;
    commands
        .narrate(&format!("⚠ This configuration names no backend: {name} keeps its state in the checkout, which is deleted after the job."))
        .await;
    commands.narrate("  Nothing will remember what was made, and the next run makes it again. Add a `backend` or `cloud` block to the `terraform` block, such as `backend \"s3\" {}`, and give its settings in backend_config.").await;
}

async fn run<C: Commands>(commands: &mut C, place: &Workplace<'_>, tool: &ResolvedTool, file: &Path) -> Result<(), Unfinished> {
    let (name, spec) = (tool.used.tool.as_str(), place.order.spec);
    commands.narrate(&format!("Running {name} plan...")).await;
    if !spec.plan_args.is_empty() {
        commands.narrate(&format!("Using custom plan flags: {}", spec.plan_args.join(" "))).await;
    }
    for file in &spec.tfvars_files {
        commands.narrate(&format!("Using tfvars file: {file}")).await;
    }
    // Ours come last: of two contradicting options the tool takes the later one. Waiting for a lock may be changed.
    let mut args = vec!["plan".to_owned(), format!("-lock-timeout={}s", place.order.setup.lock_timeout.as_secs())];
    args.extend(spec.plan_args.iter().cloned());
    args.extend(spec.tfvars_files.iter().map(|file| format!("-var-file={file}")));
    if spec.destroy {
        args.push("-destroy".to_owned());
    }
    args.extend(["-input=false".to_owned(), format!("-out={}", text(file)?)]);
    let ran = commands.stream(place.command(tool, args)).await.map_err(|error| Step::Plan.not_run(&error))?;
    Step::Plan.check(name, &ran, |text| commands.mask(text))
}

async fn summarise<C: Commands>(
    commands: &mut C,
    place: &Workplace<'_>,
    tool: &ResolvedTool,
    file: &Path,
) -> Result<PlanSummary, Unfinished> {
    let args = vec!["show".to_owned(), "-json".to_owned(), text(file)?.to_owned()];
    let unreadable = |why: String| {
        Step::Plan.failed(
            Some("plan_summary"),
            &format!("the plan could not be read back: {why}"),
            "Nothing was changed. Read the log and run it again.",
        )
    };
    let shown = commands.capture(place.command(tool, args), MAX_JSON).await.map_err(|error| Step::Plan.not_run(&error))?;
    match shown.exit.code {
        Some(0) => {}
        code if shown.exit.interrupted => return Err(Unfinished::Stopped { clean: code.is_some() }),
        code => return Err(unreadable(format!("`{} show -json` ended with {code:?}", tool.used.tool))),
    }
    summary::summarise(&shown.stdout, &|text| commands.mask(text))
        .map_err(|error| unreadable(format!("line {}, column {}", error.line(), error.column())))
}

fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{} is larger than {limit} bytes", path.display())));
    }
    Ok(content)
}

/// The lock file as `init` left it, when there is one.
fn lock_file(dir: &Path) -> io::Result<Option<Vec<u8>>> {
    match read(&dir.join(LOCK_FILE), MAX_LOCK_FILE) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts the plan's own lock file into a checkout, over the one that the commit brought.
pub(super) fn place_lock_file(dir: &Path, content: &[u8]) -> io::Result<()> {
    let path = dir.join(LOCK_FILE);
    // Removed first: writing through a link would write elsewhere.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    private_file::write(&path, content)
}
