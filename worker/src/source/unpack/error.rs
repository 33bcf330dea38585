//! Why an archive is not unpacked, in words for the person whose order it belongs to.

use std::{io, path::PathBuf};

/// Why nothing of an archive is used.
#[derive(Debug, thiserror::Error)]
pub enum BadArchive {
    #[error("it is not a zip archive that can be read: {0}")]
    NotZip(&'static str),
    #[error("it holds more than {limit} files and folders")]
    TooMany { limit: u64 },
    #[error("more than {limit} bytes come out of it")]
    TooLarge { limit: u64 },
    #[error("its entry `{}` {why}", shown(.entry))]
    Entry { entry: String, why: BadEntry },
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    #[error("the folder {} cannot be made", .path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("its entry `{}` cannot be written", shown(.entry))]
    Write {
        entry: String,
        #[source]
        source: io::Error,
    },
    #[error("this kernel cannot confine paths (openat2 is missing): run the worker on Linux 5.6 or newer")]
    OldKernel,
    #[error("unpacking was cancelled")]
    Cancelled,
}

/// What is wrong with one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    #[error("has no name")]
    NoName,
    #[error("has a name that is not UTF-8")]
    NotUtf8,
    #[error("has an absolute name")]
    Absolute,
    #[error("has a name with a drive letter")]
    Drive,
    #[error("has a name that leads out of the archive (`..`)")]
    Leaves,
    #[error("has a name with a backslash")]
    Backslash,
    #[error("has a name with a control character")]
    Control,
    #[error("has a name with an empty part or a `.` in it")]
    NotPlain,
    #[error("has a name that is longer than a path may be")]
    TooLong,
    #[error("lies deeper than the {limit} folders that are made")]
    TooDeep { limit: usize },
    #[error("is a symbolic link")]
    Link,
    #[error("is neither a plain file nor a folder")]
    Special,
    #[error("is a folder with content of its own")]
    FolderWithContent,
    #[error("is encrypted")]
    Encrypted,
    #[error("is packed by method {0}, and only 0 (stored) and 8 (deflated) are known")]
    Method(u16),
    #[error("is there twice")]
    Twice,
    #[error("lies below another entry that is a file")]
    BelowFile,
    #[error("shares bytes with another entry or with the archive's list")]
    Overlaps,
    #[error("is listed otherwise than it is stored")]
    Disagrees,
    #[error("uses zip64, which is for archives larger than the ones that are unpacked")]
    Zip64,
    #[error("is larger than the {limit} bytes that one file may have")]
    TooLarge { limit: u64 },
    #[error("does not have the size that is announced for it")]
    OtherSize,
    #[error("is damaged (its checksum is wrong, or it cannot be inflated)")]
    Damaged,
}

impl BadArchive {
    pub(super) fn entry(entry: &str, why: BadEntry) -> Self {
        Self::Entry { entry: entry.to_owned(), why }
    }

    /// Whether the worker's disk or kernel is to blame, not the archive.
    pub fn is_the_workers(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Folder { .. } | Self::Write { .. } | Self::OldKernel | Self::Cancelled)
    }
}

/// A name as it can be shown: a hostile one must not move the cursor of whoever reads the log, nor fill it.
fn shown(entry: &str) -> String {
    const MOST: usize = 200;
    let mut text: String = entry.chars().take(MOST).flat_map(char::escape_debug).collect();
    if entry.chars().nth(MOST).is_some() {
        text.push('…');
    }
    text
}
