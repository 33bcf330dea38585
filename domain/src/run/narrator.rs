//! Tells what happened to a run: its log as a list of public events, in the words of the replaced order engine.
//!
//! Pure, and derived from the log alone, so nothing is stored twice and every reader is told the same. No event carries a
//! secret: what failed and what was seen was masked by the worker that wrote it, and nonces are not told.

use super::{
    event::{Entry, Event},
    state::{AttemptEnd, Ending},
    told::{Told, WHOLE_RUN},
};
use jiff::Timestamp;
use proto::{
    AttemptNo, JobNo, RunId,
    message::{Failure, RunSpec, Trigger},
    orders::{DoneSummary, OrderEvent, order_num},
};
use serde_json::json;

type Tellings<'a> = Box<dyn Iterator<Item = Told> + 'a>;

/// Tells a run's log. Knows of the run what never changes: names, not states; so ten thousand orders cost their names.
#[derive(Debug, Clone)]
pub struct Narrator {
    run: RunId,
    flow_id: Option<String>,
    trace_id: Option<String>,
    names: Vec<String>,
    by: String,
    is_of_orders: bool,
    /// Jobs are still to be planned: their names are not known yet.
    awaits_plan: bool,
}

impl Narrator {
    /// Of the run whose log begins with this entry; `None` where no log begins so.
    pub fn of(first: &Entry) -> Option<Self> {
        if let Some(earlier) = first.before.first() {
            return Self::of(earlier);
        }
        let Event::Accepted { trigger, jobs, .. } = first.events.first()? else { return None };
        Some(Self::of_accepted(trigger, || jobs.iter().map(|job| job.name.clone()).collect()))
    }

    fn of_accepted(trigger: &Trigger, planned: impl FnOnce() -> Vec<String>) -> Self {
        let (run, by) = (trigger.run, trigger.by.clone());
        match &trigger.spec {
            RunSpec::Orders(spec) => {
                let names = spec.graph.0.iter().map(|order| order.name.clone()).collect();
                Self {
                    run,
                    flow_id: Some(spec.flow_id()),
                    trace_id: Some(spec.trace_id.clone()),
                    names,
                    by,
                    is_of_orders: true,
                    awaits_plan: false,
                }
            }
            RunSpec::Terraform(_) | RunSpec::Probe(_) => {
                Self { run, flow_id: None, trace_id: None, names: planned(), by, is_of_orders: false, awaits_plan: false }
            }
            RunSpec::Sync(_) => Self { run, flow_id: None, trace_id: None, names: planned(), by, is_of_orders: false, awaits_plan: true },
        }
    }

    /// Whether there will be more names than those it knows.
    pub fn awaits_plan(&self) -> bool {
        self.awaits_plan
    }

    /// Learns the names of jobs that a decision planned. To be done with each decision in turn, before it is told.
    pub fn learn(&mut self, entry: &Entry) {
        if !self.awaits_plan {
            return;
        }
        for event in entry.before.iter().chain(std::iter::once(entry)).flat_map(|entry| &entry.events) {
            if let Event::SyncPlanned { jobs, .. } = event
                && self.awaits_plan
            {
                self.names.extend(jobs.iter().map(|job| job.name.clone()));
                self.awaits_plan = false;
            }
        }
    }

    /// The public events of one decision. `summary`: how the orders ended, told with the end of the run.
    ///
    /// An entry that tells again what was decided before ([`Entry::before`]) tells all of that first; whoever has been told
    /// it already passes over the first [`Narrator::repeated`].
    pub fn tell<'a>(&'a self, seq: u64, entry: &'a Entry, summary: Option<DoneSummary>) -> impl Iterator<Item = Told> + 'a {
        (0_u32..).zip(self.entry(entry, summary)).map(move |(n, told)| Told { seq, n, ..told })
    }

    /// How many of an entry's public events tell again what earlier entries told.
    pub fn repeated(&self, entry: &Entry) -> usize {
        entry.before.iter().map(|before| self.entry(before, None).count()).sum()
    }

    fn entry<'a>(&'a self, entry: &'a Entry, summary: Option<DoneSummary>) -> Tellings<'a> {
        let at = entry.at;
        let before = entry.before.iter().flat_map(move |before| self.entry(before, summary));
        let own = (0..entry.events.len()).flat_map(move |index| self.event(&entry.events, index, summary));
        Box::new(before.chain(own.map(move |told| Told { at, ..told })))
    }

    /// What one event of a decision tells. The others say what came of it.
    fn event<'a>(&'a self, events: &'a [Event], index: usize, summary: Option<DoneSummary>) -> Tellings<'a> {
        let told = match &events[index] {
            Event::OrdersSkipped { orders } => return Box::new(orders.iter().map(|job| self.skipped(*job))),
            Event::OrdersCancelled { orders } => return self.closed(events, orders),
            Event::OrderTold { job, attempt, events } => {
                return Box::new(events.iter().map(|event| self.own_words(*job, event).attempt(Some(*attempt))));
            }
            Event::Accepted { .. } => self.started(),
            Event::LocksGranted => self.of_run("locks_granted", "running"),
            Event::JobLocked { job } => self.of_job(*job, "lock_granted", "blocked"),
            Event::SyncPlanned { selection, .. } => {
                let data = json!({ "services": selection.services.len(), "skipped": selection.skipped.len(), "commit": selection.commit });
                self.of_run("planned", "running").data(data)
            }
            Event::ReleaseMade { release } => {
                let data = json!({ "kind": release.kind, "commit": release.commit, "existed": release.existed });
                self.of_run("released", "running").message(&release.tag).data(data)
            }
            Event::ServiceSynced { job, result } => self.of_job(*job, "synced", result.action.as_str()).message(&result.details),
            Event::JobSuperseded { job, by } => self.of_job(*job, "completed", "superseded").data(json!({ "by": by })),
            Event::JobPostponed { job, until, why } => {
                let told = self.of_job(*job, "postponed", "blocked").attempt(attempt_ended(events, index, *job));
                told.message(why).data(json!({ "until": until }))
            }
            Event::JobQueued { job, attempt } => self.of_job(*job, "dispatched", "queued").attempt(Some(*attempt)),
            Event::ApprovalOpened { job, expires_at } => {
                self.of_job(*job, "approval_opened", "waiting").data(json!({ "expires_at": expires_at }))
            }
            Event::ApprovalGiven { job, by } => self.of_job(*job, "approval_given", "approved").data(json!({ "by": by })),
            Event::ApprovalRefused { job, by } => self.of_job(*job, "approval_refused", "rejected").data(json!({ "by": by })),
            Event::ApprovalExpired { job } => self.of_job(*job, "approval_expired", "expired"),
            Event::Permitted { job, attempt, worker, .. } => {
                let told = self.of_job(*job, "started", "running").attempt(Some(*attempt));
                Told { worker: Some(worker.clone()), ..told }
            }
            // The replaced engine had no such moment, and an order's commands start as soon as it is permitted.
            Event::EffectsStarted { .. } if self.is_of_orders => return Box::new(std::iter::empty()),
            Event::EffectsStarted { job, attempt, .. } => self.of_job(*job, "effects_started", "running").attempt(Some(*attempt)),
            Event::PhaseEntered { job, attempt, phase } => self.of_job(*job, "phase", "running").attempt(Some(*attempt)).message(phase),
            Event::CommitPinned { commit } => self.of_run("commit_pinned", "running").message(commit.as_str()),
            Event::AttemptEnded { job, attempt, end, .. } => {
                return Box::new(self.given_back(events, index, *job, *end).map(|told| told.attempt(Some(*attempt))).into_iter());
            }
            Event::JobSucceeded { job } => self.completed(events, index, *job, "succeeded"),
            Event::JobFailed { job, failure } => because(self.completed(events, index, *job, "failed"), failure),
            Event::JobTimedOut { job, failure } => because(self.completed(events, index, *job, "timed_out"), failure),
            Event::JobCancelled { job } => self.completed(events, index, *job, "cancelled"),
            Event::JobSkipped { job } => self.skipped(*job),
            Event::TimeLimitReached => self.of_run("job_timeout", "timed_out").message("the time of the whole run is over"),
            Event::JobUnknown { job, evidence } => {
                let told = self.of_job(*job, "lost", "unknown").attempt(attempt_ended(events, index, *job));
                told.message(&evidence.seen)
            }
            Event::CancelRequested { by, force } => self.of_run("cancel_requested", "cancelling").data(json!({ "by": by, "force": force })),
            Event::Resolved { job, by, succeeded, reason } => {
                let status = if *succeeded { "succeeded" } else { "failed" };
                self.of_job(*job, "resolved", status).message(reason).data(json!({ "by": by }))
            }
            Event::RunEnded { ending } => self.ended(*ending, summary),
        };
        Box::new(std::iter::once(told))
    }

    fn told(&self, order_name: String, job: Option<JobNo>, event_type: &str, status: &str) -> Told {
        Told {
            seq: 0,
            n: 0,
            at: Timestamp::UNIX_EPOCH,
            order_name,
            order_num: job.map(order_num),
            event_type: event_type.to_owned(),
            status: status.to_owned(),
            flow_id: self.flow_id.clone(),
            trace_id: self.trace_id.clone(),
            run_id: self.run,
            attempt: None,
            worker: None,
            message: None,
            summary: None,
            done_endpt: None,
            data: None,
            custom: false,
        }
    }

    fn of_run(&self, event_type: &str, status: &str) -> Told {
        self.told(WHOLE_RUN.to_owned(), None, event_type, status)
    }

    fn of_job(&self, job: JobNo, event_type: &str, status: &str) -> Told {
        let name = self.names.get(job.0 as usize).cloned().unwrap_or_default();
        self.told(name, Some(job), event_type, status)
    }

    fn done_endpt(&self) -> String {
        format!("/v1/runs/{}/done", self.run)
    }

    fn started(&self) -> Told {
        let told = self.of_run("job_started", "running").data(json!({ "order_count": self.names.len(), "by": self.by }));
        Told { done_endpt: Some(self.done_endpt()), ..told }
    }

    fn ended(&self, ending: Ending, summary: Option<DoneSummary>) -> Told {
        let status = match ending {
            Ending::Success => "succeeded",
            Ending::Failed => "failed",
            Ending::Cancelled => "cancelled",
            Ending::TimedOut => "timed_out",
        };
        Told { summary, done_endpt: Some(self.done_endpt()), ..self.of_run("job_completed", status) }
    }

    fn completed(&self, events: &[Event], index: usize, job: JobNo, status: &str) -> Told {
        self.of_job(job, "completed", status).attempt(attempt_ended(events, index, job))
    }

    /// The replaced engine's word for an order one of whose needs did not succeed is `failed`.
    fn skipped(&self, job: JobNo) -> Told {
        let (status, message) = if self.is_of_orders {
            ("failed", "an order that it needs did not succeed")
        } else {
            ("skipped", "a job that it needs did not succeed")
        };
        self.of_job(job, "dependency_failed", status).message(message)
    }

    /// Orders that had not begun when the run was cancelled, or its time was over; which of the two the same decision says.
    fn closed<'a>(&'a self, events: &[Event], orders: &'a [JobNo]) -> Tellings<'a> {
        let (status, message) = if events.iter().any(|event| matches!(event, Event::TimeLimitReached)) {
            ("timed_out", "the time of the whole run was over")
        } else {
            ("cancelled", "")
        };
        Box::new(orders.iter().map(move |job| self.of_job(*job, "completed", status).message(message)))
    }

    fn own_words(&self, job: JobNo, event: &OrderEvent) -> Told {
        let told = self.of_job(job, &event.event_type, &event.status).data(event.data.clone());
        Told { custom: true, ..told }
    }

    /// An attempt that ended without its job: it goes back into the queue. Where the job ended with it, or nobody knows, the
    /// same decision says so behind it.
    fn given_back(&self, events: &[Event], index: usize, job: JobNo, end: AttemptEnd) -> Option<Told> {
        let next = events[index + 1..].iter().find_map(|event| concerns(event, job));
        match (next, end) {
            (Some(Fate::Settled), _) => None,
            (Some(Fate::Queued) | None, AttemptEnd::Lost | AttemptEnd::Unclear) => Some(self.of_job(job, "lost", "queued")),
            (Some(Fate::Queued) | None, AttemptEnd::NotStarted) => Some(self.of_job(job, "not_started", "queued")),
            (Some(Fate::Queued) | None, AttemptEnd::Succeeded | AttemptEnd::Failed | AttemptEnd::Stopped) => None,
        }
    }
}

/// What an event says about the job of an attempt that ended in the same decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is over, or put off, or its outcome is unknown.
    Settled,
    /// It is tried again.
    Queued,
}

fn concerns(event: &Event, of: JobNo) -> Option<Fate> {
    let (job, fate) = match event {
        Event::JobQueued { job, .. } => (job, Fate::Queued),
        Event::JobSucceeded { job }
        | Event::JobFailed { job, .. }
        | Event::JobTimedOut { job, .. }
        | Event::JobCancelled { job }
        | Event::JobSkipped { job }
        | Event::JobSuperseded { job, .. }
        | Event::JobPostponed { job, .. }
        | Event::JobUnknown { job, .. } => (job, Fate::Settled),
        Event::Accepted { .. }
        | Event::LocksGranted
        | Event::JobLocked { .. }
        | Event::SyncPlanned { .. }
        | Event::ReleaseMade { .. }
        | Event::ServiceSynced { .. }
        | Event::ApprovalOpened { .. }
        | Event::ApprovalGiven { .. }
        | Event::ApprovalRefused { .. }
        | Event::ApprovalExpired { .. }
        | Event::Permitted { .. }
        | Event::EffectsStarted { .. }
        | Event::PhaseEntered { .. }
        | Event::CommitPinned { .. }
        | Event::AttemptEnded { .. }
        | Event::OrdersSkipped { .. }
        | Event::OrdersCancelled { .. }
        | Event::TimeLimitReached
        | Event::OrderTold { .. }
        | Event::CancelRequested { .. }
        | Event::Resolved { .. }
        | Event::RunEnded { .. } => return None,
    };
    (*job == of).then_some(fate)
}

/// The attempt with which a job ended: it ended right before, in the same decision.
fn attempt_ended(events: &[Event], index: usize, of: JobNo) -> Option<AttemptNo> {
    match events.get(index.checked_sub(1)?) {
        Some(Event::AttemptEnded { job, attempt, .. }) if *job == of => Some(*attempt),
        Some(_) | None => None,
    }
}

fn because(told: Told, failure: &Failure) -> Told {
    let data = json!({ "kind": failure.kind, "phase": failure.phase, "next_action": failure.next_action });
    told.message(&failure.message).data(data)
}
