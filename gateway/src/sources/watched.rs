//! A file that is used while it may change: read at the start, and again when it has changed.
//!
//! It is looked at when it is used, at most once a second. New content that is no good is not used: what the file held last
//! goes on, and [`Watched::check`] says what is wrong. Whoever replaces a secret writes the file when they please, and may be
//! seen half-way.

use std::{
    fmt, fs, io,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// How often a file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A file that was changed so short a time before it was read may be changed again without its time showing it.
const SETTLED: Duration = Duration::from_secs(2);
/// The most bytes that belong into one.
const LIMIT: u64 = 64 * 1024;

/// Why a file cannot be used. What it holds is never told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the file {} {what}", path.display())]
pub struct FileFault {
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

type Read<T> = Box<dyn Fn(&str) -> Result<T, String> + Send + Sync>;

/// What a file holds.
pub(crate) struct Watched<T> {
    /// Absent: it stands in the settings, and does not change.
    file: Option<(PathBuf, Read<T>)>,
    state: Mutex<State<T>>,
}

struct State<T> {
    good: Arc<T>,
    /// What the file looked like when it was read last; absent: to be read again in any case.
    seen: Option<Look>,
    looked_at: Instant,
    fault: Option<FileFault>,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    changed: (i64, i64),
    inode: u64,
    bytes: u64,
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("path", &self.file.as_ref().map(|(path, _)| path)).finish_non_exhaustive()
    }
}

impl<T> Watched<T> {
    /// What does not change.
    pub(crate) fn fixed(value: T) -> Self {
        let state = State { good: Arc::new(value), seen: None, looked_at: Instant::now(), fault: None };
        Self { file: None, state: Mutex::new(state) }
    }

    /// Reads the file. `read` says what its text means, or what is wrong with it.
    pub(crate) fn open(path: &Path, read: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static) -> Result<Self, FileFault> {
        let (value, seen) = load(path, &read)?;
        let state = State { good: Arc::new(value), seen, looked_at: Instant::now(), fault: None };
        Ok(Self { file: Some((path.to_owned(), Box::new(read))), state: Mutex::new(state) })
    }

    /// What it holds, or held when it was good last.
    pub(crate) fn now(&self) -> Arc<T> {
        self.at(Instant::now())
    }

    /// Whether the file can be used as it is now.
    pub(crate) fn check(&self) -> Result<(), FileFault> {
        self.now();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).fault.clone().map_or(Ok(()), Err)
    }

    fn at(&self, now: Instant) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, read)) = &self.file
            && now.saturating_duration_since(state.looked_at) >= LOOK
        {
            state.looked_at = now;
            if state.seen.is_none() || state.seen != look(path).ok() {
                state.again(load(path, read));
            }
        }
        Arc::clone(&state.good)
    }
}

impl<T> State<T> {
    fn again(&mut self, loaded: Result<(T, Option<Look>), FileFault>) {
        match loaded {
            Ok((value, seen)) => {
                if self.fault.take().is_some() {
                    tracing::info!("a file of the settings is good again");
                }
                (self.good, self.seen) = (Arc::new(value), seen);
            }
            Err(fault) => {
                if self.fault.as_ref() != Some(&fault) {
                    tracing::error!(%fault, "a file of the settings cannot be used; what it held last goes on being used");
                }
                (self.fault, self.seen) = (Some(fault), None);
            }
        }
    }
}

fn look(path: &Path) -> io::Result<Look> {
    fs::metadata(path).map(|about| look_of(&about))
}

fn look_of(about: &fs::Metadata) -> Look {
    Look { changed: (about.mtime(), about.mtime_nsec()), inode: about.ino(), bytes: about.len() }
}

fn load<T>(path: &Path, read: &dyn Fn(&str) -> Result<T, String>) -> Result<(T, Option<Look>), FileFault> {
    let fault = |what: String| FileFault { path: path.to_owned(), what };
    // NONBLOCK: to open a pipe that nobody writes to would never end.
    let opened = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|error| fault(format!("cannot be opened: {error}")))?;
    let about = file.metadata().map_err(|error| fault(format!("cannot be examined: {error}")))?;
    if !about.is_file() {
        return Err(fault("is no regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| fault(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > LIMIT {
        return Err(fault(format!("has more than {LIMIT} bytes")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| fault("holds no text".to_owned()))?;
    let value = read(text).map_err(fault)?;
    let settled = about.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|age| age >= SETTLED);
    Ok((value, settled.then(|| look_of(&about))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(path: &Path) -> Watched<u32> {
        Watched::open(path, |text| text.trim().parse().map_err(|_| "is no number".to_owned())).unwrap()
    }

    #[test]
    fn what_changes_is_seen_a_second_later_and_what_is_no_good_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n");
        fs::write(&path, "1").unwrap();
        let watched = number(&path);
        let start = watched.state.lock().unwrap().looked_at;
        let later = |seconds| start + Duration::from_secs(seconds);
        fs::write(&path, "2").unwrap();
        assert_eq!(*watched.at(start + LOOK / 2), 1, "it is not looked at before");
        assert_eq!(*watched.at(later(1)), 2);
        for bad in ["", "half a num"] {
            fs::write(&path, bad).unwrap();
            assert_eq!(*watched.at(later(3)), 2);
            assert_eq!(*watched.at(later(5)), 2);
        }
        let fault = watched.state.lock().unwrap().fault.clone().unwrap();
        assert!(fault.to_string().contains("is no number") && fault.path == path, "{fault}");
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(*watched.at(later(6)), 2, "nobody is waited for");
        fs::remove_file(&path).unwrap();
        assert_eq!(*watched.at(later(7)), 2);
        assert!(watched.state.lock().unwrap().fault.as_ref().is_some_and(|fault| fault.what.contains("cannot be opened")));
        fs::write(&path, "3").unwrap();
        assert_eq!(*watched.at(later(9)), 3);
        assert_eq!(watched.check(), Ok(()));
    }

    #[test]
    fn a_file_that_has_settled_is_not_read_again_until_it_looks_different() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n");
        fs::write(&path, "1").unwrap();
        let old = SystemTime::now() - Duration::from_mins(1);
        fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        let watched = number(&path);
        let start = watched.state.lock().unwrap().looked_at;
        assert!(watched.state.lock().unwrap().seen.is_some());
        // The same size, the same time, the same file: it passes for unchanged.
        fs::write(&path, "5").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        assert_eq!(*watched.at(start + LOOK), 1);
        // Another file under the same name, as renaming leaves it.
        fs::write(dir.path().join("new"), "7").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(*watched.at(start + LOOK * 2), 7);
    }
}
