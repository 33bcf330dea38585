//! Packing. The archive depends on names and contents alone, not on times or on the order a disk gives them in; the
//! encryption is new each time.

use super::{BundleError, CREDENTIAL_NAMES, NAMES, RESERVED, SECRETS};
use crate::merge::OrderEnvironment;
use crate::sops;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Writes the bundle of an order: its environment for an age recipient (`age1…`), and its code. Blocking.
pub fn write<W: Write + Seek>(out: W, environment: &OrderEnvironment, recipient: &str, code: Option<&Path>) -> Result<W, BundleError> {
    let mut zip = ZipWriter::new(out);
    let secrets = sops::encrypt(&environment.variables, recipient)?;
    text(&mut zip, SECRETS, &secrets)?;
    text(&mut zip, NAMES, &lines(environment.variables.keys()))?;
    text(&mut zip, CREDENTIAL_NAMES, &lines(&environment.credential_names))?;
    if let Some(code) = code {
        folder(&mut zip, code, "")?;
    }
    Ok(zip.finish()?)
}

fn lines<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().flat_map(|name| [name.as_str(), "\n"]).collect()
}

fn text<W: Write + Seek>(zip: &mut ZipWriter<W>, name: &str, content: &str) -> Result<(), BundleError> {
    zip.start_file(name, SimpleFileOptions::default().unix_permissions(0o600))?;
    zip.write_all(content.as_bytes()).map_err(|error| failed("cannot write", name, error))
}

fn failed(operation: &'static str, path: &str, source: io::Error) -> BundleError {
    BundleError::File { operation, path: path.to_owned(), source }
}

/// Packs what lies in a folder; `inside` is its path in the bundle, empty or with a slash at its end.
fn folder<W: Write + Seek>(zip: &mut ZipWriter<W>, path: &Path, inside: &str) -> Result<(), BundleError> {
    let unreadable = |error| failed("cannot read the folder", inside, error);
    let mut entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = || BundleError::Kind(format!("{inside}{}", entry.file_name().to_string_lossy()));
        let name = format!("{inside}{}", entry.file_name().to_str().ok_or_else(kind)?);
        if RESERVED.contains(&name.as_str()) {
            return Err(BundleError::Reserved(name));
        }
        let file_type = entry.file_type().map_err(|error| failed("cannot examine", &name, error))?;
        if file_type.is_dir() {
            zip.add_directory(name.as_str(), SimpleFileOptions::default().unix_permissions(0o755))?;
            folder(zip, &entry.path(), &format!("{name}/"))?;
        } else if file_type.is_symlink() {
            let target = fs::read_link(entry.path()).map_err(|error| failed("cannot read the link", &name, error))?;
            zip.add_symlink(name.as_str(), target.to_str().ok_or_else(kind)?, SimpleFileOptions::default())?;
        } else if file_type.is_file() {
            file(zip, &entry.path(), &name)?;
        } else {
            return Err(kind());
        }
    }
    Ok(())
}

fn file<W: Write + Seek>(zip: &mut ZipWriter<W>, path: &Path, name: &str) -> Result<(), BundleError> {
    // What was looked at a moment ago may be a link or a pipe by now.
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let unreadable = |error| failed("cannot read", name, error);
    let mut content: File = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let about = content.metadata().map_err(unreadable)?;
    let mode = if about.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
    let large = about.len() >= u64::from(u32::MAX);
    zip.start_file(name, SimpleFileOptions::default().unix_permissions(mode).large_file(large))?;
    io::copy(&mut content, zip).map_err(unreadable)?;
    Ok(())
}
