//! One folder of a commit, without `.git`, as an order's own copy. What the network has to give comes through the git
//! cache: once for each repository and commit, however many orders ask.

use super::{Logins, Means, Prepared, SourceError, room::Room};
use crate::{
    confine::Root,
    git::{Checkout, GitError, Sink, Source},
};
use proto::{
    git::{CommitId, GitRef, Scheme},
    orders::GitSource,
};
use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

pub(super) async fn copy(source: &GitSource, means: &Means<'_>, room: &Room, says: &mut Sink<'_>) -> Result<Prepared, SourceError> {
    let reference: GitRef = source.commit.as_deref().unwrap_or("HEAD").parse().map_err(SourceError::Commit)?;
    let (first, second) = ways(source, means.logins);
    says("Cloning repository...");
    let checkout = match (checkout(first, &reference, means, room, says).await, second) {
        (Ok(checkout), _) => checkout,
        (Err(error), Some(second)) if is_no_way_in(&error) => {
            says(&format!("{error}; trying {} with the SSH key", second.url));
            let again = checkout(second, &reference, means, room, says).await;
            again.map_err(|second| SourceError::NoWayIn { first: Box::new(error), second: Box::new(second) })?
        }
        (Err(error), _) => return Err(SourceError::Git(error)),
    };
    let (commit, folder) = (checkout.commit.clone(), source.folder.as_str().to_owned());
    let dest = room.dest().to_owned();
    let found = room.blocking(move |stop| take_folder(&checkout, &folder, &dest, stop)).await?;
    says(&format!("Checked out {reference} at {commit} ({} files)", found.files));
    for submodule in &found.submodules {
        says(&format!("⚠ {submodule} is a submodule; submodules are not fetched"));
    }
    for link in &found.links_out {
        says(&format!("⚠ the symbolic link {link} leads out of the order's folder: what it points at is not there"));
    }
    Ok(Prepared { dir: room.dest().to_owned(), commit: Some(commit), files: found.files, links_out: found.links_out })
}

/// The way to try first, and the one to try when that does not let us in. The token goes first, then the SSH key; without
/// a token and with a key, the key alone.
fn ways<'a>(source: &'a GitSource, logins: &'a Logins) -> (Source<'a>, Option<Source<'a>>) {
    let (token, key) = (logins.token.as_ref(), logins.ssh_key.as_ref());
    let auth = match source.url.scheme() {
        Scheme::Http | Scheme::Https => token,
        Scheme::Ssh => key,
    };
    let first = Source { url: &source.url, auth };
    let second = source.ssh_url.as_ref().filter(|url| key.is_some() && **url != source.url).map(|url| Source { url, auth: key });
    match (first.auth, second) {
        (None, Some(second)) => (second, None),
        _ => (first, second),
    }
}

/// Whether another address or login may help: we were not let in, or did not come as far as the door.
fn is_no_way_in(error: &GitError) -> bool {
    matches!(
        error,
        GitError::NotAllowed(_)
            | GitError::AddressRefused { .. }
            | GitError::UnknownHost { .. }
            | GitError::LoginNeeded { .. }
            | GitError::LoginRefused { .. }
            | GitError::LoginDoesNotFit { .. }
            | GitError::LoginUnusable { .. }
            | GitError::RepositoryNotFound { .. }
            | GitError::RedirectRefused { .. }
            | GitError::Unreachable { .. }
            | GitError::Tls { .. }
    )
}

/// The whole commit, in the room's scratch folder. Only what is no full commit id costs a question to the server.
async fn checkout(
    source: Source<'_>,
    reference: &GitRef,
    means: &Means<'_>,
    room: &Room,
    says: &mut Sink<'_>,
) -> Result<Checkout, GitError> {
    let commit: CommitId = match reference.full_commit() {
        Some(commit) => commit,
        None => means.known.resolve(means.git, source, reference, says).await?.commit,
    };
    // The reference helps servers that give no commit by its id.
    means.git.fetch(source, &commit, Some(reference), says).await?;
    means.git.checkout(source, &commit, &room.checkout(), says).await
}

/// What is in the order's folder.
#[derive(Default)]
struct Found {
    files: u64,
    links_out: Vec<String>,
    submodules: Vec<String>,
}

/// Makes the folder of a checkout the order's. Where a link leads to it, what it leads to is taken.
fn take_folder(checkout: &Checkout, folder: &str, dest: &Path, stop: &AtomicBool) -> Result<Found, SourceError> {
    let top = Root::new(&checkout.root).map_err(SourceError::Folder)?;
    let real = top.directory(folder).map_err(SourceError::Folder)?;
    std::fs::set_permissions(&real, Permissions::from_mode(0o700)).map_err(SourceError::disk("open", &real))?;
    let inside = real.strip_prefix(top.path()).unwrap_or(Path::new("")).to_owned();
    std::fs::rename(&real, dest).map_err(SourceError::disk("make", dest))?;
    let mut found = look_through(dest, stop)?;
    let below = |path: &String| Path::new(path).strip_prefix(&inside).ok().map(|rest| rest.display().to_string());
    found.submodules = checkout.submodules.iter().filter_map(below).collect();
    Ok(found)
}

/// Counts, and finds the links that lead out: those into other folders of the repository do so now.
fn look_through(dest: &Path, stop: &AtomicBool) -> Result<Found, SourceError> {
    let root = Root::new(dest).map_err(SourceError::Folder)?;
    let (mut found, mut open) = (Found::default(), vec![PathBuf::new()]);
    while let Some(folder) = open.pop() {
        let at = dest.join(&folder);
        for entry in std::fs::read_dir(&at).map_err(SourceError::disk("read", &at))? {
            let entry = entry.map_err(SourceError::disk("read", &at))?;
            let (path, kind) = (folder.join(entry.file_name()), entry.file_type().map_err(SourceError::disk("read", &at))?);
            if kind.is_dir() {
                open.push(path);
                continue;
            }
            found.files += 1;
            if kind.is_symlink() && root.leads_out(&path) {
                found.links_out.push(path.display().to_string());
            }
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    found.links_out.sort_unstable();
    Ok(found)
}
