//! The loop of a runner: one tool, from its start to the end of the last process it left behind.
//!
//! Only this loop signals and reaps, so a process id that it signals is never another's. The worker may be slow,
//! hang or die at any line: what it is told waits in the [`Reporter`], and its end is a message like any other.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::bounds::OverLimit;
use super::contain::Containment;
use super::family;
use super::feeds::Message;
use super::output::LogSink;
use super::reporter::Reporter;
use super::stop::{Order, Stop};
use super::wire::{Exit, RunnerEvent, StopCause, Usage};
use crate::attempt_log::AttemptLog;

/// Between two looks for processes that must die.
const SWEEP: Duration = Duration::from_millis(20);
/// How long processes may withstand SIGKILL (a hung disk) before they are reported as leftovers.
const DYING: Duration = Duration::from_secs(10);
/// How long an output may stay open without a byte once every process is gone: its other end was passed elsewhere.
const SILENCE: Duration = Duration::from_secs(2);

/// The loop's own ends of what the other threads hold.
pub(super) struct Ends {
    /// Tells the watcher that the dead children are reaped.
    pub(super) reaped: Sender<()>,
    /// Outputs of the tool that have not ended.
    pub(super) open_streams: usize,
    /// Bytes of stdout that may still be captured.
    pub(super) capture_room: u64,
    /// What the family may use, and the means to know.
    pub(super) contained: Arc<Containment>,
}

/// A tool and everything about it that changes.
pub(super) struct Running<'a> {
    pid: Pid,
    sink: LogSink,
    reporter: &'a Reporter,
    stop: Stop,
    ends: Ends,
    captured_dropped: u64,
    /// How the tool itself ended.
    status: Option<WaitStatus>,
    /// No child is left, dead or alive, adopted ones included.
    childless: bool,
    /// Everything must die.
    killing: bool,
    /// Why everything was killed, if it was for using too much.
    over: Option<OverLimit>,
    /// When the last thing happened that the patience of the end is measured from.
    since: Instant,
}

impl<'a> Running<'a> {
    pub(super) fn new(pid: Pid, sink: LogSink, reporter: &'a Reporter, stop: Stop, ends: Ends) -> Self {
        let since = Instant::now();
        let (captured_dropped, status, childless, killing, over) = (0, None, false, false, None);
        Self { pid, sink, reporter, stop, ends, captured_dropped, status, childless, killing, over, since }
    }

    /// Runs until the tool has ended, its family is gone (or will not go) and its outputs have ended.
    pub(super) fn see_to_the_end(&mut self, messages: &Receiver<Message>) {
        while !self.is_over() {
            while let Some(order) = self.stop.due(Instant::now()) {
                self.obey(order);
            }
            if self.killing && !self.childless {
                self.kill_all();
            }
            let message = match messages.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.flush();
                    match messages.recv_timeout(self.patience()) {
                        Ok(message) => message,
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
            };
            self.take(message);
        }
    }

    fn is_over(&self) -> bool {
        let waited = self.since.elapsed();
        let alone = self.childless || waited > DYING;
        self.status.is_some() && alone && (self.ends.open_streams == 0 || waited > SILENCE)
    }

    fn patience(&self) -> Duration {
        if self.killing || self.status.is_some() {
            return SWEEP;
        }
        let due = self.stop.next_due().map(|at| at.saturating_duration_since(Instant::now()));
        due.unwrap_or(Duration::from_hours(1))
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Asked(control) => {
                if let Some(order) = self.stop.asked(control, Instant::now()) {
                    self.obey(order);
                }
            }
            Message::Orphaned => {
                if let Some(order) = self.stop.orphaned(Instant::now()) {
                    self.obey(order);
                }
            }
            Message::Output(bytes) => {
                self.since = Instant::now();
                if self.sink.feed(&bytes) {
                    self.flush();
                }
            }
            Message::Captured(bytes) => self.capture(bytes),
            Message::StreamEnded => self.ends.open_streams -= 1,
            Message::Over(over) => {
                // While everything is being killed, the kernel refuses more than the limit says.
                if self.status.is_none() && !self.killing {
                    self.over = Some(over);
                }
                self.obey(Order::KillAll(StopCause::OverLimit));
            }
            Message::ChildEnded => self.reap(),
        }
    }

    fn capture(&mut self, mut bytes: Vec<u8>) {
        let kept = (bytes.len() as u64).min(self.ends.capture_room);
        self.captured_dropped += bytes.len() as u64 - kept;
        self.ends.capture_room -= kept;
        self.since = Instant::now();
        if kept > 0 {
            bytes.truncate(kept as usize);
            self.reporter.say(RunnerEvent::Captured { bytes });
        }
    }

    fn flush(&mut self) {
        if self.sink.flush() {
            self.reporter.log_grew(self.sink.log_len());
        }
    }

    fn obey(&mut self, order: Order) {
        if self.status.is_some() {
            return;
        }
        let (signal, cause) = match order {
            // To the tool alone: terraform's providers must stay alive to be asked to stop.
            Order::Signal(signal, cause) => {
                let _ = kill(self.pid, signal);
                (signal, cause)
            }
            Order::SignalGroup(signal, cause) => {
                let _ = killpg(self.pid, signal);
                (signal, cause)
            }
            Order::KillAll(cause) => {
                self.killing = true;
                (Signal::SIGKILL, cause)
            }
        };
        self.reporter.say(RunnerEvent::Signalled { signal: signal as i32, cause });
    }

    fn kill_all(&mut self) {
        self.ends.contained.groups().kill();
        if self.status.is_none() {
            // The tool is not reaped yet, so its group still is its own.
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
        family::kill_descendants();
    }

    fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => break,
                Ok(status) if status.pid() == Some(self.pid) => {
                    self.status = Some(status);
                    self.over = self.over.or_else(|| self.seen_late());
                    // What the tool leaves behind must not outlive the lock of its run.
                    self.killing = true;
                    self.since = Instant::now();
                }
                Ok(_) => {}
                Err(_) => {
                    self.childless = true;
                    break;
                }
            }
        }
        // The watcher is gone only if the whole process is going.
        let _ = self.ends.reaped.send(());
    }

    /// A tool that failed by itself may have failed at a limit between two looks, or at the kernel's own.
    fn seen_late(&self) -> Option<OverLimit> {
        let failed = !matches!(self.status, Some(WaitStatus::Exited(_, 0))) && !self.stop.was_stopped() && !self.killing;
        failed.then(|| self.ends.contained.look()).flatten()
    }

    /// The end, as it will be reported, and the log with its last line.
    pub(super) fn exit(self) -> (Exit, AttemptLog) {
        let leftovers = if self.childless { 0 } else { family::descendants().len() as u32 };
        self.ends.contained.groups().remove();
        let mut log = self.sink.finish();
        if self.ends.open_streams > 0 {
            let _ = log.line("[an output of the tool is still open somewhere else; what follows there is not shown]");
        }
        let (code, signal) = match self.status {
            Some(WaitStatus::Exited(_, code)) => (Some(code), None),
            Some(WaitStatus::Signaled(_, signal, _)) => (None, Some(signal as i32)),
            // The loop ends only with a status, and without flags `waitpid` knows no other.
            Some(_) | None => (None, Some(Signal::SIGKILL as i32)),
        };
        let exit = Exit {
            code,
            signal,
            timed_out: self.stop.timed_out(),
            interrupted: self.stop.was_stopped(),
            log_len: log.len(),
            log_dropped: log.dropped(),
            captured_dropped: self.captured_dropped,
            leftovers,
            over: self.over,
            usage: usage(),
        };
        self.reporter.log_grew(exit.log_len);
        (exit, log)
    }
}

/// What all reaped children used together.
fn usage() -> Usage {
    let time = |value: nix::sys::time::TimeVal| {
        Duration::new(value.tv_sec().try_into().unwrap_or(0), u32::try_from(value.tv_usec()).unwrap_or(0) * 1000)
    };
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or_else(
        |_| Usage::default(),
        |usage| Usage {
            max_rss_bytes: u64::try_from(usage.max_rss()).unwrap_or(0) * 1024,
            user: time(usage.user_time()),
            system: time(usage.system_time()),
        },
    )
}
