//! Where the state is kept, as `init` wrote it down: read from what it left behind, not from the configuration, because the
//! tool knows better which block and which setting counts.
//!
//! The backend `local` is confined: it writes where its path leads, with the rights of the worker. Inside the checkout it
//! does no harm; outside, only in folders that an operator has listed.

use super::{Unfinished, Workplace, step::Step};
use crate::confine::Root;
use serde::Deserialize;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

/// What the tool writes down about the backend after `init`, below the working directory.
const RECORD: &str = ".terraform/terraform.tfstate";
const MAX_RECORD: u64 = 1024 * 1024;

/// Where the state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Backend {
    /// In the checkout, which is deleted after the job.
    Checkout,
    Elsewhere,
}

#[derive(Deserialize)]
struct Record {
    backend: Option<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    config: Option<LocalConfig>,
}

/// The settings of `local`; of another backend, whatever has the same names.
#[derive(Default, Deserialize)]
struct LocalConfig {
    #[serde(default)]
    path: Option<serde_json::Value>,
    #[serde(default)]
    workspace_dir: Option<serde_json::Value>,
}

/// Which backend `init` has set up.
///
/// # Errors
/// It is `local`, and one of its paths leads to where a job may not write.
pub(super) fn after_init(place: &Workplace<'_>) -> Result<Backend, Unfinished> {
    // Without a backend block nothing is left behind.
    let Ok(file) = std::fs::File::open(place.dir().join(RECORD)) else { return Ok(Backend::Checkout) };
    let mut text = Vec::new();
    let read = file.take(MAX_RECORD).read_to_end(&mut text);
    let record = read.ok().and_then(|_| serde_json::from_slice::<Record>(&text).ok());
    match record.map(|record| record.backend) {
        Some(None) => Ok(Backend::Checkout),
        Some(Some(backend)) if backend.kind == "local" => local(place, backend.config.unwrap_or_default()),
        // Not readable: somebody's newer format.
        Some(Some(_)) | None => Ok(Backend::Elsewhere),
    }
}

fn local(place: &Workplace<'_>, config: LocalConfig) -> Result<Backend, Unfinished> {
    let mut kept = Backend::Checkout;
    for path in [config.path, config.workspace_dir].into_iter().flatten() {
        // `null` is the usual name in the working directory.
        let Some(path) = path.as_str().filter(|path| !path.is_empty()) else { continue };
        let full = cleaned(&place.dir().join(path));
        if is_inside(place, path, &full) {
            continue;
        }
        if !place.order.setup.local_state_dirs.iter().any(|dir| is_below(&full, dir)) {
            return Err(refused(path));
        }
        kept = Backend::Elsewhere;
    }
    Ok(kept)
}

/// Without `.` and `..`, as the tool makes folders from it.
fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => clean.push(part),
        }
    }
    clean
}

/// Both as it is spelled and as the links on the way lead.
fn is_inside(place: &Workplace<'_>, path: &str, full: &Path) -> bool {
    let Ok(root) = Root::new(place.root()) else { return false };
    let (Ok(dir), Ok(below)) = (place.dir().strip_prefix(place.root()), full.strip_prefix(place.root())) else { return false };
    let spelled = dir.join(path);
    !root.leads_out(below) && (spelled.is_absolute() || !root.leads_out(&spelled))
}

/// Below a folder, links resolved as far as the path exists.
fn is_below(full: &Path, dir: &Path) -> bool {
    let Ok(dir) = dir.canonicalize() else { return false };
    let there = full.ancestors().find_map(|known| Some((known, known.canonicalize().ok()?)));
    there.is_some_and(|(known, real)| full.strip_prefix(known).is_ok_and(|rest| real.join(rest).starts_with(&dir)))
}

fn refused(path: &str) -> Unfinished {
    let path: String = path.chars().take(200).flat_map(char::escape_debug).collect();
    Step::Init.failed(
        Some("backend"),
        &format!(
            "the backend \"local\" keeps its state in `{path}`, which is outside of the repository: a job writes only into its own checkout"
        ),
        "Use a backend that every worker reaches (http, s3, …), or ask an operator to list the folder in worker.local_state_dirs.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_what_really_lies_in_it() {
        let top = tempfile::tempdir().expect("a folder");
        let (shared, other) = (top.path().join("shared"), top.path().join("other"));
        std::fs::create_dir(&shared).and_then(|()| std::fs::create_dir(&other)).expect("made");
        std::os::unix::fs::symlink(&other, shared.join("link")).expect("linked");
        for (path, inside) in [
            ("shared/state", true),
            ("shared/not/yet/there/state", true),
            ("shared/../other/state", false),
            ("shared/link/state", false),
            ("shared-too/state", false),
            ("state", false),
        ] {
            assert_eq!(is_below(&cleaned(&top.path().join(path)), &shared), inside, "{path}");
        }
        assert!(!is_below(&top.path().join("x/state"), &top.path().join("x")), "a folder that is not there holds nothing");
    }
}
