//! The exit record: a small file that says how a command ended, for a worker that was not there to hear it.
//!
//! Written by the runner after the log is on the disk and before it reports, by rename, so that it is whole or not
//! there. A tool whose runner died leaves none: its end is unknown, and nobody may guess it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::bounds::OverLimit;
use super::wire::{Exit, StartFailure};

const FORMAT: u32 = 1;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Layout of this file; another number is refused.
    pub format: u32,
    /// Milliseconds since 1970 by the machine's clock.
    pub ended_at_unix_ms: u64,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The end itself. Captured stdout is not kept: it may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// See [`Exit`] for the fields.
    Exited {
        code: Option<i32>,
        signal: Option<i32>,
        timed_out: bool,
        interrupted: bool,
        log_len: u64,
        leftovers: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        over: Option<OverLimit>,
    },
    /// The tool never ran.
    NotStarted { reason: String },
}

/// An operation on an exit record that failed.
#[derive(Debug, thiserror::Error)]
pub enum ExitRecordError {
    #[error("cannot write the exit record {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read the exit record {}; how the command ended is unknown", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot remove the exit record {} of an earlier command", path.display())]
    Remove { path: PathBuf, source: io::Error },
    #[error("the exit record {} has layout {format}, this build knows {FORMAT}; how the command ended is unknown", path.display())]
    Format { path: PathBuf, format: u32 },
}

impl ExitRecord {
    pub(super) fn exited(exit: &Exit) -> Self {
        Self::now(Outcome::Exited {
            code: exit.code,
            signal: exit.signal,
            timed_out: exit.timed_out,
            interrupted: exit.interrupted,
            log_len: exit.log_len,
            leftovers: exit.leftovers,
            over: exit.over,
        })
    }

    pub(super) fn not_started(failure: &StartFailure) -> Self {
        Self::now(Outcome::NotStarted { reason: failure.to_string() })
    }

    fn now(outcome: Outcome) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { format: FORMAT, ended_at_unix_ms: since.as_millis() as u64, outcome }
    }

    /// The record at `path`, if the command has ended and its runner could say so.
    pub fn read(path: &Path) -> Result<Option<Self>, ExitRecordError> {
        let failed = |source| ExitRecordError::Read { path: path.to_owned(), source };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let record: Self = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
        if record.format != FORMAT {
            return Err(ExitRecordError::Format { path: path.to_owned(), format: record.format });
        }
        Ok(Some(record))
    }

    /// Writes the record: temporary file, sync, rename, sync of the folder.
    pub(super) fn write(&self, path: &Path) -> Result<(), ExitRecordError> {
        self.write_atomically(path).map_err(|source| ExitRecordError::Write { path: path.to_owned(), source })
    }

    fn write_atomically(&self, path: &Path) -> io::Result<()> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        File::open(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Makes sure that a record found later is that of the command about to start.
    pub(super) fn remove_stale(path: &Path) -> Result<(), ExitRecordError> {
        match fs::remove_file(path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(ExitRecordError::Remove { path: path.to_owned(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit() -> Exit {
        let usage = super::super::Usage::default();
        let (timed_out, interrupted, log_dropped, captured_dropped, leftovers, over) = (false, true, 0, 0, 0, None);
        Exit { code: Some(3), signal: None, timed_out, interrupted, log_len: 9, log_dropped, captured_dropped, leftovers, over, usage }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("exit.json");
        assert_eq!(ExitRecord::read(&path).expect("no file is no error"), None);
        let record = ExitRecord::exited(&exit());
        record.write(&path).expect("writes");
        record.write(&path).expect("writes again");
        assert_eq!(ExitRecord::read(&path).expect("reads"), Some(record));
        let over = OverLimit { resource: super::super::Resource::Memory, used: 2, limit: 1 };
        let killed = ExitRecord::exited(&Exit { over: Some(over), ..exit() });
        killed.write(&path).expect("writes");
        assert_eq!(ExitRecord::read(&path).expect("reads"), Some(killed));
        ExitRecord::exited(&exit()).write(&path).expect("writes");
        let text = fs::read_to_string(&path).expect("text");
        assert!(text.starts_with(r#"{"format":1,"ended_at_unix_ms":"#) && text.contains(r#""outcome":"exited","code":3"#), "{text}");
        ExitRecord::remove_stale(&path).expect("removes");
        ExitRecord::remove_stale(&path).expect("nothing to remove");
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 0);
    }

    #[test]
    fn a_broken_or_foreign_record_is_an_error_and_not_an_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("exit.json");
        fs::write(&path, r#"{"format":1,"ended_at"#).expect("writes");
        assert!(matches!(ExitRecord::read(&path), Err(ExitRecordError::Read { .. })));
        fs::write(&path, r#"{"format":2,"ended_at_unix_ms":0,"outcome":"not_started","reason":""}"#).expect("writes");
        assert!(matches!(ExitRecord::read(&path), Err(ExitRecordError::Format { format: 2, .. })));
    }
}
