//! Which entries of an archive are taken: by name, by kind, and by how they are packed. Pure.

use super::{BadArchive, BadEntry, UnpackLimits};
use std::collections::HashMap;

/// Longest name, in bytes: what the kernel takes for a path leaves room for the folder above it.
const MAX_NAME: usize = 1024;
/// Longest part of a name, in bytes: what file systems take.
const MAX_PART: usize = 255;

const KIND: u32 = 0o170_000;
const KIND_FILE: u32 = 0o100_000;
const KIND_FOLDER: u32 = 0o040_000;
const KIND_LINK: u32 = 0o120_000;
/// The mark of a folder in the attributes that DOS knew.
const DOS_FOLDER: u32 = 0x10;

/// Flags of encryption: of the content, strong, of the list.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// The content is a difference to another file.
const PATCH: u16 = 1 << 5;

/// How the content is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Stored,
    Deflated,
}

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File { executable: bool },
}

/// What the list says about an entry, before anything of it is believed.
#[derive(Debug, Clone)]
pub(super) struct Listed<'a> {
    pub(super) name: &'a str,
    pub(super) flags: u16,
    pub(super) attributes: u32,
    pub(super) unpacked: u32,
}

/// The canonical path of a name: without a leading `./` and a trailing slash. Empty for the top itself.
pub(super) fn path<'a>(name: &'a str, limits: &UnpackLimits) -> Result<&'a str, BadEntry> {
    if name.is_empty() {
        return Err(BadEntry::NoName);
    }
    if name.chars().any(char::is_control) {
        return Err(BadEntry::Control);
    }
    if name.contains('\\') {
        return Err(BadEntry::Backslash);
    }
    if name.starts_with('/') {
        return Err(BadEntry::Absolute);
    }
    if matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return Err(BadEntry::Drive);
    }
    if name.split('/').any(|part| part == "..") {
        return Err(BadEntry::Leaves);
    }
    // Some writers begin every name like this; `./` alone is the folder itself.
    let path = name.strip_prefix("./").unwrap_or(name);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return if name == "./" { Ok("") } else { Err(BadEntry::NotPlain) };
    }
    if path.split('/').any(|part| part.is_empty() || part == ".") {
        return Err(BadEntry::NotPlain);
    }
    if path.len() > MAX_NAME || path.split('/').any(|part| part.len() > MAX_PART) {
        return Err(BadEntry::TooLong);
    }
    if path.split('/').count() > limits.depth {
        return Err(BadEntry::TooDeep { limit: limits.depth });
    }
    Ok(path)
}

/// What becomes of an entry, by everything but its path.
pub(super) fn kind(listed: &Listed<'_>) -> Result<Kind, BadEntry> {
    if listed.flags & ENCRYPTED != 0 {
        return Err(BadEntry::Encrypted);
    }
    let folder = listed.name.ends_with('/');
    // Where the upper half is set it holds a Unix mode, whatever system the archive says that it is from.
    let mode = listed.attributes >> 16;
    match (mode & KIND, folder) {
        (0 | KIND_FOLDER, true) => {}
        (0, false) if listed.attributes & DOS_FOLDER == 0 => {}
        (KIND_FILE, false) => {}
        (KIND_LINK, _) => return Err(BadEntry::Link),
        _ => return Err(BadEntry::Special),
    }
    if !folder {
        // Only this bit of the mode is kept, so that nothing runs with another's rights.
        return Ok(Kind::File { executable: mode & 0o100 != 0 });
    }
    if listed.unpacked == 0 { Ok(Kind::Folder) } else { Err(BadEntry::FolderWithContent) }
}

pub(super) fn packing(flags: u16, method: u16) -> Result<Packing, BadEntry> {
    match method {
        _ if flags & PATCH != 0 => Err(BadEntry::Special),
        0 => Ok(Packing::Stored),
        8 => Ok(Packing::Deflated),
        other => Err(BadEntry::Method(other)),
    }
}

/// What stands under each path so far.
#[derive(Debug, Default)]
pub(super) struct Taken<'a>(HashMap<&'a str, Place>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    File,
    /// Listed by itself.
    Folder,
    /// Only on the way to something listed.
    Passage,
}

impl<'a> Taken<'a> {
    pub(super) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Takes a path, and every folder on the way to it.
    pub(super) fn take(&mut self, path: &'a str, kind: Kind) -> Result<(), BadArchive> {
        let refused = |why| Err(BadArchive::entry(path, why));
        for (slash, _) in path.match_indices('/') {
            if *self.0.entry(&path[..slash]).or_insert(Place::Passage) == Place::File {
                return refused(BadEntry::BelowFile);
            }
        }
        let place = match kind {
            Kind::Folder => Place::Folder,
            Kind::File { .. } => Place::File,
        };
        match (self.0.insert(path, place), place) {
            (None, _) | (Some(Place::Passage), Place::Folder) => Ok(()),
            // The file that is listed late is below itself, as it were: others already lie below it.
            (Some(Place::Passage), _) => refused(BadEntry::BelowFile),
            (Some(Place::File | Place::Folder), _) => refused(BadEntry::Twice),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_path_or_is_refused() {
        let limits = UnpackLimits { depth: 4, ..UnpackLimits::default() };
        let long = "x".repeat(256);
        for (name, expected) in [
            ("a", Ok("a")),
            ("./a", Ok("a")),
            ("./", Ok("")),
            ("a/b.tf", Ok("a/b.tf")),
            ("a b/ü/~/…/", Ok("a b/ü/~/…")),
            (".git/...", Ok(".git/...")),
            ("", Err(BadEntry::NoName)),
            (".", Err(BadEntry::NotPlain)),
            ("././a", Err(BadEntry::NotPlain)),
            ("a//b", Err(BadEntry::NotPlain)),
            (".//a", Err(BadEntry::NotPlain)),
            ("a/./b", Err(BadEntry::NotPlain)),
            ("a//", Err(BadEntry::NotPlain)),
            ("/", Err(BadEntry::Absolute)),
            ("//a", Err(BadEntry::Absolute)),
            ("/etc/passwd", Err(BadEntry::Absolute)),
            ("..", Err(BadEntry::Leaves)),
            ("../x", Err(BadEntry::Leaves)),
            ("./../x", Err(BadEntry::Leaves)),
            ("a/../../x", Err(BadEntry::Leaves)),
            ("a/..", Err(BadEntry::Leaves)),
            ("a\\b", Err(BadEntry::Backslash)),
            ("..\\x", Err(BadEntry::Backslash)),
            ("C:x", Err(BadEntry::Drive)),
            ("c:/x", Err(BadEntry::Drive)),
            ("a\0.tf", Err(BadEntry::Control)),
            ("a\nb", Err(BadEntry::Control)),
            ("a\u{9b}b", Err(BadEntry::Control)),
            (long.as_str(), Err(BadEntry::TooLong)),
            ("a/b/c/d", Ok("a/b/c/d")),
            ("a/b/c/d/e", Err(BadEntry::TooDeep { limit: 4 })),
        ] {
            assert_eq!(path(name, &limits), expected, "{name:?}");
        }
    }

    #[test]
    fn only_files_and_folders_are_taken() {
        let listed = |name, mode: u32, dos: u32| Listed { name, flags: 0, attributes: mode << 16 | dos, unpacked: 0 };
        for (name, mode, dos, expected) in [
            ("f", 0, 0, Ok(Kind::File { executable: false })),
            ("f", 0o100_644, 0, Ok(Kind::File { executable: false })),
            ("f", 0o104_755, 0x20, Ok(Kind::File { executable: true })),
            ("f", 0o100_011, 0, Ok(Kind::File { executable: false })),
            ("d/", 0, 0x10, Ok(Kind::Folder)),
            ("d/", 0o040_755, 0x10, Ok(Kind::Folder)),
            ("f", 0o120_777, 0, Err(BadEntry::Link)),
            ("d/", 0o120_777, 0, Err(BadEntry::Link)),
            ("f", 0o010_644, 0, Err(BadEntry::Special)),
            ("f", 0o020_644, 0, Err(BadEntry::Special)),
            ("f", 0o060_644, 0, Err(BadEntry::Special)),
            ("f", 0o140_644, 0, Err(BadEntry::Special)),
            ("f", 0o040_755, 0, Err(BadEntry::Special)),
            ("f", 0, 0x10, Err(BadEntry::Special)),
            ("d/", 0o100_644, 0, Err(BadEntry::Special)),
        ] {
            assert_eq!(kind(&listed(name, mode, dos)), expected, "{name} {mode:o}");
        }
        assert_eq!(kind(&Listed { unpacked: 1, ..listed("d/", 0, 0) }), Err(BadEntry::FolderWithContent));
        for flags in [1, 1 << 6, 1 << 13] {
            assert_eq!(kind(&Listed { flags, ..listed("f", 0, 0) }), Err(BadEntry::Encrypted));
        }
        for method in [1, 9, 12, 14, 93, 99] {
            assert_eq!(packing(0, method), Err(BadEntry::Method(method)));
        }
        assert_eq!(packing(PATCH, 8), Err(BadEntry::Special));
    }

    #[test]
    fn nothing_is_taken_twice_or_below_a_file() {
        let file = Kind::File { executable: false };
        let all = |entries: &[(&'static str, Kind)]| {
            let mut taken = Taken::default();
            entries.iter().try_for_each(|(path, kind)| taken.take(path, *kind)).map_err(|error| match error {
                BadArchive::Entry { why, .. } => why,
                other => panic!("{other}"),
            })
        };
        for (entries, expected) in [
            (vec![("a/b", file), ("a", Kind::Folder), ("a/c", file)], Ok(())),
            (vec![("a", Kind::Folder), ("a/b", file)], Ok(())),
            (vec![("Makefile", file), ("makefile", file)], Ok(())),
            (vec![("a", file), ("a", file)], Err(BadEntry::Twice)),
            (vec![("a", Kind::Folder), ("a", Kind::Folder)], Err(BadEntry::Twice)),
            (vec![("a", Kind::Folder), ("a", file)], Err(BadEntry::Twice)),
            (vec![("a", file), ("a/b", file)], Err(BadEntry::BelowFile)),
            (vec![("a", file), ("a/b/c", Kind::Folder)], Err(BadEntry::BelowFile)),
            (vec![("a/b", file), ("a", file)], Err(BadEntry::BelowFile)),
        ] {
            assert_eq!(all(&entries), expected, "{entries:?}");
        }
    }
}
