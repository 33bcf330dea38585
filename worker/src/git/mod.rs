//! Code from a git server: one commit, fetched once, written to a directory that terraform may work in.
//!
//! The network is the `git` program's part, started with our own argv, an empty environment and no configuration but
//! ours; libgit2 only reads what lies in the cache. A reference is resolved once to a commit ([`Cache::resolve`]); every
//! attempt then uses that commit ([`Cache::fetch`], [`Cache::checkout`]). Hooks, filters, submodules and LFS never run.
//! Which paths inside a checkout a job may use is decided in [`crate::confine`], not here.
//!
//! The map: `address` says which machines may be reached, `login` carries credentials, `command` runs git, `remote` asks
//! a server, `cache`, `entry` and `store` keep objects, `resolve` picks a reference, `history` tells what changed between two
//! and which comes after which, `tags` reads and makes tags, `checkout` writes files. `modules` lends the credentials to a git
//! that somebody else starts.

mod address;
pub mod askpass;
mod cache;
mod checkout;
mod classify;
mod command;
mod entry;
mod error;
mod eviction;
mod history;
mod identity;
mod lines;
mod login;
mod modules;
mod private_dir;
mod redact;
mod remote;
mod resolve;
mod store;
mod tags;

pub use cache::Cache;
pub use checkout::Checkout;
pub use error::GitError;
pub use eviction::Evicted;
pub use history::{History, Paths};
pub use modules::ModuleLogin;
pub use resolve::Resolved;
pub use tags::{NewTag, Pushed, TagFound};

use proto::git::{AllowedHosts, GitUrl};
use proto::terraform::GitAuth;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Takes one line of git's output, already redacted and without control characters.
pub type Sink<'a> = dyn FnMut(&str) + Send + 'a;

/// A repository and the credentials to read it with.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub url: &'a GitUrl,
    pub auth: Option<&'a GitAuth>,
}

/// How far one repository may go before it is refused.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For each git command, and for each wait for another attempt that fetches the same repository.
    pub timeout: Duration,
    /// Bytes one cached repository may take on disk.
    pub max_bytes: u64,
    /// Files, directories and links in a checkout.
    pub max_files: u64,
    /// Bytes of all files of a checkout.
    pub max_checkout_bytes: u64,
    /// Bytes of one file; a file is held in memory while it is written.
    pub max_file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(10),
            max_bytes: 4 << 30,
            max_files: 200_000,
            max_checkout_bytes: 2 << 30,
            max_file_bytes: 100 << 20,
        }
    }
}

/// What a [`Cache`] works with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory of the cache; made with mode 0700. One file system, not shared between hosts (it relies on flock).
    pub dir: PathBuf,
    pub allowed: AllowedHosts,
    pub limits: Limits,
    /// The program whose `main` starts [`askpass::main`] when [`askpass::called_as`] says so: this binary.
    pub askpass: PathBuf,
    /// The git program: a name to look up in `search_path`, or a path.
    pub program: PathBuf,
    /// `PATH` of git and ssh.
    pub search_path: OsString,
    /// Certificate authorities (PEM) for https, in place of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Settings {
    /// With the usual limits and programs.
    pub fn new(dir: impl Into<PathBuf>, allowed: AllowedHosts, askpass: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            allowed,
            limits: Limits::default(),
            askpass: askpass.into(),
            program: "git".into(),
            search_path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            ca_file: None,
        }
    }
}
