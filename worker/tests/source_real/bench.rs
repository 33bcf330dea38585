//! A worker's means, and one order after the other.

use crate::rig::Reader;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use proto::{
    git::{AllowedHosts, GitUrl},
    orders::{CodeSource, GitSource},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;
use worker::{
    git::{Cache, Settings},
    source::{
        self, KnownCommits, Limits, Logins, Means, Prepared, SourceError,
        store::{ArchiveStore, ObjectBytes, StoreError},
    },
};

/// What a test changes before it prepares an order's code.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) git: Cache,
    pub(crate) known: KnownCommits,
    pub(crate) logins: Logins,
    pub(crate) allowed: AllowedHosts,
    pub(crate) local_folders: Vec<PathBuf>,
    pub(crate) store: Option<Store>,
    pub(crate) limits: Limits,
}

/// How one order went.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) dest: PathBuf,
    pub(crate) result: Result<Prepared, SourceError>,
    /// What people could read.
    pub(crate) said: String,
}

impl Bench {
    /// Everything may be reached at these `HOST:PORT`s.
    pub(crate) fn new(hosts: &[&str]) -> Self {
        Self::with(hosts, |_| {})
    }

    pub(crate) fn with(hosts: &[&str], change: impl FnOnce(&mut Settings)) -> Self {
        let allowed = AllowedHosts::parse(hosts).expect("a list");
        let any = "http://127.0.0.1/x".parse().expect("an address");
        let Reader { dir, cache, .. } = Reader::with(any, None, |settings| {
            settings.allowed = allowed.clone();
            change(settings);
        });
        fs::create_dir(dir.path().join("orders")).expect("made");
        Self {
            git: cache,
            dir,
            known: KnownCommits::default(),
            logins: Logins::default(),
            allowed,
            local_folders: Vec::new(),
            store: None,
            limits: Limits::default(),
        }
    }

    pub(crate) async fn prepare(&self, source: &CodeSource) -> Order {
        let dest = self.room().join("code");
        let mut said = String::new();
        let mut says = |line: &str| {
            said.push_str(line);
            said.push('\n');
        };
        let means = self.means();
        // Boxed, as an action is: it must be able to move between threads.
        let result = source::prepare(source, &means, &dest, &mut says).boxed().await;
        Order { dest, result, said }
    }

    pub(crate) async fn zip(&self, location: impl Into<String>) -> Order {
        self.prepare(&CodeSource::Zip { location: location.into() }).await
    }

    pub(crate) fn means(&self) -> Means<'_> {
        Means {
            git: &self.git,
            known: &self.known,
            logins: &self.logins,
            allowed: &self.allowed,
            local_folders: &self.local_folders,
            store: self.store.as_ref().map(|store| store as &dyn ArchiveStore),
            limits: &self.limits,
        }
    }

    /// A new attempt's folder.
    pub(crate) fn room(&self) -> PathBuf {
        let room = self.dir.path().join("orders").join(uuid::Uuid::new_v4().to_string());
        fs::create_dir(&room).expect("made");
        room
    }
}

impl Order {
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.dest.join(path)).expect("a file of the order")
    }

    /// Why there is no code; nothing of it is left.
    pub(crate) fn refused(self) -> SourceError {
        assert_eq!(left_in(self.dest.parent().expect("a parent")), Vec::<PathBuf>::new());
        self.result.expect_err("refused")
    }

    /// What is there; beside it is nothing.
    pub(crate) fn done(&self) -> &Prepared {
        let done = self.result.as_ref().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(left_in(self.dest.parent().expect("a parent")), std::slice::from_ref(&self.dest));
        assert_eq!(done.dir, self.dest);
        done
    }
}

/// What lies in a folder.
pub(crate) fn left_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
}

/// The order's part about its repository.
pub(crate) fn git_source(url: &GitUrl, folder: &str, commit: Option<&str>) -> CodeSource {
    CodeSource::Git(Box::new(GitSource {
        url: url.clone(),
        ssh_url: None,
        folder: folder.parse().expect("a path"),
        commit: commit.map(str::to_owned),
        token: None,
        ssh_key: None,
    }))
}

/// An object store in memory.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    /// With one object, `bucket/code/a.zip`.
    Holds(Vec<u8>),
    Fails(StoreError),
    /// After some bytes.
    BreaksOff(Vec<u8>),
}

impl ArchiveStore for Store {
    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<ObjectBytes, StoreError>> {
        let pieces = |bytes: &[u8]| bytes.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect::<Vec<_>>();
        let broken = Err(StoreError::Failed("the connection ended".to_owned()));
        async move {
            match self {
                Self::Holds(bytes) if (bucket, key) == ("bucket", "code/a.zip") => Ok(stream::iter(pieces(bytes)).boxed()),
                Self::Holds(_) => Err(StoreError::NotFound),
                Self::Fails(why) => Err(why.clone()),
                Self::BreaksOff(bytes) => Ok(stream::iter(pieces(bytes)).chain(stream::once(async { broken })).boxed()),
            }
        }
        .boxed()
    }
}

/// An archive as python's zipfile writes it into a pipe: sizes and checksums follow the content.
pub(crate) fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
    const SCRIPT: &str = "
import json, sys, zipfile
class Pipe:
    def write(self, data): return sys.stdout.buffer.write(data)
    def flush(self): sys.stdout.buffer.flush()
with zipfile.ZipFile(Pipe(), 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, content in json.loads(sys.argv[1]):
        archive.writestr(name, content)
";
    let entries = serde_json::to_string(entries).expect("JSON");
    let output = Command::new("python3").args(["-c", SCRIPT, &entries]).output().expect("python3 can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
