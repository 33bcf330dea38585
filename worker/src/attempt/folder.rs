//! An attempt's folder: log, phase marks, what is known about it, its report until that is delivered, and room for the
//! action. What stands here survives the worker; secrets do not stand here.

use crate::WorkerError;
use proto::{ids::AttemptId, log::ArchivedChunk, message::Report};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The folder of all attempts of a worker.
#[derive(Debug, Clone)]
pub(crate) struct Folders(PathBuf);

/// One attempt's folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) id: AttemptId,
    pub(crate) path: PathBuf,
}

/// What is known about an attempt on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: AttemptId,
    /// Word of the work, such as `terraform_apply`.
    pub(crate) work: String,
    /// The phase word of the side effects.
    pub(crate) effects_phase: String,
    /// Whether the scheduler has given the word to start side effects. Written before they start.
    pub(crate) effects: bool,
    /// State serial before the side effects, when it was read.
    #[serde(default)]
    pub(crate) serial_before: Option<u64>,
    /// The program that has the side effects, such as `terraform`.
    #[serde(default)]
    pub(crate) tool: String,
}

/// From this offset on, the log belongs to this phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PhaseMark {
    pub(crate) offset: u64,
    pub(crate) phase: String,
}

impl Folders {
    pub(crate) fn open(work_dir: &Path) -> Result<Self, WorkerError> {
        let path = work_dir.join("attempts");
        make_dir(&path).map_err(|source| WorkerError::Folder { path: path.clone(), source })?;
        Ok(Self(path))
    }

    /// Where an attempt's folder is, whether it is there or not.
    pub(crate) fn of(&self, id: AttemptId) -> Folder {
        Folder { id, path: self.0.join(id.to_string()) }
    }

    /// The folders that are there.
    pub(crate) fn list(&self) -> io::Result<Vec<Folder>> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            let record: Option<Record> = read_json(&path.join("record.json"))?;
            match record {
                Some(record) => folders.push(Folder { id: record.id, path }),
                // Died while it was being made: no permit was used, nothing is lost.
                None => fs::remove_dir_all(&path)?,
            }
        }
        Ok(folders)
    }
}

impl Folder {
    /// Makes the folder, empty. One that is there already belongs to an earlier process and an attempt is given only once,
    /// so that is an error.
    pub(crate) fn create(&self, record: &Record) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(&self.path)?;
        self.write_record(record)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn exit_record(&self) -> PathBuf {
        self.path.join("exit.json")
    }

    /// A folder for the action, made with mode 0700.
    pub(crate) fn room(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        make_dir(&path)?;
        Ok(path)
    }

    pub(crate) fn record(&self) -> io::Result<Option<Record>> {
        read_json(&self.path.join("record.json"))
    }

    pub(crate) fn write_record(&self, record: &Record) -> io::Result<()> {
        write_json(&self.path.join("record.json"), record)
    }

    pub(crate) fn report(&self) -> io::Result<Option<Report>> {
        read_json(&self.path.join("report.json"))
    }

    /// Once this stands, the attempt's outcome cannot be lost any more.
    pub(crate) fn write_report(&self, report: &Report) -> io::Result<()> {
        write_json(&self.path.join("report.json"), report)
    }

    /// Appends a phase mark. A mark that is lost with the power puts lines under the phase before; nothing more.
    pub(crate) fn mark(&self, mark: &PhaseMark) -> io::Result<()> {
        let mut line = serde_json::to_vec(mark).map_err(io::Error::other)?;
        line.push(b'\n');
        OpenOptions::new().append(true).create(true).mode(0o600).open(self.path.join("phases"))?.write_all(&line)
    }

    pub(crate) fn marks(&self) -> io::Result<Vec<PhaseMark>> {
        let text = match fs::read_to_string(self.path.join("phases")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// How much of the log is known to be stored. Only saves work: a repeated chunk is recognised by its offset.
    pub(crate) fn shipped(&self) -> u64 {
        fs::read_to_string(self.path.join("shipped")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    pub(crate) fn note_shipped(&self, offset: u64) {
        // Not worth an error: see `shipped`.
        let _ = fs::write(self.path.join("shipped"), offset.to_string());
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }

    /// Puts the folder aside, whole, for a person: in `kept/` beside the folder of attempts. Says where.
    pub(crate) fn keep(&self) -> io::Result<PathBuf> {
        let work_dir = self.path.parent().and_then(Path::parent).unwrap_or(&self.path);
        let kept = work_dir.join("kept");
        make_dir(&kept)?;
        let to = kept.join(self.id.to_string());
        fs::rename(&self.path, &to)?;
        Ok(to)
    }

    /// A state file that terraform could not save, wherever it lies in the checkout.
    pub(crate) fn errored_state(&self) -> Option<PathBuf> {
        let mut dirs = vec![self.path.join("checkout")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                // The type of a link is a link: none is followed.
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_file() && entry.file_name() == "errored.tfstate" {
                    return Some(entry.path());
                }
                if kind.is_dir() && entry.file_name() != ".terraform" {
                    dirs.push(entry.path());
                }
            }
        }
        None
    }
}

/// The chunks of an archived log: at most `chunk` bytes each, none across two phases.
pub(crate) fn cut(len: u64, marks: &[PhaseMark], chunk: u64) -> Vec<ArchivedChunk> {
    let mut chunks = Vec::new();
    let mut offset = 0;
    while offset < len {
        let (phase, until) = phase_at(marks, offset);
        let end = (offset + chunk).min(len).min(until.unwrap_or(len).max(offset + 1));
        chunks.push(ArchivedChunk { offset, phase: phase.to_owned(), bytes: (end - offset) as u32 });
        offset = end;
    }
    chunks
}

/// The phase at an offset, and where the next one begins.
pub(crate) fn phase_at(marks: &[PhaseMark], offset: u64) -> (&str, Option<u64>) {
    let phase = marks.iter().rev().find(|mark| mark.offset <= offset).map_or("initializing", |mark| mark.phase.as_str());
    let next = marks.iter().map(|mark| mark.offset).filter(|next| *next > offset).min();
    (phase, next)
}

fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Written beside, synced, renamed: it is there whole or not at all.
fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&serde_json::to_vec(value).map_err(io::Error::other)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(offset: u64, phase: &str) -> PhaseMark {
        PhaseMark { offset, phase: phase.to_owned() }
    }

    #[test]
    fn chunks_cover_the_log_once_and_never_span_two_phases() {
        let marks = [mark(0, "cloning"), mark(5, "init"), mark(25, "plan"), mark(25, "plan")];
        let chunks = cut(40, &marks, 10);
        let seen: Vec<_> = chunks.iter().map(|c| (c.offset, c.bytes, c.phase.as_str())).collect();
        assert_eq!(seen, [(0, 5, "cloning"), (5, 10, "init"), (15, 10, "init"), (25, 10, "plan"), (35, 5, "plan")]);
        assert_eq!(cut(0, &marks, 10), []);
        assert_eq!(cut(3, &[], 10).len(), 1);
    }
}
