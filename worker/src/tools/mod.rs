//! The tool itself: which version of terraform or tofu a job gets, and where that program is.
//!
//! `asked` finds the wish (request, version file, `required_version`), `installed` knows what is there, `choice` brings the
//! two together, `release` fetches what is missing, if the operator allows it, and believes nothing without checksum and
//! signature. Running the program, and everything that is done with it, is `crate::terraform`'s.
//!
//! A program that this module hands out says itself that it is the version it is asked to be, and is not older than the
//! oldest one that may be used.

mod archive;
mod asked;
mod choice;
mod configuration;
mod error;
mod installed;
mod mirror;
mod release;
mod signature;
mod version;

pub use choice::Tools;
pub use error::ToolError;

use proto::terraform::{Tool, ToolUsed};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What an operator decides about tools (`worker.tools.*`).
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Folder with `<tool>/<version>/<tool>`. Need not exist.
    pub dir: PathBuf,
    pub default_terraform: Option<String>,
    pub default_tofu: Option<String>,
    /// Mirror of the releases; absent means the maker's own.
    pub mirror_terraform: Option<String>,
    pub mirror_tofu: Option<String>,
    /// Public keys that may sign releases, in ASCII armour or as a keyring file. Without them nothing is fetched.
    pub keyring_terraform: Option<PathBuf>,
    pub keyring_tofu: Option<PathBuf>,
    pub may_download: bool,
    /// `PATH` in which programs are looked for: the tools, and `gpgv`.
    pub search_path: OsString,
}

impl Settings {
    fn default_version(&self, tool: Tool) -> Option<&str> {
        match tool {
            Tool::Terraform => self.default_terraform.as_deref(),
            Tool::Tofu => self.default_tofu.as_deref(),
        }
    }

    fn mirror(&self, tool: Tool) -> Option<&str> {
        match tool {
            Tool::Terraform => self.mirror_terraform.as_deref(),
            Tool::Tofu => self.mirror_tofu.as_deref(),
        }
    }

    fn keyring(&self, tool: Tool) -> Option<&Path> {
        match tool {
            Tool::Terraform => self.keyring_terraform.as_deref(),
            Tool::Tofu => self.keyring_tofu.as_deref(),
        }
    }
}

/// A program that may be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedTool {
    pub used: ToolUsed,
    /// Absolute.
    pub program: PathBuf,
    /// Who asked for this version, in words for people, such as "`.terraform-version`"; `nobody` when it is the worker's default.
    pub asked_by: String,
}
