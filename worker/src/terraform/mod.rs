//! The terraform steps: from a fresh checkout to a plan, and from an approved plan to what it did.
//!
//! [`prepare`] makes a place to work in, [`plan`] and [`apply`] run the tool there, both through [`Commands`], which the
//! worker's loop implements over the runner. Here is known what terraform and tofu are asked, in which order, what their
//! answers mean and what people are told. Not here: which version of the tool ([`crate::tools`]), where the code comes
//! from ([`crate::git`]), sealing and storing a plan, permits, stops and reports (the worker's loop).
//!
//! The map: `environment`, `cli_config`, `registry` and `prepare` set the place up; `init` and `plugin_cache` are the
//! first command, `backend` is what it found out about the state; `plan_document`, `values`, `summary` and `outputs` turn the tool's JSON into what may be shown; `bundle`
//! is what a plan leaves for its apply; `diagnosis` reads errors, `step` tells how a step ended.

mod apply;
mod backend;
mod bundle;
mod cli_config;
mod commands;
mod diagnosis;
mod environment;
mod hcl;
mod init;
mod outputs;
mod plan;
mod plan_document;
mod plugin_cache;
mod prepare;
mod private_file;
mod registry;
mod step;
mod summary;
mod values;

pub(crate) use apply::judge_unwatched;
pub use apply::{apply, state_serial};
pub use commands::{Captured, CommandError, Commands, Exit, NoLeave, Streamed, ToolCommand};
pub use plan::{Planned, plan};
pub use plugin_cache::PluginCache;
pub use prepare::{Workplace, prepare};
pub use registry::{BadRegistry, Registry};
pub use step::{Unclear, Unfinished};

use crate::mask::MASK;
use proto::git::CommitId;
use proto::terraform::{SecretBundle, TerraformSpec};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is the same for every attempt of a worker.
#[derive(Clone)]
pub struct Setup {
    /// `PATH` of the tool and of what it starts.
    pub search_path: String,
    /// The variables that an operator lets through (`worker.pass_env`), with their values.
    pub pass_env: Vec<(String, String)>,
    pub plugin_cache: Option<PluginCache>,
    /// An operator's own configuration of the tool (a provider mirror, say), put in front of ours.
    pub cli_config: Option<PathBuf>,
    pub registry: Option<Registry>,
    /// The program whose `main` answers git for private modules ([`crate::git::askpass`]): this binary.
    pub askpass: PathBuf,
    /// Folders outside of the checkout in which the backend `local` may keep a state.
    pub local_state_dirs: Vec<PathBuf>,
    /// How long plan and apply wait for a state lock that somebody else holds.
    pub lock_timeout: Duration,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.pass_env.iter().map(|(name, _)| format!("{name}={MASK}")).collect();
        let mut shown = f.debug_struct("Setup");
        shown.field("search_path", &self.search_path).field("pass_env", &names).field("plugin_cache", &self.plugin_cache);
        shown.field("cli_config", &self.cli_config).field("registry", &self.registry).field("askpass", &self.askpass);
        shown.field("local_state_dirs", &self.local_state_dirs).field("lock_timeout", &self.lock_timeout).finish()
    }
}

/// What one attempt is to do, and where.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub setup: &'a Setup,
    pub spec: &'a TerraformSpec,
    pub secrets: Option<&'a SecretBundle>,
    /// The commit that was checked out.
    pub commit: &'a CommitId,
    /// The top of the fresh checkout.
    pub checkout: &'a Path,
    /// An empty folder of the attempt, mode 0700, outside the checkout and as short-lived. It will hold secrets.
    pub scratch: &'a Path,
    pub traceparent: Option<&'a str>,
}
