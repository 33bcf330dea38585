//! What is there: the versions in the tools folder and the one in the worker's PATH, and whether a program is what it says.
//!
//! `<dir>/<tool>/<version>/<tool>`, with its SHA-256 beside it in `<tool>.sha256` when Navvy fetched it. Answers about a
//! program are kept for as long as the file stays the same one (device, number, size, times), so that an attempt does not
//! pay for hashing 100 MB again.

use super::error::ToolError;
use super::version;
use proto::terraform::Tool;
use semver::Version;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// How long a program may take to say its version.
const PROBE_LIMIT: Duration = Duration::from_secs(20);

/// One state of one file. The change time cannot be set by a program, so a file that was written to is another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    number: u64,
    bytes: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

impl From<&Metadata> for Identity {
    fn from(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            number: found.ino(),
            bytes: found.len(),
            changed: (found.ctime(), found.ctime_nsec()),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }
}

/// What is known about programs that were looked at.
#[derive(Debug, Default)]
pub(super) struct Known {
    versions: Mutex<HashMap<(Tool, Identity), Version>>,
    digests: Mutex<HashMap<Identity, String>>,
}

/// The folder of one version.
pub(super) fn folder(dir: &Path, tool: Tool, version: &Version) -> PathBuf {
    dir.join(tool.as_str()).join(version.to_string())
}

/// The file beside a program that holds its SHA-256 in hexadecimal digits.
pub(super) fn digest_file(program: &Path) -> PathBuf {
    program.with_extension("sha256")
}

/// The versions in the tools folder, unordered. A folder that is not there holds none.
pub(super) fn in_folder(dir: &Path, tool: Tool) -> Result<Vec<(Version, PathBuf)>, ToolError> {
    let parent = dir.join(tool.as_str());
    let entries = match std::fs::read_dir(&parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ToolError::storage("list", parent)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(ToolError::storage("list", &parent))?;
        let name = entry.file_name();
        // Whatever is not named by a version is not ours: half-fetched folders, lock files, an operator's notes.
        let Some(version) = name.to_str().and_then(|name| version::exact(name).ok().filter(|v| v.to_string() == name)) else {
            continue;
        };
        let program = entry.path().join(tool.as_str());
        if is_program(&program) {
            found.push((version, program));
        }
    }
    Ok(found)
}

/// The first program of that name in PATH.
pub(super) fn in_path(search_path: &OsStr, tool: Tool) -> Option<PathBuf> {
    let folders = std::env::split_paths(search_path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(tool.as_str())).find(|program| is_program(program))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

impl Known {
    /// The version a program says it is.
    pub(super) async fn version(&self, tool: Tool, program: &Path) -> Result<Version, ToolError> {
        let identity = identity(program)?;
        let key = (tool, identity);
        if let Some(known) = self.versions.lock().expect("no holder panics").get(&key) {
            return Ok(known.clone());
        }
        let version = probe(tool, program).await?;
        self.versions.lock().expect("no holder panics").insert(key, version.clone());
        Ok(version)
    }

    /// Holds a program against the digest beside it. Without one there is nothing to hold it against: an operator put it there.
    pub(super) async fn check_digest(&self, program: &Path) -> Result<(), ToolError> {
        let beside = digest_file(program);
        let recorded = match std::fs::read_to_string(&beside) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(ToolError::storage("read", beside)(error)),
        };
        let identity = identity(program)?;
        let known = self.digests.lock().expect("no holder panics").get(&identity).cloned();
        let found = if let Some(digest) = known {
            digest
        } else {
            let digest = digest(program.to_owned()).await?;
            self.digests.lock().expect("no holder panics").insert(identity, digest.clone());
            digest
        };
        if found == recorded { Ok(()) } else { Err(ToolError::Changed { program: program.to_owned(), recorded, found }) }
    }
}

fn identity(program: &Path) -> Result<Identity, ToolError> {
    std::fs::metadata(program).map(|found| Identity::from(&found)).map_err(ToolError::storage("look at", program))
}

/// SHA-256 of a file in hexadecimal digits, on a thread that may block.
pub(super) async fn digest(path: PathBuf) -> Result<String, ToolError> {
    let shown = path.clone();
    let hashed = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
        let (mut file, mut hash, mut buffer) = (std::fs::File::open(&path)?, Sha256::new(), vec![0; 256 * 1024]);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex::encode(hash.finalize())),
                read => hash.update(&buffer[..read]),
            }
        }
    });
    let joined = hashed.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
    joined.map_err(ToolError::storage("read", shown))
}

/// What a program says to `version -json`.
async fn said_by(program: &Path) -> std::io::Result<Output> {
    loop {
        let child = tokio::process::Command::new(program)
            .args(["version", "-json"])
            .env_clear()
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_CLI_CONFIG_FILE", "/dev/null")
            .env("HOME", "/nonexistent")
            .current_dir("/")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output();
        match child.await {
            // We have just written it, and a process that another thread is starting still holds our open file for a moment.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            said => return said,
        }
    }
}

/// Asks a program with `version -json`, in an environment and a folder in which it finds nothing to read.
async fn probe(tool: Tool, program: &Path) -> Result<Version, ToolError> {
    let broken = |why: String| ToolError::Broken { tool, program: program.to_owned(), why };
    let output = match tokio::time::timeout(PROBE_LIMIT, said_by(program)).await {
        Ok(output) => output.map_err(|error| broken(format!("it could not be started: {error}")))?,
        Err(_) => return Err(broken(format!("`version -json` did not end within {} s", PROBE_LIMIT.as_secs()))),
    };
    if !output.status.success() {
        return Err(broken(format!("`version -json` ended with {}", output.status)));
    }
    // tofu says `terraform_version` too.
    let said = serde_json::from_slice::<serde_json::Value>(&output.stdout).ok();
    let said = said.as_ref().and_then(|said| said.get("terraform_version")).and_then(serde_json::Value::as_str);
    said.and_then(|said| version::exact(said).ok()).ok_or_else(|| broken("`version -json` did not say a version".to_owned()))
}
