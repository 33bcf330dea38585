//! Commands as plain processes: what the worker's loop does over its runner, without terminal, limits and permit.

use std::io;
use std::process::{Output, Stdio};
use worker::mask::Masker;
use worker::terraform::{Captured, CommandError, Commands, Exit, NoLeave, Streamed, ToolCommand};

/// Remembers everything that was asked of it.
pub(crate) struct Plain {
    pub(crate) log: String,
    pub(crate) phases: Vec<String>,
    pub(crate) commands: Vec<ToolCommand>,
    /// Answer to the question for leave.
    pub(crate) leave: Result<(), NoLeave>,
    pub(crate) asked_for_leave: usize,
    /// What happens to a command instead of its being run.
    pub(crate) accident: fn(&ToolCommand) -> Option<CommandError>,
    masker: Masker,
}

impl Plain {
    pub(crate) fn new(secrets: &[&str]) -> Self {
        let masker = Masker::new(secrets).expect("few secrets");
        Self { log: String::new(), phases: Vec::new(), commands: Vec::new(), leave: Ok(()), asked_for_leave: 0, accident: |_| None, masker }
    }

    /// The first words of the commands that were run.
    pub(crate) fn ran(&self) -> Vec<&str> {
        self.commands.iter().map(|command| command.args[0].as_str()).collect()
    }

    async fn run(&mut self, command: &ToolCommand) -> Result<(Output, Exit), CommandError> {
        if let Some(accident) = (self.accident)(command) {
            return Err(accident);
        }
        self.commands.push(command.clone());
        let not_started = |source: io::Error| CommandError::NotStarted { program: command.program.clone(), source };
        let mut child = tokio::process::Command::new(&command.program);
        child.args(&command.args).env_clear().envs(command.env.iter().cloned()).current_dir(&command.cwd).stdin(Stdio::null());
        let output = loop {
            match child.output().await {
                // A test has just written the program, and a child of another test still holds the open file for a moment.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => tokio::task::yield_now().await,
                ended => break ended.map_err(not_started)?,
            }
        };
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        let exit = Exit { code: output.status.code(), signal, interrupted: false };
        Ok((output, exit))
    }
}

impl Commands for Plain {
    async fn stream(&mut self, command: ToolCommand) -> Result<Streamed, CommandError> {
        let (output, exit) = self.run(&command).await?;
        let tail = self.masker.mask_bytes(&[output.stdout, output.stderr].concat());
        self.log.push_str(&String::from_utf8_lossy(&tail));
        Ok(Streamed { exit, tail })
    }

    async fn capture(&mut self, command: ToolCommand, limit: usize) -> Result<Captured, CommandError> {
        let (output, exit) = self.run(&command).await?;
        self.log.push_str(&self.masker.mask(&String::from_utf8_lossy(&output.stderr)));
        if output.stdout.len() > limit { Err(CommandError::TooMuch { limit }) } else { Ok(Captured { exit, stdout: output.stdout }) }
    }

    async fn narrate(&mut self, line: &str) {
        self.log.extend(["» ", &self.masker.mask(line), "\n"]);
    }

    async fn phase(&mut self, phase: &str) {
        self.phases.push(phase.to_owned());
    }

    async fn start_effects(&mut self) -> Result<(), NoLeave> {
        self.asked_for_leave += 1;
        self.leave.clone()
    }

    fn mask(&self, text: &str) -> String {
        self.masker.mask(text)
    }
}
