//! Arguments of `navvy source` and `navvy secrets`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::SettingsArgs;

/// Arguments of `navvy source`.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    #[command(subcommand)]
    pub(crate) verb: SourceVerb,
}

/// What can be done with sources.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceVerb {
    /// Set up a repository to follow: make the webhook's secret, write its [[sources]], say or do what the forge needs.
    Add(Box<SourceAddArgs>),
}

/// Arguments of `navvy source add`.
#[derive(Debug, Args)]
pub(crate) struct SourceAddArgs {
    /// Which forge it is at.
    #[arg(value_enum, value_name = "FORGE")]
    pub(crate) forge: Forge,
    /// Its name: lower-case letters, digits, `-` and `_`. The webhook is sent to /hooks/ID.
    #[arg(long, value_name = "ID")]
    pub(crate) id: String,
    /// The repository, as git reaches it, without credentials.
    #[arg(long, value_name = "URL")]
    pub(crate) repository: String,
    /// The branch whose pushes are synced.
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub(crate) branch: String,
    /// Add the source to this configuration file, once the whole of it has been checked. Without it the lines are printed.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// File of the webhook's secret, made with mode 0600; one that is there is kept [default: webhook-ID.secret beside the configuration].
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets_file: Option<PathBuf>,
    /// The gateway's address as the forge reaches it [default: gateway.public_url].
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Put a new secret in front of the one that is there; both are in force until the second line is taken out.
    #[arg(long)]
    pub(crate) rotate: bool,
    /// Print the secret, to enter it at the forge.
    #[arg(long)]
    pub(crate) show_secret: bool,
    /// Register the webhook at the forge, if it is not there yet. GitHub only; needs --forge-token-file.
    #[arg(long, requires = "forge_token_file")]
    pub(crate) register: bool,
    /// File with a token that may administer the repository's webhooks. It is used once and kept nowhere.
    #[arg(long, value_name = "FILE")]
    pub(crate) forge_token_file: Option<PathBuf>,
    /// Address of GitHub's API [default: gateway.github.api_url].
    #[arg(long, value_name = "URL")]
    pub(crate) api_url: Option<String>,
}

/// A forge, by its word in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Forge {
    Github,
    Gitlab,
    /// Forgejo too.
    Gitea,
    BitbucketCloud,
    BitbucketServer,
    AzureDevops,
}

/// Arguments of `navvy secrets`.
#[derive(Debug, Args)]
pub(crate) struct SecretsArgs {
    #[command(subcommand)]
    pub(crate) verb: SecretsVerb,
}

/// What can be done with secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretsVerb {
    /// Look at every secret and file that the configuration names, and log in with them. Never prints one.
    Check(SettingsArgs),
}
