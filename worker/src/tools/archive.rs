//! Taking the one program out of a release archive, and nothing else.
//!
//! The archive was signed by its maker before it comes here; it is read as if it were not. Only names on a short list may
//! be in it, only one entry is ever written, and it is written to a path that we chose.

use proto::terraform::Tool;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use zip::ZipArchive;

/// What makers put beside the program.
const PAPERS: &[&str] = &["LICENSE", "LICENSE.txt", "README.md", "CHANGELOG.md"];

/// Largest program, in bytes.
const MAX_PROGRAM: u64 = 512 * 1024 * 1024;

/// Writes the program of `tool` to `program`, which must not be there yet, with mode 0555.
pub(super) fn extract(archive: &Path, tool: Tool, program: &Path) -> Result<(), String> {
    let mut file = File::open(archive).map_err(|error| format!("the archive cannot be opened: {error}"))?;
    let announced = announced_entries(&mut file).map_err(|error| format!("the archive is damaged: {error}"))?;
    let mut zip = ZipArchive::new(file).map_err(|error| format!("the archive is damaged: {error}"))?;
    // The reader keeps one entry of each name: fewer than announced means that two have the same one.
    if zip.len() != usize::from(announced) {
        return Err("the archive holds two entries of the same name".to_owned());
    }
    let mut found = None;
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(|error| format!("the archive is damaged: {error}"))?;
        let name = entry.name().to_owned();
        let plain =
            entry.is_file() && !entry.is_symlink() && entry.unix_mode().is_none_or(|mode| matches!(mode & 0o170_000, 0 | 0o100_000));
        if !plain {
            return Err(format!("the archive holds `{}`, which is not a plain file", name.escape_debug()));
        }
        if name == tool.as_str() {
            found = Some(index);
        } else if !PAPERS.contains(&name.as_str()) {
            return Err(format!("the archive holds `{}`, which is not part of a release", name.escape_debug()));
        }
    }
    let index = found.ok_or_else(|| format!("the archive holds no `{tool}`"))?;
    write(&mut zip, index, program)
}

fn write(zip: &mut ZipArchive<File>, index: usize, program: &Path) -> Result<(), String> {
    let unwritable = |error: io::Error| format!("cannot write {}: {error}", program.display());
    let entry = zip.by_index(index).map_err(|error| format!("the archive is damaged: {error}"))?;
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o555).open(program).map_err(unwritable)?;
    let written = io::copy(&mut entry.take(MAX_PROGRAM + 1), &mut out).map_err(unwritable)?;
    if written > MAX_PROGRAM {
        return Err(format!("the program in the archive is larger than {MAX_PROGRAM} bytes"));
    }
    out.sync_all().map_err(unwritable)
}

/// How many entries the archive's last record announces.
fn announced_entries(file: &mut File) -> io::Result<u16> {
    const RECORD: usize = 22;
    let length = file.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub(RECORD as u64 + u64::from(u16::MAX));
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    file.rewind()?;
    let records = end.windows(RECORD).rev().find(|window| window.starts_with(b"PK\x05\x06"));
    let record = records.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no end record"))?;
    Ok(u16::from_le_bytes([record[10], record[11]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use zip::write::{SimpleFileOptions, ZipWriter};

    enum Entry<'a> {
        File(&'a str),
        Link(&'a str),
        Folder(&'a str),
    }

    fn attempt(entries: &[Entry<'_>]) -> Result<Vec<u8>, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let archive = dir.path().join("a.zip");
        let mut zip = ZipWriter::new(File::create(&archive).expect("created"));
        let options = SimpleFileOptions::default();
        for entry in entries {
            match entry {
                Entry::File(name) => zip.start_file(*name, options.unix_permissions(0o755)).and_then(|()| Ok(zip.write_all(b"program")?)),
                Entry::Link(name) => zip.add_symlink(*name, "/bin/sh", options),
                Entry::Folder(name) => zip.add_directory(*name, options),
            }
            .expect("written");
        }
        zip.finish().expect("finished");
        let bytes = std::fs::read(&archive).expect("read");
        extract_bytes(dir.path(), &bytes)
    }

    fn extract_bytes(dir: &Path, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let (archive, program) = (dir.join("b.zip"), dir.join("program"));
        std::fs::write(&archive, bytes).expect("written");
        extract(&archive, Tool::Terraform, &program).map(|()| std::fs::read(&program).expect("there"))
    }

    #[test]
    fn the_program_comes_out_of_an_honest_archive() {
        assert_eq!(attempt(&[Entry::File("LICENSE.txt"), Entry::File("terraform")]), Ok(b"program".to_vec()));
    }

    #[test]
    fn everything_else_is_refused() {
        for (entries, why) in [
            (vec![Entry::File("terraform"), Entry::File("../../etc/cron.d/x")], "not part of a release"),
            (vec![Entry::File("terraform"), Entry::File("/etc/passwd")], "not part of a release"),
            (vec![Entry::File("terraform"), Entry::File("terraform-provider-x")], "not part of a release"),
            (vec![Entry::File("bin/terraform")], "not part of a release"),
            (vec![Entry::Link("terraform")], "not a plain file"),
            (vec![Entry::File("terraform"), Entry::Link("LICENSE")], "not a plain file"),
            (vec![Entry::File("terraform"), Entry::Folder("README.md/")], "not a plain file"),
            (vec![Entry::File("LICENSE")], "holds no `terraform`"),
            (vec![], "holds no `terraform`"),
        ] {
            let refused = attempt(&entries).expect_err(why);
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn two_entries_of_one_name_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for name in ["terraform", "terrafork"] {
            zip.start_file(name, SimpleFileOptions::default()).and_then(|()| Ok(zip.write_all(b"x")?)).expect("written");
        }
        let bytes = zip.finish().expect("finished").into_inner();
        let twins = replace(&bytes, b"terrafork", b"terraform");
        assert!(extract_bytes(dir.path(), &twins).expect_err("twins").contains("two entries"));
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        for bytes in [&b""[..], b"PK\x05\x06", b"not a zip at all", &[0; 4096]] {
            assert!(extract_bytes(dir.path(), bytes).is_err());
        }
    }

    fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for at in 0..=out.len() - from.len() {
            if out[at..].starts_with(from) {
                out[at..at + to.len()].copy_from_slice(to);
            }
        }
        out
    }
}
