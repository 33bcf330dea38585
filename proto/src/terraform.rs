//! The vocabulary of the terraform action: what a run was asked to do, what stays secret, what a plan and an apply report.
//! Values here are already valid; the rules that make them so are in `domain::terraform`.

use crate::{
    git::{CommitId, GitRef, GitUrl},
    path::RepoPath,
    secret::Secret,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    Terraform,
    Tofu,
}

impl Tool {
    /// The program's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::Tofu => "tofu",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a terraform run was asked to do, without its secrets. Travels and is shown in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerraformSpec {
    pub tool: Tool,
    /// Exact version wanted, such as `1.11.4`; absent means: by the repository's files, else the worker's default.
    #[serde(default)]
    pub tool_version: Option<String>,
    pub git_url: GitUrl,
    pub git_ref: GitRef,
    #[serde(default)]
    pub path: RepoPath,
    pub workspace: String,
    /// `-var-file` arguments, relative to `path`.
    #[serde(default)]
    pub tfvars_files: Vec<RepoPath>,
    /// Arguments for init, allowed ones only, one element per argument.
    #[serde(default)]
    pub init_args: Vec<String>,
    /// `-backend-config=KEY=VALUE` values that are not secret.
    #[serde(default)]
    pub backend_config: BTreeMap<String, String>,
    /// Arguments for plan, allowed ones only, one element per argument.
    #[serde(default)]
    pub plan_args: Vec<String>,
    /// Budget of the whole run in minutes; waiting for an approval, a lock or a worker does not count.
    pub timeout_minutes: u32,
    pub auto_approve: bool,
    pub destroy: bool,
    /// Names of the environment variables, for the record; the values are in the sealed bundle.
    #[serde(default)]
    pub env_names: Vec<String>,
    /// Names among `env_names` whose values need not be masked in the logs.
    #[serde(default)]
    pub public_env: Vec<String>,
    /// Which kind of git credentials the sealed bundle holds, for the record.
    #[serde(default)]
    pub git_auth: Option<String>,
}

/// How to log in to a git server. Sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum GitAuth {
    Basic { username: String, password: Secret },
    Token { token: Secret },
    Ssh { username: Option<String>, private_key: Secret, known_hosts: String },
}

impl GitAuth {
    /// The kind, for people and records.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "basic",
            Self::Token { .. } => "token",
            Self::Ssh { .. } => "ssh",
        }
    }
}

/// Everything secret of a run. Sealed at the gateway to the scheduler's key; opened by the scheduler only to seal it
/// again to one attempt's key inside a permit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretBundle {
    /// 32 random bytes in hex: seals the run's plan between its jobs.
    pub run_key: Secret,
    /// Environment variables of the tool.
    #[serde(default)]
    pub env: BTreeMap<String, Secret>,
    #[serde(default)]
    pub git_auth: Option<GitAuth>,
    /// `-backend-config` values that are secret (they go through a 0600 file, not argv).
    #[serde(default)]
    pub backend_config: BTreeMap<String, Secret>,
}

/// The tool that was really used. An apply must use the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolUsed {
    pub tool: Tool,
    pub version: String,
}

/// A plan waiting for its apply: a sealed object, bound by digest to what was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanArtifact {
    /// Name in the object store.
    pub object: String,
    /// SHA-256 of the plan file's bytes before sealing, hex. What an approval is bound to.
    pub plan_sha256: String,
    /// Length of the sealed object in bytes.
    pub bytes: u64,
    pub commit: CommitId,
    pub tool: ToolUsed,
}

/// Result of a plan job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanResult {
    pub artifact: PlanArtifact,
    pub summary: PlanSummary,
}

/// What a plan would do. Sensitive values never enter it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSummary {
    pub adds: u32,
    pub changes: u32,
    pub destroys: u32,
    pub replacements: u32,
    #[serde(default)]
    pub imports: u32,
    #[serde(default)]
    pub output_changes: u32,
    /// Changed resources in plan order; at most [`PlanSummary::MAX_RESOURCES`].
    pub resources: Vec<ResourceChange>,
    /// How many more there were.
    #[serde(default)]
    pub resources_omitted: u32,
}

impl PlanSummary {
    /// Keeps a report well below one NATS message (1 MiB).
    pub const MAX_RESOURCES: usize = 500;

    /// Whether applying would change nothing.
    pub fn is_empty(&self) -> bool {
        self.adds == 0 && self.changes == 0 && self.destroys == 0 && self.replacements == 0 && self.imports == 0 && self.output_changes == 0
    }
}

/// What a plan would do to one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceChange {
    pub address: String,
    /// `create`, `update`, `delete`, `replace`, `import`, `read`, `move`, `forget`.
    pub action: String,
    /// Changed attributes with their values before and after as short JSON texts; sensitive ones read `(sensitive)`,
    /// values not known yet `(known after apply)`.
    #[serde(default)]
    pub attributes: Vec<AttributeChange>,
    /// Why a replacement is forced, as attribute paths.
    #[serde(default)]
    pub replace_because: Vec<String>,
}

/// One changed attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeChange {
    pub name: String,
    pub before: String,
    pub after: String,
}

/// Result of an apply job: the outputs as `output -json` gives them, the values of sensitive ones masked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyResult {
    /// JSON text of the outputs; empty when there are none or they could not be read.
    pub outputs: String,
    /// State serial before the apply, when it could be read.
    #[serde(default)]
    pub serial_before: Option<u64>,
}
