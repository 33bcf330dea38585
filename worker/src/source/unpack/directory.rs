//! The list at the end of an archive, read strictly: one end record, a list that fills the room up to it, and for each
//! entry a header of its own that says the same. Every entry has its bytes for itself.
//!
//! A library would read more archives than this; the ones it reads besides are those that two readers read differently.

use super::{
    BadArchive, BadEntry, UnpackLimits,
    entry::{self, Kind, Listed, Packing, Taken},
};
use std::{fs::File, os::unix::fs::FileExt as _};

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const ZIP64_END: &[u8] = b"PK\x06\x07";
const ZIP64_END_BYTES: usize = 20;
const LISTED: &[u8] = b"PK\x01\x02";
const LISTED_BYTES: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;
/// The list is held in memory.
const MAX_LIST: u64 = 64 << 20;
/// Sizes follow the content, and are zero before it.
const SIZES_FOLLOW: u16 = 1 << 3;
/// "Look for the real number in the zip64 fields."
const ELSEWHERE: u32 = u32::MAX;

/// An archive whose list was found good.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) archive: File,
    pub(super) entries: Vec<Entry>,
}

/// A file or folder of an archive. Its content is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) packing: Packing,
    pub(super) checksum: u32,
    /// Where the content begins.
    pub(super) at: u64,
    pub(super) packed: u64,
    pub(super) unpacked: u64,
}

impl Directory {
    pub(super) fn read(archive: File, limits: &UnpackLimits) -> Result<Self, BadArchive> {
        let (list, start, count) = list(&archive)?;
        if u64::from(count) > limits.entries {
            return Err(BadArchive::TooMany { limit: limits.entries });
        }
        let mut rest = list.as_slice();
        let (mut entries, mut rooms, mut taken, mut total) = (Vec::new(), Vec::new(), Taken::default(), 0);
        for _ in 0..count {
            let header = Header::split_from(&mut rest)?;
            let name = header.name()?;
            let (entry, room) = header.examine(name, &archive, limits)?;
            total += entry.unpacked;
            if total > limits.total_bytes {
                return Err(BadArchive::TooLarge { limit: limits.total_bytes });
            }
            // `./`: the top, which is there already.
            if !entry.path.is_empty() {
                taken.take(entry::path(name, limits).unwrap_or(name), entry.kind)?;
                entries.push(entry);
            }
            if taken.count() > limits.entries {
                return Err(BadArchive::TooMany { limit: limits.entries });
            }
            rooms.push((room, name));
        }
        if !rest.is_empty() {
            return Err(BadArchive::NotZip("its list holds more than it announces"));
        }
        apart(rooms, start)?;
        Ok(Self { archive, entries })
    }
}

/// The bytes of the list, where it starts, and how many entries it announces.
fn list(archive: &File) -> Result<(Vec<u8>, u64, u16), BadArchive> {
    let length = archive.metadata().map_err(BadArchive::Unreadable)?.len();
    let tail_at = length.saturating_sub((END_BYTES + usize::from(u16::MAX)) as u64);
    let tail = bytes_at(archive, tail_at, length - tail_at)?;
    // The one that reaches to the end of the file with its comment.
    let reaches_end = |at: &usize| {
        let record = &tail[*at..];
        record.starts_with(END) && record.len() >= END_BYTES && END_BYTES + usize::from(u16_at(record, 20)) == record.len()
    };
    let mut ends = (0..tail.len()).filter(reaches_end);
    let at = match (ends.next(), ends.next()) {
        (Some(at), None) => at,
        (None, _) => return Err(BadArchive::NotZip("it has no end record (the file is something else, or was cut off)")),
        (Some(_), Some(_)) => return Err(BadArchive::NotZip("it has two end records")),
    };
    let end = &tail[at..];
    if at >= ZIP64_END_BYTES && tail[at - ZIP64_END_BYTES..].starts_with(ZIP64_END) {
        return Err(BadArchive::NotZip("it is a zip64 archive, which is for more than 4 GiB or 65 534 entries"));
    }
    let (disk, list_disk, on_disk, count) = (u16_at(end, 4), u16_at(end, 6), u16_at(end, 8), u16_at(end, 10));
    if disk != 0 || list_disk != 0 || on_disk != count {
        return Err(BadArchive::NotZip("it is one part of several"));
    }
    let (size, start) = (u64::from(u32_at(end, 12)), u64::from(u32_at(end, 16)));
    if start + size != tail_at + at as u64 {
        return Err(BadArchive::NotZip("its list is not where the end record says"));
    }
    if size > MAX_LIST {
        return Err(BadArchive::NotZip("its list is too long to be read"));
    }
    Ok((bytes_at(archive, start, size)?, start, count))
}

/// One entry of the list: the fixed part, and the name.
#[derive(Debug, Clone, Copy)]
struct Header<'a> {
    fixed: &'a [u8],
    raw_name: &'a [u8],
}

impl<'a> Header<'a> {
    fn split_from(rest: &mut &'a [u8]) -> Result<Self, BadArchive> {
        let cut_off = BadArchive::NotZip("its list holds less than it announces");
        let Some((fixed, after)) = rest.split_at_checked(LISTED_BYTES).filter(|(fixed, _)| fixed.starts_with(LISTED)) else {
            return Err(cut_off);
        };
        let (name, extra, comment) = (usize::from(u16_at(fixed, 28)), u16_at(fixed, 30), u16_at(fixed, 32));
        let Some((raw_name, after)) = after.split_at_checked(name) else {
            return Err(cut_off);
        };
        let Some((_, after)) = after.split_at_checked(usize::from(extra) + usize::from(comment)) else {
            return Err(cut_off);
        };
        *rest = after;
        Ok(Self { fixed, raw_name })
    }

    fn name(&self) -> Result<&'a str, BadArchive> {
        std::str::from_utf8(self.raw_name).map_err(|_| BadArchive::entry(&String::from_utf8_lossy(self.raw_name), BadEntry::NotUtf8))
    }

    /// The entry, and the bytes of the archive that it takes, from the first to the one after the last.
    fn examine(&self, name: &str, archive: &File, limits: &UnpackLimits) -> Result<(Entry, (u64, u64)), BadArchive> {
        let refused = |why| BadArchive::entry(name, why);
        let (flags, method, unpacked) = (u16_at(self.fixed, 8), u16_at(self.fixed, 10), u32_at(self.fixed, 24));
        let path = entry::path(name, limits).map_err(refused)?;
        let kind = entry::kind(&Listed { name, flags, attributes: u32_at(self.fixed, 38), unpacked }).map_err(refused)?;
        let packing = entry::packing(flags, method).map_err(refused)?;
        let (packed, start) = (u32_at(self.fixed, 20), u32_at(self.fixed, 42));
        if [packed, unpacked, start].contains(&ELSEWHERE) {
            return Err(refused(BadEntry::Zip64));
        }
        if u64::from(unpacked) > limits.file_bytes {
            return Err(refused(BadEntry::TooLarge { limit: limits.file_bytes }));
        }
        if packing == Packing::Stored && packed != unpacked {
            return Err(refused(BadEntry::OtherSize));
        }
        let (start, packed) = (u64::from(start), u64::from(packed));
        let at = self.content_at(archive, start)?.ok_or_else(|| refused(BadEntry::Disagrees))?;
        let entry =
            Entry { path: path.to_owned(), kind, packing, checksum: u32_at(self.fixed, 16), at, packed, unpacked: u64::from(unpacked) };
        Ok((entry, (start, at + packed)))
    }

    /// Where the content begins, if the header before it says what the list says.
    fn content_at(&self, archive: &File, start: u64) -> Result<Option<u64>, BadArchive> {
        let header = bytes_at(archive, start, (LOCAL_BYTES + self.raw_name.len()) as u64)?;
        let Some((local, name)) = header.split_at_checked(LOCAL_BYTES).filter(|(local, _)| local.starts_with(LOCAL)) else {
            return Ok(None);
        };
        let listed = |at| u16_at(self.fixed, at);
        let same = name == self.raw_name
            && usize::from(u16_at(local, 26)) == name.len()
            && (u16_at(local, 6), u16_at(local, 8)) == (listed(8), listed(10));
        let sizes = (u32_at(local, 18), u32_at(local, 22));
        let known = (u32_at(self.fixed, 20), u32_at(self.fixed, 24));
        let sizes_agree = listed(8) & SIZES_FOLLOW != 0 || sizes == known || sizes == (ELSEWHERE, ELSEWHERE);
        let extra = u64::from(u16_at(local, 28));
        Ok((same && sizes_agree).then(|| start + header.len() as u64 + extra))
    }
}

/// Whether everything lies apart, and before the list.
fn apart(mut rooms: Vec<((u64, u64), &str)>, list_start: u64) -> Result<(), BadArchive> {
    rooms.sort_unstable();
    let nexts = rooms.iter().skip(1).map(|((start, _), _)| *start).chain([list_start]);
    match rooms.iter().zip(nexts).find(|(((_, end), _), next)| end > next) {
        Some(((_, name), _)) => Err(BadArchive::entry(name, BadEntry::Overlaps)),
        None => Ok(()),
    }
}

/// That many bytes, or as many as there are.
fn bytes_at(archive: &File, at: u64, count: u64) -> Result<Vec<u8>, BadArchive> {
    let mut bytes = vec![0; count as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        match archive.read_at(&mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(BadArchive::Unreadable(error)),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Both are asked only for places inside a record of fixed length.
fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}
