//! Unpacking. A bundle lay somewhere and may have been changed: nothing in it leads out of the folder it is unpacked into,
//! and it unpacks to no more than it may.

use super::{BundleError, CREDENTIAL_NAMES, NAMES, RESERVED, SECRETS};
use crate::sops::{self, Identities};
use proto::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;
use zip::ZipArchive;
use zip::read::ZipFile;

/// Largest file beside the code, in bytes.
const MAX_OWN_FILE: u64 = 16 << 20;
const MAX_ENTRIES: usize = 200_000;
const MAX_LINK: u64 = 4096;

/// A bundle, open.
#[derive(Debug)]
pub struct Bundle<R>(ZipArchive<R>);

impl<R: Read + Seek> Bundle<R> {
    pub fn open(reader: R) -> Result<Self, BundleError> {
        Ok(Self(ZipArchive::new(reader)?))
    }

    /// The environment, decrypted.
    pub fn environment(&mut self, identities: &Identities) -> Result<BTreeMap<String, Secret>, BundleError> {
        Ok(sops::decrypt(&self.own_file(SECRETS)?, identities)?)
    }

    /// The names of the environment, without a key.
    pub fn names(&mut self) -> Result<BTreeSet<String>, BundleError> {
        self.lines(NAMES)
    }

    /// The names that hold a fetched credential.
    pub fn credential_names(&mut self) -> Result<BTreeSet<String>, BundleError> {
        self.lines(CREDENTIAL_NAMES)
    }

    /// Unpacks the code into an empty folder of nobody else's, at most `max_bytes`. Blocking.
    pub fn extract_code(&mut self, folder: &Path, max_bytes: u64) -> Result<(), BundleError> {
        if self.0.len() > MAX_ENTRIES {
            return Err(BundleError::TooLarge(max_bytes, MAX_ENTRIES));
        }
        let (mut left, mut links) = (max_bytes, Vec::new());
        for index in 0..self.0.len() {
            let mut entry = self.0.by_index(index)?;
            let name = entry.name().to_owned();
            if RESERVED.contains(&name.as_str()) {
                continue;
            }
            if !stays_inside(name.trim_end_matches('/')) {
                return Err(BundleError::Entry(shown(&name)));
            }
            if entry.is_symlink() {
                links.push((name, link_target(&mut entry)?));
            } else {
                left = unpack(&mut entry, &folder.join(&name), left, max_bytes)?;
            }
        }
        // At the end, so that nothing is ever written through one.
        links.iter().try_for_each(|(name, target)| link(folder, name, target))
    }

    fn lines(&mut self, name: &'static str) -> Result<BTreeSet<String>, BundleError> {
        let text = String::from_utf8(self.own_file(name)?).map_err(|_| BundleError::Missing(name))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn own_file(&mut self, name: &'static str) -> Result<Vec<u8>, BundleError> {
        let entry = self.0.by_name(name).map_err(|_| BundleError::Missing(name))?;
        let mut content = Vec::new();
        let read = entry.take(MAX_OWN_FILE + 1).read_to_end(&mut content);
        if read.is_err() || content.len() as u64 > MAX_OWN_FILE { Err(BundleError::Missing(name)) } else { Ok(content) }
    }
}

/// Whether a path is one of names only.
fn stays_inside(path: &str) -> bool {
    !path.contains(['\\', '\0']) && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn shown(name: &str) -> String {
    crate::variables::shown(name)
}

/// Writes a file or makes a folder; answers with how many bytes may still come.
fn unpack(entry: &mut ZipFile<'_, impl Read>, path: &Path, left: u64, max_bytes: u64) -> Result<u64, BundleError> {
    let name = shown(entry.name());
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => BundleError::Entry(name.clone()),
        _ => BundleError::File { operation: "cannot unpack", path: name.clone(), source: error },
    };
    if entry.is_dir() {
        fs::create_dir_all(path).map_err(failed)?;
        return Ok(left);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mode = if entry.unix_mode().is_some_and(|mode| mode & 0o100 != 0) { 0o755 } else { 0o644 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    let bytes = io::copy(&mut entry.take(left + 1), &mut file).map_err(failed)?;
    left.checked_sub(bytes).ok_or(BundleError::TooLarge(max_bytes, MAX_ENTRIES))
}

fn link_target(entry: &mut ZipFile<'_, impl Read>) -> Result<String, BundleError> {
    let (name, mut target) = (shown(entry.name()), String::new());
    let read = entry.take(MAX_LINK + 1).read_to_string(&mut target);
    if read.is_err() || target.is_empty() || target.len() as u64 > MAX_LINK { Err(BundleError::Entry(name)) } else { Ok(target) }
}

/// Makes a link that goes up no further than the top, and only then down. Its own folder is a real one, so that going up
/// from it means what it says; where other links lead is checked on those.
fn link(folder: &Path, name: &str, target: &str) -> Result<(), BundleError> {
    let depth = name.split('/').count() - 1;
    let parts: Vec<&str> = target.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let ups = parts.iter().take_while(|part| **part == "..").count();
    let down = &parts[ups..];
    if target.starts_with('/') || ups > depth || !(down.is_empty() || stays_inside(&down.join("/"))) {
        return Err(BundleError::Entry(shown(name)));
    }
    let path = folder.join(name);
    let failed = |source| BundleError::File { operation: "cannot link", path: shown(name), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
        // Below another link of this bundle? Then going up would mean something else.
        let meant = folder.canonicalize().map_err(failed)?.join(Path::new(name).parent().unwrap_or(Path::new("")));
        if parent.canonicalize().map_err(failed)? != meant.components().collect::<std::path::PathBuf>() {
            return Err(BundleError::Entry(shown(name)));
        }
    }
    symlink(target, &path).map_err(failed)
}
