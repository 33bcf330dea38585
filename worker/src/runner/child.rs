//! The runner process: its walls, what must stand before a tool may start, and the record it leaves.
//!
//! The order is: walls, spec, masker, log (held), tool, loop (`running`), exit record, report. A runner that dies
//! before the tool starts has done nothing; one that dies later leaves no record, and the end is unknown.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::time::Instant;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::setsid;

use super::contain::{self, Containment};
use super::exit_record::ExitRecord;
use super::feeds::{Message, listen, pump, watch_children};
use super::frames;
use super::output::LogSink;
use super::reporter::Reporter;
use super::running::{Ends, Running};
use super::spec::{Mode, RunnerSpec};
use super::stop::Stop;
use super::tool::{self, Tool};
use super::wire::{Exit, RunnerEvent, StartFailure, StartStep};
use crate::attempt_log::{AttemptLog, AttemptLogError};
use crate::mask::Masker;

/// Messages that may wait: with pieces of 64 KiB this bounds the memory for output under way.
const WAITING: usize = 16;

pub(super) fn main() -> ExitCode {
    harden();
    let Ok(Some(spec)) = frames::read::<RunnerSpec>(&mut std::io::stdin().lock()) else {
        return ExitCode::from(2);
    };
    let Ok(stdout) = std::io::stdout().as_fd().try_clone_to_owned() else {
        return ExitCode::from(2);
    };
    let reporter = Reporter::start(File::from(stdout));
    let last = match begin(&spec) {
        Ok((mask, log)) => start(&spec, &mask, log, &reporter),
        Err(failure) => RunnerEvent::Failed(failure),
    };
    reporter.finish(last);
    ExitCode::SUCCESS
}

/// Nothing here is worth not running for: each is one more wall, and the tool's own walls are set by its launcher.
fn harden() {
    portable_pty::unix::close_random_fds();
    // Only the worker's messages count. A signal to the worker's group or service must not count twice.
    let mut deaf = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        deaf.add(signal);
    }
    let _ = deaf.thread_block();
    let _ = setsid();
    // Its memory holds the secrets of the job: no core, no debugger of the same user, nothing in /proc.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = prctl::set_dumpable(false);
    let _ = prctl::set_name(c"navvy-runner");
}

/// What must stand before a tool may start.
fn begin(spec: &RunnerSpec) -> Result<(Masker, AttemptLog), StartFailure> {
    let refused = |step, detail: String| StartFailure { step, path: spec.log.clone(), errno: 0, detail };
    // Without this a tool's orphans would escape, and a lock could be released under them.
    prctl::set_child_subreaper(true).map_err(|error| StartFailure::io(StartStep::SpawnLauncher, &spec.program, &error.into()))?;
    let mask = Masker::new(&spec.secrets).map_err(|error| refused(StartStep::CompileSecrets, error.to_string()))?;
    let log = AttemptLog::open_limited(&spec.log, spec.log_limit_bytes).and_then(|log| log.hold().map(|()| log));
    let log = log.map_err(|error| match error {
        AttemptLogError::Open { path, source } => StartFailure::io(StartStep::OpenLog, path, &source),
        other => refused(StartStep::OpenLog, other.to_string()),
    })?;
    if let Some(path) = &spec.exit_record {
        ExitRecord::remove_stale(path).map_err(|error| refused(StartStep::OpenLog, error.to_string()))?;
    }
    Ok((mask, log))
}

fn start(spec: &RunnerSpec, mask: &Masker, log: AttemptLog, reporter: &Reporter) -> RunnerEvent {
    let contained = match Containment::prepare(&spec.family) {
        Ok(contained) => contained,
        Err(failure) => return not_started(spec, log, failure),
    };
    match tool::start(spec, contained.groups()) {
        Ok(tool) => run(spec, tool, contained, LogSink::new(mask.stream(), log), reporter),
        Err(failure) => {
            contained.groups().remove();
            not_started(spec, log, failure)
        }
    }
}

fn not_started(spec: &RunnerSpec, mut log: AttemptLog, failure: StartFailure) -> RunnerEvent {
    record(spec, &mut log, &ExitRecord::not_started(&failure));
    RunnerEvent::Failed(failure)
}

/// Leaves the record for a worker started later. If the disk refuses it, the log may still say so; the worker that is
/// there hears the result anyway.
fn record(spec: &RunnerSpec, log: &mut AttemptLog, record: &ExitRecord) {
    let Some(path) = &spec.exit_record else {
        return;
    };
    let synced = log.sync().map_err(|error| error.to_string());
    if let Err(error) = synced.and_then(|()| record.write(path).map_err(|error| error.to_string())) {
        let _ = log.line(&format!("[{error}: a worker that is restarted now will not know how this ended]"));
    }
}

/// From the running tool to the last event.
fn run(spec: &RunnerSpec, tool: Tool, contained: Containment, sink: LogSink, reporter: &Reporter) -> RunnerEvent {
    reporter.say(RunnerEvent::Started { pid: tool.pid.as_raw() as u32 });
    let (to, messages) = sync_channel(WAITING);
    let (reaped, may_look) = channel();
    // The terminal itself stays in `tool` until the end.
    let Tool { pid, log, capture, .. } = tool;
    let mut open_streams = 1;
    pump(log, Message::Output, to.clone());
    if let Some(capture) = capture {
        open_streams += 1;
        pump(capture, Message::Captured, to.clone());
    }
    let contained = Arc::new(contained);
    contain::watch(contained.clone(), to.clone());
    listen(to.clone());
    watch_children(to, may_look);
    let capture_room = match spec.mode {
        Mode::Pty { .. } | Mode::Plain => 0,
        Mode::Pipe { capture_limit_bytes } => capture_limit_bytes,
    };
    let stop = Stop::new(spec, Instant::now());
    let mut running = Running::new(pid, sink, reporter, stop, Ends { reaped, open_streams, capture_room, contained });
    running.see_to_the_end(&messages);
    let (exit, mut log) = running.exit();
    for line in last_words(spec, &exit) {
        // A log that is full or on a broken disk changes no result.
        let _ = log.line(&line);
    }
    let exit = Exit { log_len: log.len(), ..exit };
    record(spec, &mut log, &ExitRecord::exited(&exit));
    // The hold on the log ends before the worker hears of the end: the next command may start at once.
    drop(log);
    RunnerEvent::Exited(exit)
}

/// Why the runner ended the tool, for whoever reads the log.
fn last_words(spec: &RunnerSpec, exit: &Exit) -> Vec<String> {
    let timed_out = spec.deadline_line.clone().filter(|_| exit.timed_out);
    exit.over.map(|over| format!("killed: {over}")).into_iter().chain(timed_out).collect()
}
