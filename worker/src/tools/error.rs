//! What can go wrong between a wish for a version and a program that may be started, in words for the person who asked.

use super::version::BadVersion;
use proto::message::Failure;
use proto::terraform::Tool;
use std::io;
use std::path::PathBuf;

/// Why there is no program to run.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("{by} asks for {tool} `{text}`: {why}")]
    Unusable { tool: Tool, by: String, text: String, why: String },
    #[error("{by} asks for {tool} {version}, which is older than {floor}: {why}")]
    BelowFloor { tool: Tool, by: String, version: String, floor: &'static str, why: &'static str },
    #[error("{by} asks for {tool} {wanted}, and this worker has {installed}: {why}")]
    Missing { tool: Tool, by: String, wanted: String, installed: String, why: String },
    #[error("this worker has no {tool}")]
    None { tool: Tool },
    #[error("{} does not work as {tool}: {why}", .program.display())]
    Broken { tool: Tool, program: PathBuf, why: String },
    #[error("{} was changed after it was installed: its SHA-256 is {found}, and {recorded} was recorded", .program.display())]
    Changed { program: PathBuf, recorded: String, found: String },
    #[error("fetching {tool} {version} failed: {why}")]
    Fetch { tool: Tool, version: String, why: String },
    #[error("the release of {tool} {version} was refused: {why}")]
    Untrusted { tool: Tool, version: String, why: String },
    #[error("cannot {operation} {}", .path.display())]
    Storage {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl ToolError {
    /// For `map_err`: an operation on a file failed.
    pub(super) fn storage(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Storage { operation, path, source }
    }

    pub(super) fn unusable(tool: Tool, by: &str, text: &str, why: &BadVersion) -> Self {
        let text = text.chars().take(80).flat_map(char::escape_debug).collect();
        Self::Unusable { tool, by: by.to_owned(), text, why: why.to_string() }
    }

    /// The machine-readable word of a [`Failure`].
    fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::None { .. } => "tool_missing",
            Self::Unusable { .. } | Self::BelowFloor { .. } => "tool_version",
            Self::Broken { .. } | Self::Changed { .. } => "tool_broken",
            Self::Fetch { .. } | Self::Untrusted { .. } => "tool_download",
            Self::Storage { .. } => "worker_storage",
        }
    }

    fn next_action(&self) -> String {
        match self {
            Self::Missing { tool, wanted, .. } => {
                format!(
                    "Ask for an installed version, or ask an operator to install {tool} {wanted} in the folder worker.tools.dir, or to let workers fetch versions (worker.tools.may_download with worker.tools.keyring_{tool})."
                )
            }
            Self::None { tool } => {
                format!("Ask an operator to put {tool} into the worker's PATH, or a version of it into the folder worker.tools.dir.")
            }
            Self::Unusable { .. } => "Give an exact version such as 1.11.4.".to_owned(),
            Self::BelowFloor { floor, .. } => format!("Ask for {floor} or a newer version."),
            Self::Broken { .. } => "Ask an operator to install this version again.".to_owned(),
            Self::Changed { program, .. } => {
                format!(
                    "Ask an operator to find out who changed {}, and to delete its folder so that it is installed again.",
                    program.display()
                )
            }
            Self::Fetch { .. } => "Try again later, or ask an operator to check worker.tools and the way to the release mirror.".to_owned(),
            Self::Untrusted { .. } => {
                "Ask an operator to check the release mirror and the keyring. Nothing of the release was used.".to_owned()
            }
            Self::Storage { .. } => "Ask an operator to check the worker's disk and the owner of the folder worker.tools.dir.".to_owned(),
        }
    }

    /// As a job's failure in the phase `phase`.
    pub fn to_failure(&self, phase: &str) -> Failure {
        let source = std::error::Error::source(self).map(|source| format!(": {source}")).unwrap_or_default();
        Failure {
            kind: self.kind().to_owned(),
            phase: phase.to_owned(),
            message: format!("{self}{source}"),
            next_action: self.next_action(),
        }
    }
}
