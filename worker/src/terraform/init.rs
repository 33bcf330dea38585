//! `init` and the choice of the workspace: the same for plan and apply.

use super::prepare::{storage, text};
use super::{
    Unfinished, Workplace,
    backend::{self, Backend},
    commands::{Commands, Streamed, ToolCommand},
    diagnosis,
    step::Step,
};
use crate::git::{ModuleLogin, Source};
use crate::tools::ResolvedTool;

/// Whether `init` may choose other provider versions than the lock file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockFile {
    MayChange,
    /// The one that came with the plan.
    Fixed,
}

impl Workplace<'_> {
    /// One command of the tool in the working directory.
    pub(super) fn command(&self, tool: &ResolvedTool, args: Vec<String>) -> ToolCommand {
        let env = self.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        ToolCommand { program: tool.program.clone(), args, env, cwd: self.dir().to_owned(), effects: false }
    }
}

/// Runs `init`.
pub(super) async fn init<C: Commands>(
    commands: &mut C,
    place: &Workplace<'_>,
    tool: &ResolvedTool,
    lock: LockFile,
) -> Result<Backend, Unfinished> {
    commands.phase(Step::Init.phase()).await;
    let name = tool.used.tool.as_str();
    commands.narrate(&format!("Running {name} init...")).await;
    if !place.order.spec.init_args.is_empty() {
        commands.narrate(&format!("Using custom init flags: {}", place.order.spec.init_args.join(" "))).await;
    }
    let mut command = place.command(tool, arguments(place, lock)?);
    // Only this command fetches modules, so only it gets the login, and the login's files end with it.
    let login = module_login(place)?;
    if !login.env().is_empty() {
        commands.narrate(&format!("Modules from {} may use the run's git_auth", place.order.spec.git_url.host())).await;
        command.env.retain(|(name, _)| login.env().iter().all(|(ours, _)| name != ours));
        command.env.extend(login.env().iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    let ran = with_cache(commands, place, command).await?;
    drop(login);
    Step::Init.check(name, &ran, |text| commands.mask(text))?;
    backend::after_init(place)
}

fn module_login(place: &Workplace<'_>) -> Result<ModuleLogin, Unfinished> {
    let (setup, auth) = (place.order.setup, place.order.secrets.and_then(|secrets| secrets.git_auth.as_ref()));
    let source = Source { url: &place.order.spec.git_url, auth };
    ModuleLogin::prepare(source, &setup.askpass, place.order.scratch, &setup.pass_env).map_err(|error| {
        Step::Init.failed(Some("git_auth"), &error.to_string(), "Check git_auth, or ask an operator to look at the worker.")
    })
}

fn arguments(place: &Workplace<'_>, lock: LockFile) -> Result<Vec<String>, Unfinished> {
    let mut args = vec!["init".to_owned()];
    // Ours come last: of two contradicting options the tool takes the later one.
    for arg in &place.order.spec.init_args {
        let chooses = arg == "-upgrade" || arg.starts_with("-upgrade=") || arg.starts_with("-lockfile=");
        if lock == LockFile::MayChange || !chooses {
            args.push(arg.clone());
        }
    }
    if let Some(file) = &place.backend_file {
        args.push(format!("-backend-config={}", text(file)?));
    }
    if lock == LockFile::Fixed {
        args.push("-lockfile=readonly".to_owned());
    }
    args.push("-input=false".to_owned());
    Ok(args)
}

/// With the provider cache if its turn can be had, else without it.
async fn with_cache<C: Commands>(commands: &mut C, place: &Workplace<'_>, command: ToolCommand) -> Result<Streamed, Unfinished> {
    let not_run = |error| Step::Init.not_run(&error);
    let without = |mut command: ToolCommand| {
        command.env.retain(|(name, _)| name != "TF_PLUGIN_CACHE_DIR");
        command
    };
    let Some(cache) = &place.order.setup.plugin_cache else { return commands.stream(command).await.map_err(not_run) };
    let Some(turn) = cache.turn().await else {
        commands.narrate("The provider cache is busy: going on without it").await;
        return commands.stream(without(command)).await.map_err(not_run);
    };
    let ran = commands.stream(command.clone()).await.map_err(not_run)?;
    if ran.exit.code == Some(0) {
        if let Err(error) = cache.detach(&turn, place.dir()).await {
            return Err(storage(&error).into());
        }
        return Ok(ran);
    }
    drop(turn);
    // Something that does not keep to the turns, such as an operator's own terminal, runs a cached provider.
    let busy = !ran.exit.interrupted && diagnosis::read(&ran.tail, |text| commands.mask(text)).speaks_of(&["text file busy"]);
    if !busy {
        return Ok(ran);
    }
    commands.narrate("A provider in the cache is in use: trying again without the cache").await;
    commands.stream(without(command)).await.map_err(not_run)
}

/// Chooses the workspace. `create`: make it when it is not there.
pub(super) async fn select_workspace<C: Commands>(
    commands: &mut C,
    place: &Workplace<'_>,
    tool: &ResolvedTool,
    create: bool,
) -> Result<(), Unfinished> {
    let workspace = &place.order.spec.workspace;
    if workspace == "default" {
        return Ok(());
    }
    commands.narrate(&format!("Selecting workspace {workspace}...")).await;
    let mut args = vec!["workspace".to_owned(), "select".to_owned()];
    if create {
        args.push("-or-create".to_owned());
    }
    // A name that begins with a dash is refused where the spec is made.
    args.push(workspace.clone());
    let ran = commands.stream(place.command(tool, args)).await.map_err(|error| Step::Init.not_run(&error))?;
    Step::Init.check(tool.used.tool.as_str(), &ran, |text| commands.mask(text)).map_err(|unfinished| match unfinished {
        Unfinished::Failed(mut failure) if failure.kind == "init" => {
            "workspace".clone_into(&mut failure.kind);
            Unfinished::Failed(failure)
        }
        other => other,
    })
}
