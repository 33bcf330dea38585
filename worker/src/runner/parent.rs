//! The worker's handle on a runner: start it, hear it, stop its tool.
//!
//! Dropping the handle closes the control pipe, which is to the runner what the worker's death is: the spec's
//! [`super::OnOrphan`] decides. It never kills.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::spec::RunnerSpec;
use super::wire::{Control, RunnerEvent};
use super::{SUBCOMMAND, frames, tool};

/// The command that becomes a runner: a binary that calls [`super::main`] when it is started like this.
#[derive(Debug, Clone)]
pub struct RunnerExe {
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

impl RunnerExe {
    /// This very binary (not the file that may have replaced it since), as `navvy runner`.
    pub fn this_binary() -> Self {
        Self { program: tool::OWN_EXE.into(), args: vec![SUBCOMMAND.into()] }
    }
}

/// Something went wrong between worker and runner. The tool's own end is never an error.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// No tool can have started.
    #[error("cannot start the runner {}", program.display())]
    Spawn { program: PathBuf, source: io::Error },
    /// The spec did not reach the runner whole, so no tool has started.
    #[error("cannot hand the command to its runner")]
    HandOver { source: io::Error },
    /// The runner ended, or speaks nonsense, before it told how the tool ended: that is unknown.
    #[error("the runner was lost before it told how its tool ended; the tool may have gone on")]
    Lost { source: io::Error },
    #[error("cannot reach the runner to stop its tool; it may have ended")]
    Unreachable { source: io::Error },
}

/// A running runner.
#[derive(Debug)]
pub struct Runner {
    child: Child,
    control: ChildStdin,
    events: ChildStdout,
    buffer: BytesMut,
    pid: u32,
    over: bool,
}

impl Runner {
    /// Starts a runner and hands it the command. Whether the tool runs is said by the first event.
    ///
    /// # Errors
    /// Every error means that no tool has started.
    pub async fn spawn(spec: &RunnerSpec, exe: &RunnerExe) -> Result<Self, RunnerError> {
        let frame = frames::encode(spec).map_err(|source| RunnerError::HandOver { source })?;
        let failed = |source| RunnerError::Spawn { program: exe.program.clone(), source };
        let mut child = Command::new(&exe.program)
            .args(&exe.args)
            .arg0("navvy-runner")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(false)
            .spawn()
            .map_err(failed)?;
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.id());
        let ((mut control, events), pid) = pipes.ok_or_else(|| failed(io::Error::other("it has no pipes")))?;
        control.write_all(&frame).await.map_err(|source| RunnerError::HandOver { source })?;
        Ok(Self { child, control, events, buffer: BytesMut::new(), pid, over: false })
    }

    /// Process id of the runner, not of the tool.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The next event; `None` after the last one. Cancelling the wait loses nothing.
    ///
    /// # Errors
    /// [`RunnerError::Lost`]: no more events will come, and how the tool ended is unknown.
    pub async fn next_event(&mut self) -> Result<Option<RunnerEvent>, RunnerError> {
        let lost = |source| RunnerError::Lost { source };
        loop {
            if self.over {
                return Ok(None);
            }
            if let Some((event, used)) = frames::decode::<RunnerEvent>(&self.buffer).map_err(lost)? {
                let _ = self.buffer.split_to(used);
                self.over = matches!(event, RunnerEvent::Exited(_) | RunnerEvent::Failed(_));
                return Ok(Some(event));
            }
            if self.events.read_buf(&mut self.buffer).await.map_err(lost)? == 0 {
                return Err(lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// SIGINT to the tool alone, once (see [`Control::Interrupt`]).
    pub async fn interrupt(&mut self) -> Result<(), RunnerError> {
        self.ask(Control::Interrupt).await
    }

    /// SIGTERM to the tool alone, once.
    pub async fn terminate(&mut self) -> Result<(), RunnerError> {
        self.ask(Control::Terminate).await
    }

    /// SIGKILL to the tool and everything it started. Loses what the tool had not saved.
    pub async fn kill(&mut self) -> Result<(), RunnerError> {
        self.ask(Control::Kill).await
    }

    /// Waits until the runner process is gone, after the last event.
    pub async fn wait(mut self) -> Result<(), RunnerError> {
        self.child.wait().await.map(drop).map_err(|source| RunnerError::Lost { source })
    }

    async fn ask(&mut self, control: Control) -> Result<(), RunnerError> {
        let frame = frames::encode(&control).map_err(|source| RunnerError::Unreachable { source })?;
        self.control.write_all(&frame).await.map_err(|source| RunnerError::Unreachable { source })
    }
}
