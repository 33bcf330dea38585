//! Digests of a checkout's files, links included: what a link leads to is what is deployed, so that it counts with the link.

use crate::confine::{Refused, Root};
use proto::path::RepoPath;
use services::hash::Artifact;
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// Largest file that counts, in bytes: as large as a checkout takes.
const MAX_FILE_BYTES: u64 = 100 << 20;

/// Why a file has no digest. The text is meant for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDigested {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("`{path}` cannot be read: {why}")]
    Unreadable { path: String, why: io::Error },
}

/// Digests of the files of one checkout. Each file is read once, however many links lead to it.
pub(super) struct Digests<'r> {
    root: &'r Root,
    /// By where it really lies.
    known: BTreeMap<PathBuf, Content>,
}

/// What a file or a folder holds.
#[derive(Debug, Clone, Copy)]
struct Content {
    digest: [u8; 32],
    /// It is a file that may be run: hosts are given it so.
    executable: bool,
}

impl<'r> Digests<'r> {
    pub(super) fn of(root: &'r Root) -> Self {
        Self { root, known: BTreeMap::new() }
    }

    /// The digest of a file; of a link, that of what it leads to, and where that is. Blocking.
    pub(super) fn artifact(&mut self, path: &RepoPath) -> Result<Artifact, NotDigested> {
        let link = self.link(path.as_str())?;
        let Content { digest, executable } = match self.content(path.as_str()) {
            // No part of the commit: the link alone counts.
            Err(NotDigested::Refused(Refused::Missing(_) | Refused::LeadsOut(_) | Refused::Loop(_))) if link.is_some() => {
                Content { digest: Sha256::digest(b"").into(), executable: false }
            }
            content => content?,
        };
        Ok(Artifact { path: path.clone(), digest, executable, link })
    }

    /// Where a link says that it leads; of anything else nothing.
    fn link(&self, path: &str) -> Result<Option<Vec<u8>>, NotDigested> {
        let place = self.root.path().join(path);
        let unreadable = |why| NotDigested::Unreadable { path: path.to_owned(), why };
        if !place.symlink_metadata().map_err(unreadable)?.is_symlink() {
            return Ok(None);
        }
        let target = place.read_link().map_err(|why| NotDigested::Unreadable { path: path.to_owned(), why })?;
        Ok(Some(target.as_os_str().as_bytes().to_vec()))
    }

    fn content(&mut self, path: &str) -> Result<Content, NotDigested> {
        let file = match self.root.regular_file(path, MAX_FILE_BYTES) {
            Err(Refused::WrongKind { found: "directory", .. }) => return self.folder(path),
            file => file?,
        };
        if let Some(content) = self.known.get(&file.path) {
            return Ok(*content);
        }
        let (place, executable) = (file.path.clone(), file.is_executable());
        let content = Content { digest: Sha256::digest(file.read()?).into(), executable };
        self.known.insert(place, content);
        Ok(content)
    }

    /// Of all files below a folder with their names. Of links in it only where they lead: they may lead in a circle.
    fn folder(&mut self, path: &str) -> Result<Content, NotDigested> {
        let place = self.root.directory(path)?;
        if let Some(content) = self.known.get(&place) {
            return Ok(*content);
        }
        let unreadable = |why| NotDigested::Unreadable { path: path.to_owned(), why };
        let mut names = listed(&place).map_err(unreadable)?;
        names.sort_unstable();
        let within = place.strip_prefix(self.root.path()).unwrap_or(Path::new("")).to_owned();
        let mut all = Sha256::new();
        for name in names {
            let path = within.join(&name).display().to_string();
            let (kind, content) = match self.link(&path)? {
                Some(target) => (b'l', target),
                None => match self.content(&path)? {
                    Content { digest, executable: true } => (b'x', digest.to_vec()),
                    Content { digest, executable: false } => (b'f', digest.to_vec()),
                },
            };
            for field in [name.as_bytes(), &[kind], &content] {
                all.update((field.len() as u64).to_be_bytes());
                all.update(field);
            }
        }
        let content = Content { digest: all.finalize().into(), executable: false };
        self.known.insert(place, content);
        Ok(content)
    }
}

/// All files and links below a folder, relative to it. Links are not followed.
pub(super) fn listed(folder: &Path) -> io::Result<Vec<String>> {
    let mut open = vec![(folder.to_owned(), String::new())];
    let mut files = Vec::new();
    while let Some((dir, prefix)) = open.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            // A name that is not UTF-8 cannot be named by a compose file either.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                open.push((entry.path(), format!("{path}/")));
            } else {
                files.push(path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    /// The artifact `x` of a checkout that is made like this.
    fn artifact(make: impl FnOnce(&Path)) -> Artifact {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        let root = Root::new(dir.path()).unwrap();
        Digests::of(&root).artifact(&"x".parse().unwrap()).unwrap()
    }

    fn linked(to: &str, content: &str) -> Artifact {
        artifact(|dir| {
            fs::create_dir(dir.join("d")).unwrap();
            fs::write(dir.join("d/a"), content).unwrap();
            fs::write(dir.join("b"), content).unwrap();
            // A circle that ends.
            symlink("..", dir.join("d/up")).unwrap();
            symlink(to, dir.join("x")).unwrap();
        })
    }

    #[test]
    fn a_link_counts_with_what_it_leads_to() {
        let plain = artifact(|dir| fs::write(dir.join("x"), "one").unwrap());
        assert_eq!((plain.digest, &plain.link), (Sha256::digest("one").into(), &None));
        let to_file = linked("d/a", "one");
        assert_eq!((to_file.digest, to_file.link.as_deref()), (plain.digest, Some(b"d/a".as_slice())));
        assert_ne!(linked("d/a", "two"), to_file, "another content");
        assert_ne!(linked("b", "one"), to_file, "another target of the same content");
        let to_folder = linked("d", "one");
        assert_ne!(linked("d", "two"), to_folder);
        assert_eq!(linked("d", "one"), to_folder);
        for nowhere in ["gone", "x", "/etc/hostname", "../../etc"] {
            assert_eq!(linked(nowhere, "one").digest, <[u8; 32]>::from(Sha256::digest("")), "{nowhere}");
        }
    }

    #[test]
    fn whether_a_file_may_be_run_counts_also_behind_a_link() {
        let of = |mode: u32, link: Option<&str>| {
            artifact(|dir| {
                fs::create_dir(dir.join("d")).unwrap();
                let place = if link.is_some() { dir.join("d/run") } else { dir.join("x") };
                fs::write(&place, "exit").unwrap();
                fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
                link.map(|to| symlink(to, dir.join("x")).unwrap()).unwrap_or_default();
            })
        };
        for link in [None, Some("d/run"), Some("d")] {
            assert_ne!(of(0o755, link), of(0o644, link), "{link:?}");
            assert_eq!(of(0o600, link), of(0o644, link), "what else its mode says is not kept by git: {link:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_also_behind_a_link() {
        let dir = tempfile::tempdir().unwrap();
        fs::File::create(dir.path().join("a")).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        symlink("a", dir.path().join("x")).unwrap();
        let root = Root::new(dir.path()).unwrap();
        let refused = Digests::of(&root).artifact(&"x".parse().unwrap());
        assert!(matches!(refused, Err(NotDigested::Refused(Refused::TooLarge { .. }))), "{refused:?}");
    }
}
