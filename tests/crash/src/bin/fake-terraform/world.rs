//! What the fake tool changes: the effects, line by line on the disk before it goes on, and a state with a serial.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::PathBuf,
};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// Where a run's fake world is.
#[derive(Debug)]
pub(crate) struct World {
    /// Folder of everything that shares a state.
    pub(crate) dir: PathBuf,
    /// What the test calls the run.
    pub(crate) run: String,
    /// Name of the attempt's folder: `<run>.<job>.<attempt>`.
    attempt: String,
}

/// Why a command does not end well.
#[derive(Debug)]
pub(crate) enum Stopped {
    Exit(u8),
    Failed(String),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Failed(format!("Error: {error}"))
    }
}

impl From<&str> for Stopped {
    fn from(why: &str) -> Self {
        Self::Failed(why.to_owned())
    }
}

impl From<String> for Stopped {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl World {
    pub(crate) fn find() -> Result<Self, String> {
        let name = |name: &str| std::env::var_os(name).ok_or_else(|| format!("{name} is not set"));
        let cwd = std::env::current_dir().map_err(|error| error.to_string())?;
        let mut parts = cwd.iter().skip_while(|part| *part != "attempts").skip(1);
        let attempt = parts.next().map_or("?".into(), |part| part.to_string_lossy().into_owned());
        Ok(Self { dir: name("FAKE_DIR")?.into(), run: name("FAKE_RUN")?.to_string_lossy().into_owned(), attempt })
    }

    /// One more effect; on the disk when this returns.
    pub(crate) fn effect(&self, what: &str) -> Result<(), Stopped> {
        let line = format!("{} {} {} {what}\n", self.run, self.attempt, std::process::id());
        let mut file = OpenOptions::new().append(true).create(true).open(self.dir.join("effects"))?;
        file.write_all(line.as_bytes())?;
        Ok(file.sync_all()?)
    }

    /// Nobody else may be at work on the same state. It is an effect of its own if somebody is.
    pub(crate) fn enter(&self) -> Result<(), Stopped> {
        let path = self.dir.join("applying");
        if fs::read_to_string(&path).is_ok_and(|pid| is_at_work(pid.trim())) {
            self.effect("overlap")?;
        }
        Ok(fs::write(path, std::process::id().to_string())?)
    }

    pub(crate) fn leave(&self) {
        // Left behind it only names a process that is gone.
        let _ = fs::remove_file(self.dir.join("applying"));
    }

    pub(crate) fn serial(&self) -> u64 {
        fs::read_to_string(self.dir.join("state")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    pub(crate) fn persist(&self) -> Result<(), Stopped> {
        let beside = self.dir.join(format!("state.{}", std::process::id()));
        fs::write(&beside, (self.serial() + 1).to_string())?;
        Ok(fs::rename(beside, self.dir.join("state"))?)
    }

    /// A plan file as the worker reads it: an archive that holds the state it was made for.
    pub(crate) fn write_plan(&self, path: &str, pad: usize) -> Result<(), Stopped> {
        let mut archive = ZipWriter::new(File::create(path)?);
        let wrong = |error: zip::result::ZipError| Stopped::Failed(format!("Error: {error}"));
        archive.start_file("tfstate", SimpleFileOptions::default()).map_err(wrong)?;
        write!(archive, r#"{{"serial":{}}}"#, self.serial())?;
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        archive.start_file("pad", stored).map_err(wrong)?;
        archive.write_all(&vec![7; pad])?;
        archive.finish().map_err(wrong)?;
        Ok(())
    }

    /// The serial of the state that a plan was made for.
    pub(crate) fn serial_of(plan: &str) -> Result<u64, Stopped> {
        let broken = |why: String| Stopped::Failed(format!("Error: {plan}: {why}"));
        let mut archive = ZipArchive::new(File::open(plan)?).map_err(|error| broken(error.to_string()))?;
        let mut text = String::new();
        archive.by_name("tfstate").map_err(|error| broken(error.to_string()))?.read_to_string(&mut text)?;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().map_err(|_| broken("no serial".to_owned()))
    }
}

/// Whether a process of this number can still do anything: a dead one may be listed until somebody takes note of it.
fn is_at_work(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}
