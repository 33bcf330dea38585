//! The log file of one attempt: append-only, 0600, bounded.
//!
//! The runner writes the tool's (already masked) output into it, the worker its own lines ("Running terraform
//! init..."). Both may have it open: every write goes to the end, and the length is always the file's own. What
//! does not fit under the bound is dropped and said once; what the disk refused is said as soon as it takes bytes
//! again (invariant I13: a gap is marked, and log loss never changes a result). Sending the log on is not done here.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;

/// Bytes after which the output of an attempt is dropped, unless the settings say otherwise.
pub const DEFAULT_LIMIT_BYTES: u64 = 256 * 1024 * 1024;

/// Bytes beyond the limit that are kept free for the worker's own lines: they tell how the attempt ended.
const RESERVE_BYTES: u64 = 64 * 1024;

const HOLD_TRIES: u32 = 20;
const HOLD_PAUSE: Duration = Duration::from_millis(10);

/// An operation on the log file that failed.
#[derive(Debug, thiserror::Error)]
pub enum AttemptLogError {
    #[error("cannot open the attempt's log {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot write to the attempt's log {}: the output of this moment is lost, the tool goes on", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot sync the attempt's log {}", path.display())]
    Sync { path: PathBuf, source: io::Error },
    #[error("the attempt's log {} is held by another runner: the tool of this attempt runs already", path.display())]
    Held { path: PathBuf },
    #[error("cannot lock the attempt's log {}", path.display())]
    Lock { path: PathBuf, source: io::Error },
}

/// An open log file. Dropping it closes the file; nothing is buffered in memory.
#[derive(Debug)]
pub struct AttemptLog {
    path: PathBuf,
    file: File,
    limit: u64,
    len: u64,
    dropped: u64,
    /// Bytes the disk refused since the last gap mark.
    lost: u64,
}

impl AttemptLog {
    /// Opens or creates the log with the default limit.
    pub fn open(path: &Path) -> Result<Self, AttemptLogError> {
        Self::open_limited(path, DEFAULT_LIMIT_BYTES)
    }

    /// Opens or creates the log. Output beyond `limit_bytes` of file length is dropped.
    pub fn open_limited(path: &Path, limit_bytes: u64) -> Result<Self, AttemptLogError> {
        let failed = |source| AttemptLogError::Open { path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(path)
            .map_err(failed)?;
        file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        Ok(Self { path: path.to_owned(), file, limit: limit_bytes, len, dropped: 0, lost: 0 })
    }

    /// Appends output. Beyond the limit it is dropped without an error: the tool must never stop for its log.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), AttemptLogError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.mark_gap()?;
        self.len = self.length_now();
        if self.len >= self.limit {
            self.dropped += bytes.len() as u64;
            return Ok(());
        }
        let room = usize::try_from(self.limit - self.len).unwrap_or(usize::MAX);
        if bytes.len() < room {
            return self.append(bytes);
        }
        // One write for the last bytes and the mark: a file beyond its limit always has the mark, whoever asks.
        let kept = (0..=room.min(bytes.len())).rev().find(|&at| is_character_border(bytes, at)).unwrap_or(0);
        let mut last = bytes[..kept].to_vec();
        let line_is_open = last.last().map_or_else(|| !self.ends_with_newline(self.len), |&byte| byte != b'\n');
        last.extend(line_is_open.then_some(b'\n'));
        last.extend_from_slice(self.truncation_mark().as_bytes());
        last.resize(last.len().max(room), b'\n');
        self.dropped += (bytes.len() - kept) as u64;
        self.append(&last)
    }

    /// Appends one line of the worker's own, on a line of its own. The caller has masked it.
    pub fn line(&mut self, text: &str) -> Result<(), AttemptLogError> {
        self.mark_gap()?;
        let before = self.length_now();
        if before >= self.limit.saturating_add(RESERVE_BYTES) {
            self.dropped += text.len() as u64;
            return Ok(());
        }
        let break_before = if self.ends_with_newline(before) { "" } else { "\n" };
        let mut line = format!("{break_before}{text}\n");
        if before < self.limit && before + line.len() as u64 >= self.limit {
            line.push_str(&self.truncation_mark());
        }
        self.append(line.as_bytes())
    }

    /// Takes the file for this process until it is dropped: whoever asks [`is_held`] then knows that a tool still
    /// writes. Tries for a moment, because a worker that asks holds the file while it asks.
    pub fn hold(&self) -> Result<(), AttemptLogError> {
        for _ in 0..HOLD_TRIES {
            match self.file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(HOLD_PAUSE),
                Err(TryLockError::Error(source)) => {
                    return Err(AttemptLogError::Lock { path: self.path.clone(), source });
                }
            }
        }
        Err(AttemptLogError::Held { path: self.path.clone() })
    }

    /// Waits until the written bytes are on the disk.
    pub fn sync(&self) -> Result<(), AttemptLogError> {
        self.file.sync_data().map_err(|source| AttemptLogError::Sync { path: self.path.clone(), source })
    }

    /// Length of the file in bytes, other writers' bytes included, as of the last write.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if nothing has been written by anybody.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that this writer left out because of the limit or because the disk refused them.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), AttemptLogError> {
        let before = self.length_now();
        let written = self.file.write_all(bytes);
        self.len = self.length_now();
        written.map_err(|source| {
            let missing = (bytes.len() as u64).saturating_sub(self.len - before);
            self.lost += missing;
            self.dropped += missing;
            AttemptLogError::Write { path: self.path.clone(), source }
        })
    }

    fn mark_gap(&mut self) -> Result<(), AttemptLogError> {
        let lost = std::mem::take(&mut self.lost);
        if lost == 0 {
            return Ok(());
        }
        let marked = self.append(format!("\n[{lost} bytes of the log are lost here: the disk refused them]\n").as_bytes());
        if marked.is_err() {
            self.lost = lost;
        }
        marked
    }

    fn truncation_mark(&self) -> String {
        format!("[log truncated at {} bytes; the run goes on]\n", self.limit)
    }

    fn length_now(&self) -> u64 {
        self.file.metadata().map_or(self.len, |metadata| metadata.len())
    }

    fn ends_with_newline(&self, end: u64) -> bool {
        let mut last = [0];
        end == 0 || self.file.read_exact_at(&mut last, end - 1).is_ok_and(|()| last == *b"\n")
    }
}

/// True while a runner holds the log at `path`. A log that does not exist is held by nobody.
pub fn is_held(path: &Path) -> Result<bool, AttemptLogError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => {
            return Err(AttemptLogError::Open { path: path.to_owned(), source });
        }
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => Err(AttemptLogError::Lock { path: path.to_owned(), source }),
    }
}

fn is_character_border(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_none_or(|byte| byte & 0xc0 != 0x80)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn two_writers_append_and_know_the_length() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.log");
        let mut worker = AttemptLog::open(&path).expect("opens");
        let mut runner = AttemptLog::open(&path).expect("opens twice");
        worker.line("Running terraform init...").expect("writes");
        runner.write(b"\x1b[1mno newline\x1b[0m").expect("writes");
        worker.line("exit code 0").expect("writes");
        let text = fs::read_to_string(&path).expect("reads");
        assert_eq!(text, "Running terraform init...\n\x1b[1mno newline\x1b[0m\nexit code 0\n");
        assert_eq!(worker.len(), text.len() as u64);
        assert_eq!(fs::metadata(&path).expect("stat").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn output_beyond_the_limit_is_dropped_and_said_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.log");
        let mut log = AttemptLog::open_limited(&path, 10).expect("opens");
        for chunk in ["12345678", "9éz", "more", "more"] {
            log.write(chunk.as_bytes()).expect("never an error");
        }
        log.line("exit code 1").expect("the worker's own lines still fit");
        let text = fs::read_to_string(&path).expect("reads");
        assert_eq!(text, "123456789\n[log truncated at 10 bytes; the run goes on]\nexit code 1\n");
        assert_eq!(log.dropped(), 3 + 4 + 4);
        let mut again = AttemptLog::open_limited(&path, 10).expect("opens");
        again.write(b"more").expect("dropped");
        assert_eq!(fs::read_to_string(&path).expect("reads"), text, "a second opener adds no second mark");
    }

    #[test]
    fn a_line_of_the_worker_that_reaches_the_limit_says_so() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.log");
        let mut log = AttemptLog::open_limited(&path, 10).expect("opens");
        log.line("exit code 1").expect("writes");
        log.write(b"more").expect("dropped");
        let text = fs::read_to_string(&path).expect("reads");
        assert_eq!(text, "exit code 1\n[log truncated at 10 bytes; the run goes on]\n");
    }

    #[test]
    fn a_link_in_the_place_of_the_log_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let (target, path) = (dir.path().join("target"), dir.path().join("a.log"));
        fs::write(&target, "").expect("writes");
        std::os::unix::fs::symlink(&target, &path).expect("links");
        assert!(matches!(AttemptLog::open(&path), Err(AttemptLogError::Open { .. })));
    }

    #[test]
    fn a_held_log_is_seen_as_held_until_its_holder_is_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.log");
        assert!(!is_held(&path).expect("no file, no holder"));
        let log = AttemptLog::open(&path).expect("opens");
        log.hold().expect("free");
        assert!(is_held(&path).expect("asks"));
        let second = AttemptLog::open(&path).expect("opens");
        assert!(matches!(second.hold(), Err(AttemptLogError::Held { .. })));
        drop(log);
        assert!(!is_held(&path).expect("asks"));
    }
}
