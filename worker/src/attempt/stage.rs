//! What an action may use: the attempt's log and phases, commands that can be stopped, and the last word before side
//! effects. Everything that reaches the log passes the masker.

use super::{
    begin::Asking,
    deliver,
    folder::{Folder, PhaseMark, Record},
    ship::Shipping,
};
use crate::{
    attempt_log::AttemptLog,
    crew::Crew,
    mask::Masker,
    runner::{Exit, Mode, OnOrphan, Runner, RunnerError, RunnerEvent, RunnerSpec, StartFailure},
    stop::Stop,
};
use proto::message::{AttemptOutcome, ReportWhat, StopMode};
use std::{io, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long something without side effects may take to stop before it is killed.
const GRACE_WITHOUT_EFFECTS: Duration = Duration::from_secs(30);
/// How long telling a phase may hold up the work.
const TELL_WAIT: Duration = Duration::from_millis(500);

/// One attempt at work.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) crew: Arc<Crew>,
    pub(crate) folder: Folder,
    pub(crate) stop: Stop,
    pub(crate) traceparent: Option<String>,
    asking: Asking,
    shipping: Arc<Shipping>,
    log: AttemptLog,
    masker: Masker,
    secrets: Vec<String>,
    record: Record,
    ends_at: Instant,
    /// The phase word of everything this attempt does, when it has only one.
    only_phase: Option<String>,
    phase: String,
}

/// What a stage is made of.
#[derive(Debug)]
pub(crate) struct Props {
    pub(crate) crew: Arc<Crew>,
    pub(crate) folder: Folder,
    pub(crate) stop: Stop,
    pub(crate) asking: Asking,
    pub(crate) shipping: Arc<Shipping>,
    pub(crate) record: Record,
    /// What must never be seen in the log: a name to warn by, and the secret.
    pub(crate) secrets: Vec<(String, String)>,
    pub(crate) budget: Duration,
    pub(crate) traceparent: Option<String>,
}

/// A command to run.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: PathBuf,
    pub(crate) mode: Mode,
    pub(crate) effects: bool,
}

/// Who may kill a command that was asked to stop and has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// It changes nothing: the worker, after a while.
    Worker,
    /// It changes the world and keeps a state: only a person.
    Person,
    /// It is an order: its runner, after the grace.
    Runner,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    /// Captured stdout, **not masked**.
    pub(crate) captured: Vec<u8>,
}

/// Why there is no ending to tell of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    #[error("{0}")]
    NotStarted(StartFailure),
    #[error("the runner was lost; how the command ended is not known")]
    Lost(#[source] RunnerError),
    #[error("the runner could not be started")]
    Runner(#[source] RunnerError),
    #[error("the attempt's folder cannot be used")]
    Folder(#[from] io::Error),
}

impl Stage {
    pub(crate) fn open(props: Props) -> io::Result<Self> {
        let limit = props.crew.settings.worker.log_limit_bytes;
        let log = AttemptLog::open_limited(&props.folder.log(), limit).map_err(io::Error::other)?;
        let (names, secrets): (Vec<_>, Vec<_>) = props.secrets.into_iter().unzip();
        let masker = Masker::new(&secrets).map_err(io::Error::other)?;
        let unmasked: Vec<_> =
            masker.weak().iter().filter(|(_, weakness)| weakness.is_unmasked()).map(|(n, _)| names[*n].clone()).collect();
        let mut stage = Self {
            crew: props.crew,
            folder: props.folder,
            stop: props.stop,
            traceparent: props.traceparent,
            asking: props.asking,
            shipping: props.shipping,
            log,
            masker,
            secrets,
            record: props.record,
            ends_at: Instant::now() + props.budget,
            only_phase: None,
            phase: String::new(),
        };
        for name in unmasked {
            stage.warn_unmasked(&name);
        }
        Ok(stage)
    }

    /// Everything from here on is one phase, whatever the steps are called: an apply that clones and runs init is in the
    /// phase `apply`.
    pub(crate) async fn only_phase(&mut self, phase: &str) {
        self.phase(phase).await;
        self.only_phase = Some(phase.to_owned());
    }

    /// Enters a phase.
    pub(crate) async fn phase(&mut self, phase: &str) {
        if self.only_phase.is_some() || self.phase == phase {
            return;
        }
        phase.clone_into(&mut self.phase);
        failpoint::failpoint!("worker.phase", phase);
        let mark = PhaseMark { offset: self.log_len(), phase: phase.to_owned() };
        if let Err(error) = self.folder.mark(&mark) {
            tracing::warn!(attempt = %self.folder.id, %error, "a phase mark cannot be written");
        }
        self.shipping.mark(mark);
        let told = deliver::tell(&self.crew, self.folder.id, ReportWhat::Phase { phase: phase.to_owned() });
        match tokio::time::timeout(TELL_WAIT, told).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(attempt = %self.folder.id, %error, phase, "the phase was not told"),
            Err(_) => tracing::warn!(attempt = %self.folder.id, phase, "telling the phase takes long; going on"),
        }
    }

    /// The phase the attempt is in.
    pub(crate) fn current_phase(&self) -> &str {
        if self.phase.is_empty() { "initializing" } else { &self.phase }
    }

    /// Writes a line of our own into the log.
    pub(crate) fn narrate(&mut self, line: &str) {
        let masked = self.masker.mask(line);
        if let Err(error) = self.log.line(&masked) {
            tracing::warn!(attempt = %self.folder.id, %error, "a line of the log was lost");
        }
        self.shipping.grown();
    }

    /// A text without the run's secrets.
    pub(crate) fn masked(&self, text: &str) -> String {
        self.masker.mask(text)
    }

    /// The same for a text that was cut off.
    pub(crate) fn masked_beginning(&self, text: &str) -> String {
        self.masker.mask_beginning(text)
    }

    /// Adds a secret that became known on the way.
    pub(crate) fn learn_secret(&mut self, secret: String) -> io::Result<()> {
        self.secrets.push(secret);
        self.masker = Masker::new(&self.secrets).map_err(io::Error::other)?;
        Ok(())
    }

    /// Adds secrets that became known on the way, each with the name to warn by where it cannot be masked.
    pub(crate) fn learn_secrets(&mut self, named: Vec<(String, String)>) -> io::Result<()> {
        let (names, secrets): (Vec<_>, Vec<_>) = named.into_iter().filter(|(_, secret)| !secret.is_empty()).unzip();
        let first = self.secrets.len();
        self.secrets.extend(secrets);
        self.masker = Masker::new(&self.secrets).map_err(io::Error::other)?;
        let unmasked = self.masker.weak().iter().filter(|(at, weakness)| *at >= first && weakness.is_unmasked());
        for name in unmasked.map(|(at, _)| names[*at - first].clone()).collect::<Vec<_>>() {
            self.warn_unmasked(&name);
        }
        Ok(())
    }

    fn warn_unmasked(&mut self, name: &str) {
        self.narrate(&format!("⚠ the value of {name} cannot be masked (too short or too long): it will be seen if the tool prints it"));
    }

    /// How long the log is now.
    pub(crate) fn log_len(&self) -> u64 {
        std::fs::metadata(self.folder.log()).map_or(0, |metadata| metadata.len())
    }

    /// What is left of the time limit.
    pub(crate) fn left(&self) -> Duration {
        self.ends_at.saturating_duration_since(Instant::now())
    }

    /// The outcome of an attempt that is to stop now, between two steps.
    pub(crate) fn stop_outcome(&self) -> Option<AttemptOutcome> {
        let timed_out = self.left().is_zero();
        (timed_out || self.stop.wish().mode.is_some()).then_some(AttemptOutcome::Stopped { clean: true, timed_out })
    }

    /// Something that may be dropped half-way, until it is done, the attempt is stopped, or its time is over.
    pub(crate) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, AttemptOutcome> {
        tokio::select! {
            done = work => Ok(done),
            _ = self.stop.stronger_than(None) => Err(AttemptOutcome::Stopped { clean: true, timed_out: false }),
            () = tokio::time::sleep_until(self.ends_at) => Err(AttemptOutcome::Stopped { clean: true, timed_out: true }),
        }
    }

    /// Remembers the state's serial as the plan knew it. It is written down with the last word, for a later process.
    pub(crate) fn note_serial(&mut self, serial: Option<u64>) {
        self.record.serial_before = serial;
    }

    /// Asks for the last word, and writes down that it was given before anybody acts on it.
    pub(crate) async fn start_effects(&mut self) -> Result<(), String> {
        // Written first: should this process die between the scheduler's yes and the next line, a later one must not
        // believe that nothing was allowed.
        self.record.effects = true;
        self.folder.write_record(&self.record).map_err(|error| format!("the attempt's folder cannot be written: {error}"))?;
        failpoint::failpoint!("worker.effects.asking");
        if let Err(reason) = self.asking.start_effects(&self.crew, &self.stop, self.record.serial_before).await {
            self.record.effects = false;
            let _ = self.folder.write_record(&self.record);
            return Err(reason);
        }
        failpoint::failpoint!("worker.effects.given");
        Ok(())
    }

    /// Runs a command to its end. A wish to stop reaches the tool; its own end is what counts.
    pub(crate) async fn run(&mut self, job: Job) -> Result<Ended, StageError> {
        let patience = if job.effects { Patience::Person } else { Patience::Worker };
        let spec = self.spec(job);
        self.see_through(&spec, patience).await
    }

    /// Runs a shell order, which has had its last word, to its end. A wish to stop and the time limit reach its whole
    /// group, and its runner kills what is left after the grace: nobody has to be asked.
    pub(crate) async fn run_order(&mut self, mut spec: RunnerSpec) -> Result<Exit, StageError> {
        let left = self.left().max(Duration::from_millis(1));
        spec.deadline = Some(spec.deadline.map_or(left, |deadline| deadline.min(left)));
        spec.log_limit_bytes = self.crew.settings.worker.log_limit_bytes;
        spec.secrets.clone_from(&self.secrets);
        spec.exit_record = Some(self.folder.exit_record());
        self.see_through(&spec, Patience::Runner).await.map(|ended| ended.exit)
    }

    async fn see_through(&mut self, spec: &RunnerSpec, patience: Patience) -> Result<Ended, StageError> {
        let mut runner = Runner::spawn(spec, &self.crew.runner).await.map_err(StageError::Runner)?;
        failpoint::failpoint!("worker.runner.started", patience != Patience::Worker);
        let mut captured = Vec::new();
        let mut heard: Option<StopMode> = None;
        let mut kill_at: Option<Instant> = None;
        let mut remind_at: Option<Instant> = None;
        loop {
            tokio::select! {
                event = runner.next_event() => match event.map_err(StageError::Lost)? {
                    Some(RunnerEvent::Exited(exit)) => {
                        self.shipping.grown();
                        return Ok(Ended { exit, captured });
                    }
                    Some(RunnerEvent::Failed(failure)) => return Err(StageError::NotStarted(failure)),
                    Some(RunnerEvent::Captured { bytes }) => captured.extend(bytes),
                    Some(RunnerEvent::Output { .. }) => self.shipping.grown(),
                    Some(RunnerEvent::Started { .. } | RunnerEvent::Signalled { .. }) => {}
                    None => return Err(StageError::Lost(RunnerError::Lost { source: io::ErrorKind::UnexpectedEof.into() })),
                },
                mode = self.stop.stronger_than(heard) => {
                    heard = Some(mode);
                    match mode {
                        StopMode::Interrupt => runner.interrupt().await,
                        StopMode::Kill => runner.kill().await,
                    }.unwrap_or_else(|error| tracing::warn!(attempt = %self.folder.id, %error, "a stop did not reach the runner"));
                    // Only a person may kill what changes the world (M9).
                    kill_at = (patience == Patience::Worker).then(|| Instant::now() + GRACE_WITHOUT_EFFECTS);
                    remind_at = (patience == Patience::Person).then(|| Instant::now() + self.crew.settings.worker.stop_grace.duration());
                }
                () = at(remind_at) => {
                    remind_at = None;
                    self.narrate("⚠ The tool was interrupted and has not stopped yet. `navvy cancel --force` kills it; what it was doing is then unknown.");
                }
                () = at(kill_at) => {
                    kill_at = None;
                    if let Err(error) = runner.kill().await {
                        tracing::warn!(attempt = %self.folder.id, %error, "a kill did not reach the runner");
                    }
                }
            }
        }
    }

    fn spec(&self, job: Job) -> RunnerSpec {
        let mut spec = RunnerSpec::new(job.program, job.cwd, self.folder.log());
        spec.args = job.args;
        spec.env = job.env;
        spec.mode = job.mode;
        spec.log_limit_bytes = self.crew.settings.worker.log_limit_bytes;
        spec.secrets.clone_from(&self.secrets);
        // What has no side effects does not outlive the run's time limit; what has is interrupted once and left to finish.
        spec.deadline = Some(self.left().max(Duration::from_millis(1)));
        if job.effects {
            spec.on_orphan = OnOrphan::Finish;
            spec.exit_record = Some(self.folder.exit_record());
        } else {
            spec.on_orphan = OnOrphan::Interrupt;
            spec.grace = Some(GRACE_WITHOUT_EFFECTS);
        }
        spec
    }

    /// Tells the commit that the reference was resolved to; until that is stored the commit must not be used.
    pub(crate) async fn pin(&self, commit: proto::git::CommitId) -> Result<(), bus::BusError> {
        deliver::tell(&self.crew, self.folder.id, ReportWhat::CommitResolved { commit }).await
    }

    /// Hands the log back for delivery.
    pub(crate) fn close(self) -> (Folder, Arc<Shipping>) {
        if let Err(error) = self.log.sync() {
            tracing::warn!(attempt = %self.folder.id, %error, "the log cannot be synced");
        }
        (self.folder, self.shipping)
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
