//! The terraform steps' commands, over the runner: the bridge between `crate::terraform` and the stage.

use crate::{
    attempt::stage::{Ended, Job, Stage, StageError},
    runner::{self, Mode},
    terraform::{Captured, CommandError, Commands, Exit, NoLeave, Streamed, ToolCommand},
};
use std::{fs::File, io, os::unix::fs::FileExt as _};

/// How much of a command's output is looked at to say what went wrong, in bytes.
const TAIL_BYTES: u64 = 64 * 1024;
/// The terminal that tools see: wide enough that terraform seldom folds a line.
const TERMINAL: Mode = Mode::Pty { rows: 50, cols: 160 };

impl Commands for Stage {
    async fn stream(&mut self, command: ToolCommand) -> Result<Streamed, CommandError> {
        let before = self.log_len();
        let ended = perform(self, command, TERMINAL).await?;
        let tail = self.tail(before).map_err(|error| CommandError::Lost(format!("the log cannot be read: {error}")))?;
        Ok(Streamed { exit: exit(&ended.exit), tail })
    }

    async fn capture(&mut self, command: ToolCommand, limit: usize) -> Result<Captured, CommandError> {
        let ended = perform(self, command, Mode::Pipe { capture_limit_bytes: limit as u64 }).await?;
        if ended.exit.captured_dropped > 0 {
            return Err(CommandError::TooMuch { limit });
        }
        Ok(Captured { exit: exit(&ended.exit), stdout: ended.captured })
    }

    async fn narrate(&mut self, line: &str) {
        Stage::narrate(self, line);
    }

    async fn phase(&mut self, phase: &str) {
        Stage::phase(self, phase).await;
    }

    async fn start_effects(&mut self) -> Result<(), NoLeave> {
        Stage::start_effects(self).await.map_err(|reason| NoLeave { reason })
    }

    fn mask(&self, text: &str) -> String {
        self.masked(text)
    }
}

impl Stage {
    /// The last bytes that came after `before`.
    pub(super) fn tail(&self, before: u64) -> io::Result<Vec<u8>> {
        let len = self.log_len();
        let from = before.max(len.saturating_sub(TAIL_BYTES)).min(len);
        let mut bytes = vec![0; (len - from) as usize];
        File::open(self.folder.log())?.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }
}

async fn perform(stage: &mut Stage, command: ToolCommand, mode: Mode) -> Result<Ended, CommandError> {
    // I11: what is to stop starts nothing more. A command with side effects has had its last word already.
    if !command.effects && stage.stop_outcome().is_some() {
        return Err(CommandError::Stopped);
    }
    let program = command.program.clone();
    let job = Job { program: command.program, args: command.args, env: command.env, cwd: command.cwd, mode, effects: command.effects };
    stage.run(job).await.map_err(|error| match error {
        StageError::NotStarted(failure) => {
            let source =
                if failure.errno == 0 { io::Error::other(failure.to_string()) } else { io::Error::from_raw_os_error(failure.errno) };
            CommandError::NotStarted { program, source }
        }
        // Its spec never arrived: no tool has started.
        StageError::Runner(error) => CommandError::NotStarted { program, source: io::Error::other(error) },
        StageError::Folder(error) => CommandError::NotStarted { program, source: error },
        StageError::Lost(error) => CommandError::Lost(error.to_string()),
    })
}

/// Processes that even SIGKILL did not end make the outcome unclear, whatever the exit code says (I16).
fn exit(exit: &runner::Exit) -> Exit {
    if exit.leftovers > 0 {
        return Exit { code: None, signal: exit.signal.or(Some(nix::libc::SIGKILL)), interrupted: exit.interrupted };
    }
    Exit { code: exit.code, signal: exit.signal, interrupted: exit.interrupted }
}
