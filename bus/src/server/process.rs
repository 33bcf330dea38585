//! The server's process: a child of ours, or one that an earlier process of ours left behind.

use super::ServerError;
use super::files::{DataDir, Record};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Followed by the path that a server of ours is recognised by.
const CONFIG_FLAG: &str = "--config";

/// A server's process.
#[derive(Debug)]
pub(super) enum Process {
    /// Started by us.
    Child { child: Child, pid: u32 },
    /// Started by a process of ours that is gone.
    Adopted { pid: u32 },
}

impl Process {
    pub(super) fn start(program: &Path, dir: &DataDir) -> Result<Self, ServerError> {
        let log = dir.open_log()?;
        let failed = |source| ServerError::Process { what: format!("{} cannot be started", program.display()), source };
        let child = Command::new(program)
            .arg(CONFIG_FLAG)
            .arg(dir.config_file())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .env_clear()
            // Its own group: Ctrl-C at the terminal is for us, and we stop it when we are done with it.
            .process_group(0)
            .kill_on_drop(false)
            .spawn()
            .map_err(failed)?;
        let pid = child.id().unwrap_or_default();
        Ok(Self::Child { child, pid })
    }

    /// The process of the record, if it is still there and is really that server: process ids are used again.
    pub(super) fn left_behind(record: &Record, config: &Path) -> Option<Self> {
        let wanted = format!("{CONFIG_FLAG} {}", config.to_str()?);
        let ours = record.pid != 0 && command_line(record.pid)?.contains(&wanted);
        ours.then_some(Self::Adopted { pid: record.pid })
    }

    pub(super) fn pid(&self) -> u32 {
        match self {
            Self::Child { pid, .. } | Self::Adopted { pid } => *pid,
        }
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        match self {
            Self::Child { child, .. } => child.try_wait().ok().flatten(),
            Self::Adopted { pid } => (!alive(*pid)).then(unknown_status),
        }
    }

    pub(super) async fn wait(&mut self) -> ExitStatus {
        match self {
            Self::Child { child, .. } => child.wait().await.unwrap_or_else(|_| unknown_status()),
            Self::Adopted { pid } => {
                while alive(*pid) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                unknown_status()
            }
        }
    }

    /// SIGTERM, and SIGKILL if that is not enough.
    pub(super) async fn stop(&mut self, patience: Duration) -> Result<(), ServerError> {
        for (signal, patience) in [(Signal::SIGTERM, patience), (Signal::SIGKILL, Duration::from_secs(5))] {
            if self.ended().is_some() {
                return Ok(());
            }
            match kill(Pid::from_raw(self.pid().cast_signed()), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => {
                    return Err(ServerError::Process { what: "nats-server cannot be stopped".to_owned(), source: errno.into() });
                }
            }
            if tokio::time::timeout_at(Instant::now() + patience, self.wait()).await.is_ok() {
                return Ok(());
            }
        }
        Err(ServerError::Stuck { pid: self.pid() })
    }
}

/// A process that is not our child cannot be asked.
fn unknown_status() -> ExitStatus {
    ExitStatus::from_raw(1 << 8)
}

fn alive(pid: u32) -> bool {
    // A zombie has no command line any more; it has ended.
    command_line(pid).is_some_and(|line| !line.is_empty())
}

/// The command line of a process, its arguments separated by blanks.
fn command_line(pid: u32) -> Option<String> {
    if Path::new("/proc/self/cmdline").exists() {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&bytes).replace('\0', " "));
    }
    let output = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
