//! A nats-server of our own, for `navvy up` and for tests: found ([`binary`]), configured and remembered ([`files`]), started,
//! taken over again and stopped ([`process`]).
//!
//! It runs in its own process group, so that Ctrl-C reaches us first and it last. It outlives us when we are killed; the
//! next start on the same directory finds it by its record, takes it over if it answers, and otherwise stops it.

mod binary;
mod files;
mod process;

use crate::connect::{Bus, ConnectOptions};
use crate::users::{Role, Users};
use files::{DataDir, Record};
use process::Process;
use proto::PoolName;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::time::Instant;

/// How long a server may take to answer: it first reads everything it has stored.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// How long a server that was left behind may take to answer.
const TAKE_OVER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a server may take to stop before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// The same for one that did not answer anyway.
const SILENT_STOP_PATIENCE: Duration = Duration::from_secs(3);
/// Free ports to try: another process may be faster.
const PORTS: usize = 5;

/// How to run a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The program; absent: found on the PATH or in `.tools/bin`.
    pub binary: Option<PathBuf>,
    /// Where everything is kept. Created with mode 0700.
    pub data_dir: PathBuf,
    /// The pools whose workers connect to it; each has a user of its own.
    pub pools: Vec<PoolName>,
    /// The port on 127.0.0.1; absent: the one used last time if it is free, else any free one.
    pub port: Option<u16>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No program, or too old a one.
    #[error("{0}")]
    Binary(String),
    /// Another process uses the directory.
    #[error("{dir} is in use by another navvy: stop that one, or use another data directory")]
    InUse { dir: PathBuf },
    /// Something about a file.
    #[error("{what} {path}")]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The program could not be started or spoken to.
    #[error("{what}")]
    Process {
        what: String,
        #[source]
        source: std::io::Error,
    },
    /// It ended at once.
    #[error("nats-server ended at once ({status}); the end of its log {log}: {tail}")]
    Ended { status: String, log: PathBuf, tail: String },
    /// It runs but does not answer.
    #[error("nats-server does not answer on port {port} after {seconds} s; see its log {log}")]
    Silent { port: u16, seconds: u64, log: PathBuf },
    /// A server that was left behind can be neither used nor stopped.
    #[error("the nats-server {pid} that an earlier navvy left behind does not stop; end it by hand")]
    Stuck { pid: u32 },
}

/// A running server that is ours.
#[derive(Debug)]
pub struct Server {
    process: Process,
    record: Record,
    dir: DataDir,
}

impl ServerOptions {
    /// A server in a folder, with the workers of the usual pool.
    pub fn in_dir(data_dir: impl Into<PathBuf>) -> Self {
        Self { binary: None, data_dir: data_dir.into(), pools: vec![PoolName::default()], port: None }
    }
}

impl Server {
    /// Starts a server on the directory, or takes over the one that an earlier process left running on it, and returns
    /// once it answers a JetStream request.
    pub async fn start(options: ServerOptions) -> Result<Server, ServerError> {
        let dir = DataDir::open(&options.data_dir).await?;
        let before = dir.read_record()?;
        let users = Users::of_pools(&options.pools);
        if let Some(record) = &before
            && let Some(taken) = take_over(&dir, record, &users, options.port).await?
        {
            return Ok(taken);
        }
        let program = binary::find(options.binary.as_deref()).await?;
        let credentials = before.as_ref().map_or_else(files::Credentials::fresh, |record| record.credentials.clone()).completed(&users);
        for attempt in 0..PORTS {
            let preferred = options.port.or(before.as_ref().map(|r| r.port).filter(|_| attempt == 0));
            let port = files::free_port(preferred, options.port.is_some())?;
            let record = Record { pid: 0, port, credentials: credentials.clone() };
            match start_on(&dir, &program, &users, record).await {
                // Somebody took the port between our look and the server's.
                Err(ServerError::Ended { tail, .. }) if tail.contains("address already in use") && options.port.is_none() => {}
                other => return other,
            }
        }
        Err(ServerError::Binary("no free port on 127.0.0.1 was found".to_owned()))
    }

    /// How a person connects to it who may do everything.
    pub fn connect_options(&self, name: &str) -> ConnectOptions {
        self.record.connect_options(name)
    }

    /// How a role connects to it, with its own user.
    pub fn connect_as(&self, name: &str, role: Role) -> ConnectOptions {
        self.record.connect_as(name, role)
    }

    /// The same for whichever role, also when the server itself is in other hands. It keeps its port and its users.
    pub fn ways_to_connect(&self, name: &str) -> impl Fn(Role) -> ConnectOptions + Send + Sync + use<> {
        let (record, name) = (self.record.clone(), name.to_owned());
        move |role| record.connect_as(&format!("{name} {role}"), role)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Asks it to stop and waits until it is gone; kills it after 20 s.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        self.process.stop(STOP_PATIENCE).await?;
        self.dir.forget_process(&self.record)
    }

    /// Waits until it ends by itself. The status of a server that was taken over is not known and counts as a failure.
    pub async fn wait(&mut self) -> ExitStatus {
        self.process.wait().await
    }
}

async fn take_over(dir: &DataDir, record: &Record, users: &Users, port: Option<u16>) -> Result<Option<Server>, ServerError> {
    let Some(mut process) = Process::left_behind(record, &dir.config_file()) else { return Ok(None) };
    let pid = process.pid();
    // One with other users (another version's, or other pools) is started again: it would refuse what the roles do.
    let as_wanted = dir.has_config(&dir.config(users, &record.credentials, record.port));
    if as_wanted && port.is_none_or(|port| port == record.port) && answers(record, &mut process, TAKE_OVER_PATIENCE).await {
        tracing::info!(pid, port = record.port, "took over the nats-server that an earlier process left running");
        return Ok(Some(Server { process, record: record.clone(), dir: dir.clone() }));
    }
    tracing::info!(pid, "stopping the nats-server that an earlier process left running");
    process.stop(SILENT_STOP_PATIENCE).await?;
    Ok(None)
}

async fn start_on(dir: &DataDir, program: &std::path::Path, users: &Users, record: Record) -> Result<Server, ServerError> {
    dir.write_config(&dir.config(users, &record.credentials, record.port))?;
    let mut process = Process::start(program, dir)?;
    let (pid, port) = (process.pid(), record.port);
    let record = Record { pid, ..record };
    if let Err(error) = dir.write_record(&record) {
        process.stop(STOP_PATIENCE).await?;
        return Err(error);
    }
    if answers(&record, &mut process, START_PATIENCE).await {
        return Ok(Server { process, record, dir: dir.clone() });
    }
    let log = dir.log_file();
    if let Some(status) = process.ended() {
        return Err(ServerError::Ended { status: status.to_string(), tail: files::tail(&log), log });
    }
    process.stop(SILENT_STOP_PATIENCE).await?;
    Err(ServerError::Silent { port, seconds: START_PATIENCE.as_secs(), log })
}

/// Whether it answers a real JetStream request before it ends or the time is over.
async fn answers(record: &Record, process: &mut Process, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline && process.ended().is_none() {
        let listening = tokio::net::TcpStream::connect(("127.0.0.1", record.port)).await.is_ok();
        if listening {
            let asked = async { Bus::connect(record.connect_options("navvy up")).await?.probe().await };
            match tokio::time::timeout_at(deadline, asked).await {
                Ok(Ok(())) => return true,
                Ok(Err(error)) => tracing::debug!(%error, "not ready yet"),
                Err(_) => return false,
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
