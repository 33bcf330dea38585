//! The directory of our own server: its configuration, the record of the process, its log. Passwords stand in files of mode
//! 0600 only.

use super::ServerError;
use crate::connect::ConnectOptions;
use crate::seal::BlobKey;
use crate::users::{Role, Users, user_of};
use proto::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const USER: &str = "navvy";
/// How long a directory may still look taken.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// How much of a log is shown.
const TAIL_BYTES: u64 = 1500;

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credentials {
    /// The operator's, who may do everything: for a person with `nats`.
    pub(super) user: String,
    pub(super) password: Secret,
    /// Those of the roles, by user. A record of an older version has none.
    #[serde(default)]
    pub(super) roles: BTreeMap<String, Secret>,
}

impl Credentials {
    pub(super) fn fresh() -> Self {
        Self { user: USER.to_owned(), password: BlobKey::random_hex(), roles: BTreeMap::new() }
    }

    /// With a password for each of these users; those that have one keep it.
    pub(super) fn completed(mut self, users: &Users) -> Self {
        for user in users.all() {
            self.roles.entry(user.name).or_insert_with(BlobKey::random_hex);
        }
        self
    }

    fn password_of(&self, user: &str) -> &Secret {
        self.roles.get(user).unwrap_or(&self.password)
    }
}

/// A process that was started, so that a later one of ours finds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// 0: stopped properly.
    pub(super) pid: u32,
    pub(super) port: u16,
    pub(super) credentials: Credentials,
}

impl Record {
    /// As the operator.
    pub(super) fn connect_options(&self, name: &str) -> ConnectOptions {
        self.options(name, &self.credentials.user, None)
    }

    /// As a role.
    pub(super) fn connect_as(&self, name: &str, role: Role) -> ConnectOptions {
        self.options(name, &user_of(&role), Some(role))
    }

    fn options(&self, name: &str, user: &str, role: Option<Role>) -> ConnectOptions {
        ConnectOptions {
            url: format!("nats://127.0.0.1:{}", self.port),
            user: Some(user.to_owned()),
            password: Some(self.credentials.password_of(user).expose().to_owned()),
            client_name: name.to_owned(),
            role,
            ..ConnectOptions::default()
        }
    }
}

/// The directory, held by this process alone.
#[derive(Debug, Clone)]
pub(super) struct DataDir {
    path: PathBuf,
    /// Locked for as long as it is open; the kernel frees it when we die.
    _held: Arc<File>,
}

impl DataDir {
    /// Creates it where it is missing, and takes it.
    pub(super) async fn open(path: &Path) -> Result<Self, ServerError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file("create directory", path))?;
        // The server is told paths in here, and is recognised by them.
        let path = fs::canonicalize(path).map_err(file("look at", path))?;
        let lock = path.join("lock");
        let held = private(OpenOptions::new().create(true).truncate(false)).open(&lock).map_err(file("open", &lock))?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match held.try_lock() {
                Ok(()) => return Ok(Self { path, _held: Arc::new(held) }),
                // A child that was just forked off has the old holder's files too, until it becomes another program.
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(TryLockError::WouldBlock) => return Err(ServerError::InUse { dir: path }),
                Err(TryLockError::Error(source)) => return Err(ServerError::File { what: "lock", path: lock, source }),
            }
        }
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.path.join("nats.conf")
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.path.join("nats.log")
    }

    fn record_file(&self) -> PathBuf {
        self.path.join("nats.json")
    }

    pub(super) fn read_record(&self) -> Result<Option<Record>, ServerError> {
        let path = self.record_file();
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)
                .inspect_err(|error| tracing::warn!(%error, path = %path.display(), "the record of the last nats-server cannot be read"))
                .ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ServerError::File { what: "read", path, source }),
        }
    }

    pub(super) fn write_record(&self, record: &Record) -> Result<(), ServerError> {
        let text = serde_json::to_vec(record).map_err(|e| ServerError::File {
            what: "write",
            path: self.record_file(),
            source: std::io::Error::other(e),
        })?;
        replace(&self.record_file(), &text)
    }

    /// The process is gone; port and credentials stay for the next one.
    pub(super) fn forget_process(&self, record: &Record) -> Result<(), ServerError> {
        self.write_record(&Record { pid: 0, ..record.clone() })
    }

    pub(super) fn write_config(&self, text: &str) -> Result<(), ServerError> {
        replace(&self.config_file(), text.as_bytes())
    }

    /// Whether the configuration on disk, and so that of a server that was started from it, is this one.
    pub(super) fn has_config(&self, text: &str) -> bool {
        fs::read_to_string(self.config_file()).is_ok_and(|there| there == text)
    }

    /// The configuration of a server with these users.
    pub(super) fn config(&self, users: &Users, credentials: &Credentials, port: u16) -> String {
        let quoted = |path: PathBuf| format!("{:?}", path.display().to_string());
        let authorization =
            users.configuration_with(Some(&credentials.user), |user| format!("\"{}\"", credentials.password_of(user).expose()));
        format!(
            "# Written anew at each start of navvy.\n\
             listen: \"127.0.0.1:{port}\"\n\
             server_name: \"navvy\"\n\
             max_payload: 1MB\n\
             {authorization}\
             jetstream {{ store_dir: {}, sync_interval: always }}\n\
             log_file: {}\n\
             logfile_size_limit: 16MB\n\
             logfile_max_num: 3\n",
            quoted(self.path.join("jetstream")),
            quoted(self.log_file()),
        )
    }

    /// What the server says before it has opened its log, such as an error in its configuration, goes into the same file.
    pub(super) fn open_log(&self) -> Result<File, ServerError> {
        let path = self.log_file();
        OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(file("open", &path))
    }
}

/// All or nothing: a process that is killed leaves the old file or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), ServerError> {
    let beside = path.with_extension("next");
    let mut made = private(OpenOptions::new().create(true).truncate(true)).open(&beside).map_err(file("create", &beside))?;
    made.write_all(bytes).and_then(|()| made.sync_all()).map_err(file("write", &beside))?;
    fs::rename(&beside, path).map_err(file("replace", path))
}

fn private(options: &mut OpenOptions) -> &OpenOptions {
    options.write(true).mode(0o600)
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ServerError {
    let path = path.to_path_buf();
    move |source| ServerError::File { what, path, source }
}

/// A port nobody listens on; the preferred one if it is free. `only_that`: no other will do.
pub(super) fn free_port(preferred: Option<u16>, only_that: bool) -> Result<u16, ServerError> {
    let taken = |port: u16, source| ServerError::Process { what: format!("port {port} on 127.0.0.1 cannot be used"), source };
    if let Some(port) = preferred {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(source) if only_that => return Err(taken(port, source)),
            Err(_) => {}
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|source| taken(0, source))?;
    listener.local_addr().map(|address| address.port()).map_err(|source| taken(0, source))
}

/// The end of a log. The server writes no passwords into it.
pub(super) fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| format!("(cannot be read: {error})"))
}
