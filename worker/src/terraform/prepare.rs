//! From a fresh checkout to a place in which the tool may work: paths that stay inside, nothing planted, an environment
//! with nothing in it that nobody gave, and every secret in a file that nobody else may read.

use super::environment::{self, Places};
use super::plan::LOCK_FILE;
use super::{Order, Unfinished, cli_config, commands::Commands, hcl, private_file, registry::Access};
use crate::confine::{MAX_TFVARS_BYTES, Refused, Root};
use crate::mask::MASK;
use proto::Secret;
use proto::message::Failure;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

const STATE: &str = "it would be taken for the state of what is there; keep the state in a backend";
const DATA: &str = "it decides which providers and modules are started";
const CONFIG: &str = "it is the tool's own configuration, which belongs to the worker";

/// What a repository may not bring into the working directory, and why.
const PLANTED: &[(&str, &str)] = &[
    (".terraform", DATA),
    ("terraform.tfstate", STATE),
    ("terraform.tfstate.d", STATE),
    (".terraform.tfstate.lock.info", STATE),
    ("errored.tfstate", STATE),
    (".terraformrc", CONFIG),
    ("terraform.rc", CONFIG),
    (".tofurc", CONFIG),
    ("tofu.rc", CONFIG),
];

/// Where an attempt's tool works, and with what. Made by [`prepare`].
pub struct Workplace<'a> {
    pub(super) order: Order<'a>,
    /// The working directory, links resolved.
    dir: PathBuf,
    /// The top of the checkout, links resolved.
    root: PathBuf,
    pub(super) env: BTreeMap<String, String>,
    /// The file for `-backend-config`, when there is anything to say to the backend.
    pub(super) backend_file: Option<PathBuf>,
    secrets: Vec<Secret>,
}

impl Workplace<'_> {
    /// The directory in which the tool works.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The top of the checkout. Both are resolved paths, as [`crate::tools::Tools::resolve`] wants them.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Secrets that came up on the way (the registry's token). They must be masked before the first command runs.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// A file of the attempt outside the checkout.
    pub(super) fn private(&self, name: &str) -> PathBuf {
        self.order.scratch.join(name)
    }
}

impl fmt::Debug for Workplace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.keys().map(|name| format!("{name}={MASK}")).collect();
        f.debug_struct("Workplace")
            .field("dir", &self.dir)
            .field("env", &names)
            .field("backend_file", &self.backend_file)
            .finish_non_exhaustive()
    }
}

/// Checks the order against the checkout and writes the attempt's files. Starts no command; asks the private registry,
/// if there is one, for its token.
///
/// # Errors
/// [`Unfinished::Failed`] with the kind `path`, `planted`, `environment`, `backend`, `registry` or `worker_storage`.
pub async fn prepare<'a, C: Commands>(commands: &mut C, order: Order<'a>) -> Result<Workplace<'a>, Unfinished> {
    let (root, dir) = confine(&order)?;
    refuse_planted(&order, &dir)?;
    if let Some(line) = read_by_itself(&dir) {
        commands.narrate(&line).await;
    }
    let stored = |error: io::Error| storage(&error);
    let (home, temporary) = (order.scratch.join("home"), order.scratch.join("tmp"));
    private_file::folder(&home).and_then(|()| private_file::folder(&temporary)).map_err(stored)?;
    let access = access(commands, &order).await?;
    let cli = order.scratch.join("cli.tfrc");
    cli_config::write(&cli, order.setup.cli_config.as_deref(), access.as_ref()).map_err(stored)?;
    let backend_file = backend_file(&order)?;
    let places = Places {
        home: text(&home)?,
        temporary: text(&temporary)?,
        cli_config: text(&cli)?,
        plugin_cache: order.setup.plugin_cache.as_ref().map(|cache| text(cache.dir())).transpose()?,
        search_path: &order.setup.search_path,
        traceparent: order.traceparent,
    };
    let env = environment::build(&places, &order.setup.pass_env, order.secrets)?;
    let secrets = access.map(|access| access.token).into_iter().collect();
    Ok(Workplace { order, dir, root, env, backend_file, secrets })
}

fn confine(order: &Order<'_>) -> Result<(PathBuf, PathBuf), Failure> {
    let path = order.spec.path.as_str();
    let root = Root::new(order.checkout).map_err(|refused| path_failure(&refused.to_string()))?;
    let dir = root.directory(path).map_err(|refused| match refused {
        Refused::Missing(_) => path_failure(&format!("Path does not exist: {path}")),
        refused => path_failure(&told(&refused)),
    })?;
    // The lock is taken by the path's name: the same directory under another name would be another lock.
    let named = if path == "." { root.path().to_owned() } else { root.path().join(path) };
    if dir != named {
        let real = dir.strip_prefix(root.path()).unwrap_or(&dir).display().to_string();
        return Err(path_failure(&format!("{path} is reached through a symbolic link: give the directory itself, {real}")));
    }
    for file in &order.spec.tfvars_files {
        // Named from the working directory; checked as what it is in the repository.
        let shown = if path == "." { file.to_string() } else { format!("{path}/{file}") };
        root.regular_file(&shown, MAX_TFVARS_BYTES).map_err(|refused| path_failure(&format!("tfvars_files: {}", told(&refused))))?;
    }
    Ok((root.path().to_owned(), dir))
}

fn told(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn refuse_planted(order: &Order<'_>, dir: &Path) -> Result<(), Failure> {
    let kind = |name: &str| std::fs::symlink_metadata(dir.join(name)).ok();
    // Even a link that leads nowhere counts: the tool would write through it.
    let mut found: Vec<_> = PLANTED.iter().filter(|(name, _)| kind(name).is_some()).collect();
    if kind(LOCK_FILE).is_some_and(|lock| !lock.is_file()) {
        found.push(&(LOCK_FILE, "it must be a plain file"));
    }
    if found.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = found.iter().map(|(name, why)| format!("`{name}`: {why}")).collect();
    let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
    Err(Failure {
        kind: "planted".to_owned(),
        phase: "init".to_owned(),
        message: format!("The repository holds files in `{}` that it may not bring: {}", order.spec.path, list.join("; ")),
        next_action: format!("Take them out of the repository (`git rm -r --cached {}`) and list them in .gitignore.", names.join(" ")),
    })
}

/// What the tool reads without being told, so that nobody wonders where a value came from.
fn read_by_itself(dir: &Path) -> Option<String> {
    let is_automatic = |name: &str| {
        matches!(name, "terraform.tfvars" | "terraform.tfvars.json")
            || name.ends_with(".auto.tfvars")
            || name.ends_with(".auto.tfvars.json")
    };
    let entries = std::fs::read_dir(dir).ok()?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|name| is_automatic(name)).collect();
    names.sort();
    (!names.is_empty()).then(|| format!("Values are also read from: {}", names.join(", ").escape_debug()))
}

async fn access<C: Commands>(commands: &mut C, order: &Order<'_>) -> Result<Option<Access>, Unfinished> {
    let Some(registry) = &order.setup.registry else { return Ok(None) };
    match registry.access().await {
        Ok(access) => {
            commands.narrate(&format!("✓ Configured private registry: {}", registry.address())).await;
            Ok(Some(access))
        }
        Err(error) if registry.required() => Err(Unfinished::Failed(Failure {
            kind: "registry".to_owned(),
            phase: "init".to_owned(),
            message: format!("The private registry gave no token: {}", told(&error)),
            next_action: "Try again later, or ask an operator to check worker.registry_host.".to_owned(),
        })),
        Err(error) => {
            commands.narrate(&format!("⚠ The private registry gave no token, going on without one: {}", told(&error))).await;
            Ok(Some(registry.anonymous()))
        }
    }
}

/// Secret and plain settings alike go through a file: argv is public.
fn backend_file(order: &Order<'_>) -> Result<Option<PathBuf>, Failure> {
    let plain = order.spec.backend_config.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let secret = order.secrets.iter().flat_map(|secrets| &secrets.backend_config).map(|(key, value)| (key.as_str(), value.expose()));
    let settings: BTreeMap<&str, &str> = plain.chain(secret).collect();
    if settings.is_empty() {
        return Ok(None);
    }
    let mut lines = String::new();
    for (key, value) in settings {
        let legal = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !legal {
            return Err(Failure {
                kind: "backend".to_owned(),
                phase: "init".to_owned(),
                message: format!(
                    "backend_config: `{}` is not the name of a setting",
                    key.chars().take(80).flat_map(char::escape_debug).collect::<String>()
                ),
                next_action: "Use the names that the backend's documentation gives.".to_owned(),
            });
        }
        lines.extend([key, " = ", &hcl::quoted(value), "\n"]);
    }
    let path = order.scratch.join("backend.tfbackend");
    // With a `=` in it, the tool would take the path for KEY=VALUE.
    if text(&path)?.contains('=') {
        return Err(storage(&io::Error::new(io::ErrorKind::InvalidInput, format!("{} has a `=` in its name", path.display()))));
    }
    private_file::write(&path, lines.as_bytes()).map_err(|error| storage(&error))?;
    Ok(Some(path))
}

/// A path as it can be given to a command.
pub(super) fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| storage(&io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not UTF-8", path.display()))))
}

fn path_failure(message: &str) -> Failure {
    Failure {
        kind: "path".to_owned(),
        phase: "init".to_owned(),
        message: message.to_owned(),
        next_action: "Check path and tfvars_files against the repository at this commit.".to_owned(),
    }
}

/// The attempt's own folder cannot be used.
pub(super) fn storage(error: &io::Error) -> Failure {
    Failure {
        kind: "worker_storage".to_owned(),
        phase: "init".to_owned(),
        message: format!("The worker cannot use the attempt's folder: {error}"),
        next_action: "Ask an operator to check worker.work_dir: is it there, writable and not full?".to_owned(),
    }
}
