//! Fetching a version that is not there: the maker's signature, the checksum, the archive, and only then a place in the
//! tools folder.
//!
//! A worker may be killed between any two steps. Everything is done in a folder whose name is no version, and comes into
//! place by one rename; what a killed fetch left behind is removed by the next one, under the same lock.

use super::{
    Settings, archive,
    error::ToolError,
    installed,
    mirror::{Mirror, Release},
    signature,
};
use crate::file_lock::{FileLock, Hold};
use proto::terraform::Tool;
use semver::Version;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MAX_SUMS: u64 = 256 * 1024;
const MAX_SIGNATURE: u64 = 64 * 1024;
const MAX_ARCHIVE: u64 = 256 * 1024 * 1024;
/// How long to wait for another attempt or process that fetches the same version.
const TURN: Duration = Duration::from_mins(10);
/// How long one fetch may take in all.
const LIMIT: Duration = Duration::from_mins(10);

/// Fetches and installs a version; returns its program. Somebody else may have installed it in the meantime.
pub(super) async fn install(settings: &Settings, tool: Tool, version: &Version) -> Result<PathBuf, ToolError> {
    let target = installed::folder(&settings.dir, tool, version);
    let program = target.join(tool.as_str());
    let parent = settings.dir.join(tool.as_str());
    DirBuilder::new().recursive(true).mode(0o755).create(&parent).map_err(ToolError::storage("make the folder", &parent))?;
    let lock = parent.join(format!(".fetch-{version}.lock"));
    let held = FileLock::acquire(&lock, Hold::Change, TURN).await.map_err(ToolError::storage("lock", &lock))?;
    let why = || "another fetch of the same version did not end in time".to_owned();
    let _held = held.ok_or_else(|| ToolError::Fetch { tool, version: version.to_string(), why: why() })?;
    if program.exists() {
        return Ok(program);
    }
    let work = parent.join(format!(".fetch-{version}"));
    remove(&work)?;
    DirBuilder::new().mode(0o700).create(&work).map_err(ToolError::storage("make the folder", &work))?;
    let fetched = match tokio::time::timeout(LIMIT, fetch(settings, tool, version, &work)).await {
        Ok(fetched) => fetched,
        Err(_) => Err(ToolError::Fetch { tool, version: version.to_string(), why: format!("it took more than {} s", LIMIT.as_secs()) }),
    };
    let placed = fetched.and_then(|ready| place(&ready, &target, &parent));
    // An error here would hide a better one; the next fetch removes what is left.
    let _ = std::fs::remove_dir_all(&work);
    placed.map(|()| program)
}

/// Downloads into `work`; returns the folder inside it that is ready to be put into place.
async fn fetch(settings: &Settings, tool: Tool, version: &Version, work: &Path) -> Result<PathBuf, ToolError> {
    let failed = |why: String| ToolError::Fetch { tool, version: version.to_string(), why };
    let untrusted = |why: String| ToolError::Untrusted { tool, version: version.to_string(), why };
    let keyring = settings.keyring(tool).ok_or_else(|| failed(format!("no keyring is set (worker.tools.keyring_{tool})")))?;
    let mirror = Mirror::new(tool, settings.mirror(tool)).map_err(failed)?;
    let release = Release::new(tool, version);

    let sums = mirror.text(&release, &release.sums, MAX_SUMS).await.map_err(failed)?;
    let signed = mirror.text(&release, &release.signature, MAX_SIGNATURE).await.map_err(failed)?;
    let (sums_file, signature_file) = (work.join("sums"), work.join("signature"));
    std::fs::write(&sums_file, &sums).map_err(ToolError::storage("write", &sums_file))?;
    std::fs::write(&signature_file, &signed).map_err(ToolError::storage("write", &signature_file))?;
    signature::verify(keyring, &sums_file, &signature_file, work, &settings.search_path).await.map_err(untrusted)?;

    let promised = promised_sum(&sums, &release.archive).map_err(untrusted)?;
    let archive = work.join("archive.zip");
    mirror.file(&release, &release.archive, MAX_ARCHIVE, &archive).await.map_err(failed)?;
    let found = installed::digest(archive.clone()).await?;
    if found != promised {
        return Err(untrusted(format!("the SHA-256 of {} is {found}, and the signed list says {promised}", release.archive)));
    }

    let ready = work.join("ready");
    DirBuilder::new().mode(0o755).create(&ready).map_err(ToolError::storage("make the folder", &ready))?;
    let program = ready.join(tool.as_str());
    let extracted = tokio::task::spawn_blocking({
        let program = program.clone();
        move || archive::extract(&archive, tool, &program)
    });
    extracted.await.unwrap_or_else(|panic| Err(panic.to_string())).map_err(untrusted)?;
    let digest = installed::digest(program.clone()).await?;
    let beside = installed::digest_file(&program);
    std::fs::write(&beside, format!("{digest}\n")).map_err(ToolError::storage("write", &beside))?;
    Ok(ready)
}

/// The checksum of one file in a list of `<sha256>  <name>` lines.
fn promised_sum(sums: &[u8], name: &str) -> Result<String, String> {
    let text = std::str::from_utf8(sums).map_err(|_| "the list of checksums is not text".to_owned())?;
    let lines = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
    let found: Vec<&str> = lines.filter(|(_, file)| file.trim_start().trim_start_matches('*') == name).map(|(sum, _)| sum).collect();
    match found[..] {
        [sum] if sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(sum.to_ascii_lowercase()),
        [] => Err(format!("the signed list of checksums does not name {name}")),
        _ => Err(format!("the signed list of checksums does not have one SHA-256 for {name}")),
    }
}

fn remove(folder: &Path) -> Result<(), ToolError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ToolError::storage("remove", folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn place(ready: &Path, target: &Path, parent: &Path) -> Result<(), ToolError> {
    let sync = |folder: &Path| std::fs::File::open(folder).and_then(|open| open.sync_all());
    sync(ready).map_err(ToolError::storage("write", ready))?;
    // A folder without a program is what an operator's broken hand-made installation looks like.
    remove(target)?;
    std::fs::rename(ready, target).map_err(ToolError::storage("put into place", target))?;
    sync(parent).map_err(ToolError::storage("write", parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_sum_of_the_right_form_counts() {
        let sum = "A".repeat(64);
        for (text, good) in [
            (format!("{sum}  x.zip\n{sum}  y.zip\n"), true),
            (format!("{sum} *x.zip"), true),
            (format!("{sum}  y.zip\n"), false),
            (format!("{sum}  x.zip\n{sum}  x.zip\n"), false),
            (format!("{}  x.zip\n", &sum[1..]), false),
            (format!("{}g  x.zip\n", &sum[1..]), false),
            (format!("{sum}  ../x.zip\n"), false),
            (String::new(), false),
        ] {
            assert_eq!(promised_sum(text.as_bytes(), "x.zip").is_ok(), good, "{text}");
        }
    }
}
