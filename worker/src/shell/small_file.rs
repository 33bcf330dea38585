//! Reading what a hostile order may have put into its folder: plain files only, without waiting and without trusting
//! their size.

use nix::fcntl::OFlag;
use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRead {
    #[error("it is not a plain file")]
    NotPlain,
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// The content of a plain file of at most `most` bytes. A link is not followed, and a pipe is not waited for.
pub(crate) fn read(path: &Path, most: usize) -> Result<Vec<u8>, NotRead> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => return Err(NotRead::NotPlain),
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Err(NotRead::NotPlain);
    }
    let mut content = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut content)?;
    if content.len() > most { Err(NotRead::TooLarge(most)) } else { Ok(content) }
}
