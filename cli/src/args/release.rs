//! Arguments of `navvy release`. They mirror the fields of `POST /v1/releases`; rules about their values are the gateway's.

use clap::{Args, Subcommand, ValueEnum};

use super::WaitArgs;

/// Arguments of `navvy release`.
#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    #[command(subcommand)]
    pub(crate) verb: ReleaseVerb,
}

/// What can be done with releases.
#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseVerb {
    /// Make a staging release of a source's branch, the next patch, and deploy it to staging.
    Stage(StageArgs),
    /// Make a production release of a staging release, the next minor, and deploy it to production.
    Promote(PromoteArgs),
    /// Mend a production release with a commit that need not be on the branch: the next patch above it, deployed to production.
    Hotfix(HotfixArgs),
    /// Deploy an older release again. Makes no tag.
    Rollback(RollbackArgs),
    /// List releases, newest first.
    List(ReleaseListArgs),
}

/// Arguments of `navvy release stage`.
#[derive(Debug, Args)]
pub(crate) struct StageArgs {
    /// Must be `deploy` where the source's pushes go to production.
    #[arg(long, value_name = "WORD")]
    pub(crate) confirm: Option<String>,
    #[command(flatten)]
    pub(crate) new: NewVersion,
    #[command(flatten)]
    pub(crate) every: EveryRelease,
}

/// Arguments of `navvy release promote`.
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// The staging release, such as v1.2.4.
    #[arg(value_name = "TAG")]
    pub(crate) from: String,
    /// Must be `deploy`: this goes to production.
    #[arg(long, value_name = "WORD")]
    pub(crate) confirm: Option<String>,
    #[command(flatten)]
    pub(crate) new: NewVersion,
    #[command(flatten)]
    pub(crate) every: EveryRelease,
}

/// Arguments of `navvy release hotfix`.
#[derive(Debug, Args)]
pub(crate) struct HotfixArgs {
    /// The production release that is mended, such as v1.3.0.
    #[arg(long, value_name = "TAG")]
    pub(crate) from: String,
    /// Branch, tag or commit that holds the mend.
    #[arg(long = "ref", value_name = "REF")]
    pub(crate) git_ref: String,
    /// Must be `deploy`: this goes to production.
    #[arg(long, value_name = "WORD")]
    pub(crate) confirm: Option<String>,
    #[command(flatten)]
    pub(crate) new: NewVersion,
    #[command(flatten)]
    pub(crate) every: EveryRelease,
}

/// Arguments of `navvy release rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The release to deploy again, such as v1.2.0.
    #[arg(value_name = "TAG")]
    pub(crate) from: String,
    /// Where to [default: production].
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// Must be `deploy` for production.
    #[arg(long, value_name = "WORD")]
    pub(crate) confirm: Option<String>,
    #[command(flatten)]
    pub(crate) every: EveryRelease,
}

/// Of releases that make a version.
#[derive(Debug, Args)]
pub(crate) struct NewVersion {
    /// Refuse instead of taking the next free version, or the release that is there already.
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Of every release.
#[derive(Debug, Args)]
pub(crate) struct EveryRelease {
    /// The source, by its id [default: the first one].
    #[arg(long, value_name = "ID")]
    pub(crate) source: Option<String>,
    /// Only this service, written project/service; may repeat [default: every managed one].
    #[arg(long, value_name = "SERVICE")]
    pub(crate) service: Vec<String>,
    /// Deploy even what has not changed.
    #[arg(long)]
    pub(crate) force: bool,
    /// Who or what caused it, for people [default: the key's name].
    #[arg(long, value_name = "TEXT")]
    pub(crate) triggered_by: Option<String>,
    /// Makes a repeat of this command get the same run. Without it a random one protects against lost answers only.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Print the tag once it is made and how each service ends, then exit by the run's result.
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// Arguments of `navvy release list`.
#[derive(Debug, Args)]
pub(crate) struct ReleaseListArgs {
    /// Only releases of this kind.
    #[arg(long, value_enum)]
    pub(crate) kind: Option<ReleaseWord>,
    /// Only releases into this environment.
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// How many, 1 to 200 [default: 50].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: Option<u32>,
    /// Go on after an earlier page.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
}

/// A kind of release, as a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReleaseWord {
    Staging,
    Production,
    Hotfix,
    Rollback,
}
