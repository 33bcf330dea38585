//! Archives made byte by byte, as no writer would make them, and attempts to unpack them.

use super::{BadArchive, BadEntry, UnpackLimits, Unpacked, unpack};
use flate2::{Compression, write::DeflateEncoder};
use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    sync::atomic::AtomicBool,
};

/// An archive made byte by byte: honest, until a field is changed.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) name: Vec<u8>,
    /// In the header before the content.
    pub(super) local_name: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) mode: u32,
    pub(super) checksum: u32,
    pub(super) content: Vec<u8>,
    pub(super) unpacked: u32,
    /// Where the list says that the entry lies; absent: where it does.
    pub(super) start: Option<u32>,
}

pub(super) fn made(name: impl AsRef<[u8]>, content: &[u8]) -> Made {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    Made {
        name: name.as_ref().to_vec(),
        local_name: name.as_ref().to_vec(),
        flags: 0,
        method: 0,
        mode: 0,
        checksum: crc.sum(),
        content: content.to_vec(),
        unpacked: content.len() as u32,
        start: None,
    }
}

pub(super) fn deflated(name: &str, content: &[u8]) -> Made {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(content).unwrap();
    Made { method: 8, content: deflate.finish().unwrap(), ..made(name, content) }
}

impl Made {
    /// What the header before the content and the list share.
    fn shared(&self, name: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in [self.flags, self.method, 0, 0x21] {
            bytes.extend(field.to_le_bytes());
        }
        for field in [self.checksum, self.content.len() as u32, self.unpacked] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }
}

pub(super) fn archive(entries: &[Made]) -> Vec<u8> {
    let (mut bytes, mut list) = (Vec::new(), Vec::new());
    for entry in entries {
        let start = entry.start.unwrap_or(bytes.len() as u32);
        bytes.extend(b"PK\x03\x04\x14\0");
        bytes.extend(entry.shared(&entry.local_name));
        bytes.extend(&entry.local_name);
        bytes.extend(&entry.content);
        list.extend(b"PK\x01\x02\x14\x03\x14\0");
        list.extend(entry.shared(&entry.name));
        list.extend([0; 6]);
        list.extend((entry.mode << 16).to_le_bytes());
        list.extend(start.to_le_bytes());
        list.extend(&entry.name);
    }
    let start = bytes.len() as u32;
    bytes.extend(&list);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([(entries.len() as u16).to_le_bytes(); 2].concat());
    bytes.extend([(list.len() as u32).to_le_bytes(), start.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    bytes
}

/// A folder with the archive in it, and what the unpacking came to.
pub(super) struct Attempt {
    pub(super) dir: tempfile::TempDir,
    pub(super) result: Result<Unpacked, BadArchive>,
}

impl Attempt {
    pub(super) fn at(bytes: &[u8], limits: &UnpackLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("room")).unwrap();
        let file = dir.path().join("a.zip");
        fs::write(&file, bytes).unwrap();
        let result = unpack(File::open(file).unwrap(), &dir.path().join("room/code"), limits, &AtomicBool::new(false));
        Self { dir, result }
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::at(bytes, &small())
    }

    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.dir.path().join("room/code").join(path)
    }

    /// What was refused; nothing of it is on the disk, inside or out.
    pub(super) fn refused(self, what: &str) -> BadArchive {
        let left: Vec<_> = fs::read_dir(self.dir.path().join("room")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{what}: {left:?}");
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 2, "{what}: something lies beside the folder");
        self.result.expect_err(what)
    }

    pub(super) fn bad_entry(self, what: &str) -> BadEntry {
        match self.refused(what) {
            BadArchive::Entry { why, .. } => why,
            other => panic!("{what}: {other}"),
        }
    }
}

pub(super) fn small() -> UnpackLimits {
    UnpackLimits { entries: 100, depth: 8, file_bytes: 100_000, total_bytes: 150_000 }
}
