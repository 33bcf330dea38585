//! The runner's side of starting the tool: terminal or pipes, the launcher, and its word that the tool runs.
//!
//! portable-pty opens the terminal; its `spawn_command` is not used, because it hides a failed exec, puts `SHELL`
//! into the environment and falls back to `$HOME` if the folder is missing.

use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::unistd::Pid;
use portable_pty::{MasterPty, PtySize, SlavePty, native_pty_system};

use super::cgroup::Groups;
use super::launch::{LaunchReport, LaunchSpec};
use super::spec::{Mode, RunnerSpec};
use super::wire::{StartFailure, StartStep};
use super::{LAUNCH, frames};

/// Our own program, even if the file was replaced by a newer build meanwhile.
pub(super) const OWN_EXE: &str = "/proc/self/exe";

/// A running tool and the ends of its output.
pub(super) struct Tool {
    pub(super) pid: Pid,
    /// What goes into the log: the terminal, stderr, or both outputs.
    pub(super) log: Box<dyn Read + Send>,
    /// Captured stdout, in pipe mode.
    pub(super) capture: Option<PipeReader>,
    /// Dropping the last end of a terminal hangs up the tool.
    _terminal: Option<Box<dyn MasterPty + Send>>,
}

/// The ends that the launcher gets.
struct Theirs {
    terminal: Option<(std::path::PathBuf, Box<dyn SlavePty + Send>)>,
    stdout: Stdio,
    stderr: Stdio,
}

/// Starts the tool and waits until its program runs or has failed to.
pub(super) fn start(spec: &RunnerSpec, groups: &Groups) -> Result<Tool, StartFailure> {
    if !spec.program.is_absolute() {
        let detail = "the path of the program must be absolute: nothing is searched for".into();
        return Err(StartFailure { step: StartStep::Execute, path: spec.program.clone(), errno: 0, detail });
    }
    match spec.mode {
        Mode::Pty { rows, cols } => on_terminal(spec, groups, PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }),
        Mode::Pipe { .. } => on_pipes(spec, groups),
        Mode::Plain => on_one_pipe(spec, groups),
    }
}

fn on_terminal(spec: &RunnerSpec, groups: &Groups, size: PtySize) -> Result<Tool, StartFailure> {
    let failed = |detail: String| StartFailure { step: StartStep::OpenTerminal, path: spec.program.clone(), errno: 0, detail };
    let pair = native_pty_system().openpty(size).map_err(|error| failed(error.to_string()))?;
    let log = pair.master.try_clone_reader().map_err(|error| failed(error.to_string()))?;
    let name = pair.master.tty_name().ok_or_else(|| failed("it has no name; is /dev/pts mounted?".into()))?;
    let theirs = Theirs { terminal: Some((name, pair.slave)), stdout: Stdio::null(), stderr: Stdio::null() };
    let pid = launch(spec, groups, theirs)?;
    Ok(Tool { pid, log, capture: None, _terminal: Some(pair.master) })
}

fn on_pipes(spec: &RunnerSpec, groups: &Groups) -> Result<Tool, StartFailure> {
    let pipe = || io::pipe().map_err(|error| StartFailure::io(StartStep::SpawnLauncher, &spec.program, &error));
    let ((stdout, their_stdout), (stderr, their_stderr)) = (pipe()?, pipe()?);
    let theirs = Theirs { terminal: None, stdout: their_stdout.into(), stderr: their_stderr.into() };
    let pid = launch(spec, groups, theirs)?;
    Ok(Tool { pid, log: Box::new(stderr), capture: Some(stdout), _terminal: None })
}

fn on_one_pipe(spec: &RunnerSpec, groups: &Groups) -> Result<Tool, StartFailure> {
    let failed = |error: io::Error| StartFailure::io(StartStep::SpawnLauncher, &spec.program, &error);
    let (output, theirs) = io::pipe().map_err(failed)?;
    let twin = theirs.try_clone().map_err(failed)?;
    let pid = launch(spec, groups, Theirs { terminal: None, stdout: theirs.into(), stderr: twin.into() })?;
    Ok(Tool { pid, log: Box::new(output), capture: None, _terminal: None })
}

fn launch(spec: &RunnerSpec, groups: &Groups, theirs: Theirs) -> Result<Pid, StartFailure> {
    let failed = |error: io::Error| StartFailure::io(StartStep::SpawnLauncher, &spec.program, &error);
    let (mut channel, their_channel) = UnixStream::pair().map_err(failed)?;
    // The runner's copy of the terminal stays open until the launcher has its own: a terminal that nobody holds hangs up.
    let (terminal, _held_open) = theirs.terminal.unzip();
    let mut command = Command::new(OWN_EXE);
    command
        .arg0("navvy-launcher")
        .args(std::env::args_os().skip(1))
        .arg(LAUNCH)
        .env_clear()
        .stdin(OwnedFd::from(their_channel))
        .stdout(theirs.stdout)
        .stderr(theirs.stderr);
    let pid = Pid::from_raw(command.spawn().map_err(failed)?.id() as i32);
    // The command keeps the launcher's ends; while it lives, no stream of ours would ever end.
    drop(command);
    let orders = LaunchSpec {
        program: spec.program.clone(),
        args: spec.args.clone(),
        env: spec.env.clone(),
        cwd: spec.cwd.clone(),
        limits: spec.limits,
        cgroups: groups.entrances(),
        dies_with_runner: spec.mode == Mode::Plain,
        terminal,
    };
    let sent = frames::write(&mut channel, &orders);
    heard(spec, &mut channel, sent)?;
    Ok(pid)
}

fn heard(spec: &RunnerSpec, channel: &mut UnixStream, sent: io::Result<()>) -> Result<(), StartFailure> {
    let failed = |error: &io::Error| StartFailure::io(StartStep::SpawnLauncher, &spec.program, error);
    let mut ready = false;
    loop {
        match frames::read::<LaunchReport>(channel).map_err(|error| failed(&error))? {
            Some(LaunchReport::Ready) => ready = true,
            Some(LaunchReport::Failed(failure)) => return Err(failure),
            None if ready => return Ok(()),
            None => {
                let died = io::Error::other("the launcher died before it was ready");
                return Err(failed(&sent.err().unwrap_or(died)));
            }
        }
    }
}
