//! Arguments of `navvy deploy`. They mirror the fields of `POST /deploy`; rules about their values are the gateway's.
//!
//! No argument takes a secret: secrets come from files and from the environment of this process.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Pair, WaitArgs};

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ToolName {
    Terraform,
    Tofu,
}

impl ToolName {
    /// The API's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::Tofu => "tofu",
        }
    }
}

/// Arguments of `navvy deploy`.
#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// Repository, such as `https://git.example/acme/infra.git`. Its host must be on the gateway's list.
    #[arg(long, value_name = "URL")]
    pub(crate) git_url: String,
    /// Branch, tag, or full or short commit SHA. It is resolved once; plan and apply use the same commit.
    #[arg(long, value_name = "REF")]
    pub(crate) git_ref: String,
    /// Which program runs.
    #[arg(long, value_enum)]
    pub(crate) tool: ToolName,
    /// Its exact version, such as 1.11.4. Otherwise the repository's version files decide, then the worker.
    #[arg(long, value_name = "VERSION")]
    pub(crate) tool_version: Option<String>,
    /// Directory in the repository [default: its root].
    #[arg(long, value_name = "DIR")]
    pub(crate) path: Option<String>,
    /// Workspace of the tool [default: default].
    #[arg(long, value_name = "NAME")]
    pub(crate) workspace: Option<String>,
    /// Environment variable of the tool; may repeat. Arguments can be seen by other users: for secrets use
    /// --secret-env or --env-file.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) env: Vec<Pair>,
    /// File with one KEY=VALUE a line, taken as it stands; blank lines and lines that begin with # are skipped. May repeat.
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Variable of the tool whose value is taken from the environment of this command; may repeat.
    #[arg(long, value_name = "NAME")]
    pub(crate) secret_env: Vec<String>,
    /// Name of a variable given above whose value need not be masked in the logs; may repeat.
    #[arg(long, value_name = "NAME")]
    pub(crate) public_env: Vec<String>,
    /// A -var-file, relative to --path; may repeat.
    #[arg(long, value_name = "FILE")]
    pub(crate) tfvars_file: Vec<String>,
    /// Further arguments of init, as one text: --init-flags='-upgrade'.
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub(crate) init_flags: Option<String>,
    /// Further arguments of plan, as one text: --plan-flags='-parallelism=5'.
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub(crate) plan_flags: Option<String>,
    /// Backend setting; may repeat. Arguments can be seen by other users: for secrets use --backend-config-file.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) backend_config: Vec<Pair>,
    /// File with one backend setting KEY=VALUE a line; may repeat.
    #[arg(long, value_name = "FILE")]
    pub(crate) backend_config_file: Vec<PathBuf>,
    /// Budget of the whole run in minutes; waiting for an approval, a lock or a worker does not count [default: 60].
    #[arg(long, value_name = "MINUTES")]
    pub(crate) timeout: Option<u32>,
    /// Apply without asking anybody.
    #[arg(long)]
    pub(crate) auto_approve: bool,
    /// Destroy everything instead.
    #[arg(long)]
    pub(crate) destroy: bool,
    #[command(flatten)]
    pub(crate) git_login: GitLogin,
    /// The pool of workers that runs it [default: default].
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<String>,
    /// Makes a repeat of this command get the same run. Without it a random one protects against lost answers only.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Print the output live, then exit by the run's result.
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// How to log in to the git server: password, token or SSH key, each from a file.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "the fields are called like their flags")]
pub(crate) struct GitLogin {
    /// User name for the git server.
    #[arg(long, value_name = "NAME")]
    pub(crate) git_username: Option<String>,
    /// File with the password of --git-username.
    #[arg(long, value_name = "FILE", requires = "git_username", conflicts_with_all = ["git_token_file", "git_ssh_key_file"])]
    pub(crate) git_password_file: Option<PathBuf>,
    /// File with an access token.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["git_ssh_key_file", "git_username"])]
    pub(crate) git_token_file: Option<PathBuf>,
    /// File with a private SSH key without passphrase.
    #[arg(long, value_name = "FILE", requires = "git_known_hosts_file")]
    pub(crate) git_ssh_key_file: Option<PathBuf>,
    /// File with the host keys of the git server, in known_hosts format. No other key is trusted.
    #[arg(long, value_name = "FILE", requires = "git_ssh_key_file")]
    pub(crate) git_known_hosts_file: Option<PathBuf>,
}
