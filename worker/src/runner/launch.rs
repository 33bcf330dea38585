//! The launcher: the last moments of our binary before it becomes the tool.
//!
//! It gets its orders over a socket on stdin, makes a session of its own, takes the terminal, enters the folder, sets
//! limits, and execs. The socket closes by itself on exec: `Ready` and then the end mean that the tool runs; anything
//! else names the step that failed. No byte of the tool's output has to be trusted for that.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use bincode::{Decode, Encode};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use tokio::signal::unix::SignalKind;

use super::frames;
use super::spec::{Limits, Names};
use super::wire::{StartFailure, StartStep};

/// The launcher's orders.
#[derive(Encode, Decode)]
pub(super) struct LaunchSpec {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: PathBuf,
    pub(super) limits: Limits,
    /// Files to write into, to enter the cgroups that hold the limits of the whole family.
    pub(super) cgroups: Vec<PathBuf>,
    /// Whether to be killed together with the runner: nothing else would tell a tool without a terminal.
    pub(super) dies_with_runner: bool,
    /// The terminal to take for output and errors; without one they are what the launcher was given.
    pub(super) terminal: Option<PathBuf>,
}

impl std::fmt::Debug for LaunchSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaunchSpec").field("program", &self.program).field("env", &Names(&self.env)).finish_non_exhaustive()
    }
}

/// What the launcher says before its socket closes.
#[derive(Debug, Encode, Decode)]
pub(super) enum LaunchReport {
    /// Everything is set; exec comes next.
    Ready,
    Failed(StartFailure),
}

pub(super) fn main() -> ExitCode {
    let Ok(mut channel) = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else {
        return ExitCode::FAILURE;
    };
    let Ok(Some(spec)) = frames::read::<LaunchSpec>(&mut channel) else {
        return ExitCode::FAILURE;
    };
    let failure = prepare(&spec).and_then(|()| ready(&mut channel)).err().unwrap_or_else(|| execute(&spec));
    // If the runner is gone there is nobody to tell, and the tool has not started.
    let _ = frames::write(&mut channel, &LaunchReport::Failed(failure));
    ExitCode::FAILURE
}

fn prepare(spec: &LaunchSpec) -> Result<(), StartFailure> {
    let terminal = spec.terminal.as_deref();
    default_signals()
        .and_then(|()| take_session(terminal))
        .map_err(|error| StartFailure::io(StartStep::OpenTerminal, terminal.unwrap_or(Path::new("/dev/null")), &error))?;
    if spec.dies_with_runner {
        let shared = prctl::set_pdeathsig(Signal::SIGKILL);
        shared.map_err(|error| StartFailure::io(StartStep::SetLimits, &spec.program, &error.into()))?;
    }
    for entrance in &spec.cgroups {
        // 0 is whoever writes it.
        std::fs::write(entrance, "0").map_err(|error| StartFailure::io(StartStep::SetLimits, entrance, &error))?;
    }
    std::env::set_current_dir(&spec.cwd).map_err(|error| StartFailure::io(StartStep::EnterFolder, &spec.cwd, &error))?;
    set_limits(&spec.limits).map_err(|error| StartFailure::io(StartStep::SetLimits, &spec.program, &error.into()))
}

/// A worker started with `&` or `nohup` hands down ignored signals, and then no interrupt would ever reach the tool, nor
/// would it end with its terminal when the runner is killed.
/// Exec turns *caught* signals into default ones, so catching them is the safe way to reset them. Blocked signals stay
/// blocked over spawn and exec: the runner's own deafness is taken off here.
fn default_signals() -> io::Result<()> {
    SigSet::empty().thread_set_mask()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _context = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit(), SignalKind::hangup()] {
        drop(tokio::signal::unix::signal(kind)?);
    }
    Ok(())
}

/// A session of its own, so that nothing sent to the runner's group reaches the tool. Input is empty: a tool that asks
/// a question gets an end of file and not silence.
fn take_session(terminal: Option<&Path>) -> io::Result<()> {
    setsid()?;
    dup2_stdin(File::open("/dev/null")?)?;
    let Some(path) = terminal else { return Ok(()) };
    // The first terminal that a session leader opens becomes the session's terminal.
    let terminal = OpenOptions::new().read(true).write(true).open(path)?;
    let mut settings = tcgetattr(&terminal)?;
    settings.local_flags.remove(LocalFlags::ECHO);
    // No `\n` to `\r\n`: the log wants it back, and the kernel does it byte by byte.
    settings.output_flags.remove(OutputFlags::OPOST);
    tcsetattr(&terminal, SetArg::TCSANOW, &settings)?;
    dup2_stdout(&terminal)?;
    dup2_stderr(&terminal)?;
    Ok(())
}

fn set_limits(limits: &Limits) -> Result<(), Errno> {
    prctl::set_no_new_privs()?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let bounds = [
        (Resource::RLIMIT_NOFILE, Some(limits.open_files)),
        (Resource::RLIMIT_NPROC, limits.processes),
        (Resource::RLIMIT_AS, limits.address_space_bytes),
        (Resource::RLIMIT_FSIZE, limits.file_size_bytes),
        (Resource::RLIMIT_CPU, limits.cpu_seconds),
    ];
    for (resource, bound) in bounds {
        let Some(bound) = bound else { continue };
        let (_, allowed) = getrlimit(resource)?;
        // What the machine allows already may be less, and raising it is not ours.
        let bound = if allowed == RLIM_INFINITY { bound } else { bound.min(allowed) };
        setrlimit(resource, bound, bound)?;
    }
    Ok(())
}

fn ready(channel: &mut UnixStream) -> Result<(), StartFailure> {
    frames::write(channel, &LaunchReport::Ready).map_err(|error| StartFailure::io(StartStep::SpawnLauncher, "/proc/self/exe", &error))
}

/// Becomes the tool. Returns only if that failed.
fn execute(spec: &LaunchSpec) -> StartFailure {
    let env = spec.env.iter().map(|(name, value)| (name, value));
    let error = Command::new(&spec.program).args(&spec.args).env_clear().envs(env).exec();
    let mut failure = StartFailure::io(StartStep::Execute, &spec.program, &error);
    if error.kind() == io::ErrorKind::NotFound && spec.program.exists() {
        failure.detail = "the file is there, but the interpreter or loader it names is not".into();
    }
    failure
}
