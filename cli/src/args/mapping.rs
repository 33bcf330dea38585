//! Arguments of `navvy mapping`. What a mapping may say is decided by the crate `services`, not here.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use proto::sync::Environment;

/// Arguments of `navvy mapping`.
#[derive(Debug, Args)]
pub(crate) struct MappingArgs {
    #[command(subcommand)]
    pub(crate) verb: MappingVerb,
}

/// What can be done with a mapping.
#[derive(Debug, Subcommand)]
pub(crate) enum MappingVerb {
    /// Check navvy.yaml and deploy-dependencies.yaml of a repository, and show its services. Needs no gateway.
    Check(CheckArgs),
}

/// Arguments of `navvy mapping check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The repository's folder, or a navvy.yaml, whose folder is taken. Files are taken as they lie there; a run takes those of the commit.
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    pub(crate) path: PathBuf,
    /// Show what a push that touches these files syncs and skips, and why. Paths as git prints them, from the repository's root; `-` reads them from stdin, one a line. A file that is not there counts as removed.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) changed: Vec<String>,
    /// The environment that is synced.
    #[arg(long, value_name = "NAME", default_value = "staging")]
    pub(crate) environment: Environment,
    /// A project that the source manages (`projects` of `[[sources]]`); may repeat.
    #[arg(long, value_name = "NAME", default_value = "platform")]
    pub(crate) project: Vec<String>,
}
