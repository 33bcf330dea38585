//! From the model's words to the real ones and back: which texts stand for run 1, worker 0, plan 2. Time stands still,
//! except for one jump past every deadline.

use crate::words::{Id, In, RunIx, Told, WorkerIx};
use domain::run::{Input, Policy};
use jiff::{SignedDuration, Timestamp};
use proto::{
    AttemptNo, JobNo, PoolName, RunId, ShardNo, WorkerId,
    ids::AttemptId,
    message::{AttemptOutcome, Evidence, Failure, JobResult, ReportWhat, RunSpec, Trigger},
    terraform::{ApplyResult, PlanArtifact, PlanResult, PlanSummary, Tool, ToolUsed},
};

/// Before the jump, and after it.
pub(crate) fn now(late: bool) -> Timestamp {
    let start = Timestamp::UNIX_EPOCH;
    if late { start + SignedDuration::from_hours(25) } else { start }
}

/// When an input is decided. A person who settles a run takes a while to look: longer than a permit lives, which `decide`
/// insists on.
pub(crate) fn now_of(what: In, late: bool) -> Timestamp {
    match what {
        In::Resolve { .. } => now(late) + SignedDuration::from_mins(1),
        In::Accept | In::Again | In::Granted | In::Begin { .. } | In::Start { .. } | In::Report { .. } | In::Lost { .. } => now(late),
        In::Approve { .. } | In::Reject | In::Cancel { .. } | In::Tick => now(late),
    }
}

/// As in production, but a job is given up after two starts: two crashes show it.
pub(crate) fn policy() -> Policy {
    Policy { max_starts: 2, ..Policy::default() }
}

pub(crate) fn run_id(run: RunIx) -> RunId {
    RunId::from_repeatable(&["model", &run.to_string()], ShardNo(0))
}

/// The trigger of a run on the directory of this lock.
pub(crate) fn trigger(run: RunIx, lock: u8, auto_approve: bool) -> Trigger {
    let spec = serde_json::json!({
        "tool": "terraform", "git_url": "https://git.example/a/b", "git_ref": "main", "path": format!("dir{lock}"),
        "workspace": "default", "timeout_minutes": 60, "auto_approve": auto_approve, "destroy": false,
    });
    Trigger {
        run: run_id(run),
        accepted_at: now(false),
        by: "ada".to_owned(),
        spec: RunSpec::Terraform(serde_json::from_value(spec).expect("the text above is a spec")),
        pool: PoolName::default(),
        has_secrets: false,
        request_digest: None,
        traceparent: None,
    }
}

fn worker(worker: WorkerIx) -> WorkerId {
    format!("w{worker}").parse().expect("w and a digit make a name")
}

fn nonce(nonce: u8) -> String {
    format!("n{nonce}")
}

/// The number at the end of a text that was made here.
pub(crate) fn number(text: &str) -> u8 {
    text.bytes().last().map_or(0, |digit| digit.wrapping_sub(b'0'))
}

/// The model's word for an attempt.
pub(crate) fn id(real: AttemptId) -> Id {
    Id { run: u8::from(real.run == run_id(1)), job: real.job.0 as u8, attempt: real.attempt.0 as u8 }
}

/// The real input; `None` for the scheduler's own causes.
pub(crate) fn input(what: In) -> Option<Input> {
    let by = || "bob".to_owned();
    let job = |id: Id| JobNo(u32::from(id.job));
    let attempt = |id: Id| AttemptNo(u32::from(id.attempt));
    Some(match what {
        In::Accept | In::Again => return None,
        // All that the run wants: a set is granted whole.
        In::Granted => Input::LocksGranted { keys: Vec::new() },
        In::Begin { id, worker: w, nonce: n } => Input::Begin { job: job(id), attempt: attempt(id), worker: worker(w), nonce: nonce(n) },
        In::Start { id, worker: w, nonce: n } => {
            Input::StartEffects { job: job(id), attempt: attempt(id), worker: worker(w), nonce: nonce(n), serial_before: None }
        }
        In::Report { id, worker: w, told } => Input::Report { job: job(id), attempt: attempt(id), worker: worker(w), what: report(told) },
        In::Lost { id } => Input::WorkerLost { job: job(id), attempt: attempt(id), seen: "silence".to_owned() },
        In::Approve { plan } => Input::Approve { by: by(), plan_sha256: Some(digest(plan)) },
        In::Reject => Input::Reject { by: by() },
        In::Cancel { force } => Input::Cancel { by: by(), force },
        In::Resolve { succeeded } => Input::Resolve { by: by(), job: None, succeeded, reason: "looked".to_owned() },
        In::Tick => Input::Tick,
    })
}

fn digest(plan: u8) -> String {
    format!("p{plan}")
}

fn report(told: Told) -> ReportWhat {
    ReportWhat::Ended(match told {
        Told::Commit(commit) => {
            return ReportWhat::CommitResolved { commit: commit.to_string().repeat(40).parse().expect("40 digits are a commit") };
        }
        Told::Planned { plan, commit } => AttemptOutcome::Succeeded { result: JobResult::Plan(Box::new(planned(plan, commit))) },
        Told::Applied => AttemptOutcome::Succeeded { result: JobResult::Apply(ApplyResult::default()) },
        Told::Empty => AttemptOutcome::Succeeded { result: JobResult::Nothing },
        Told::Failed => {
            let text = || "tool".to_owned();
            AttemptOutcome::Failed { failure: Failure { kind: text(), phase: text(), message: text(), next_action: String::new() } }
        }
        Told::NotStarted => AttemptOutcome::NotStarted { reason: "not now".to_owned() },
        Told::Stopped { clean } => AttemptOutcome::Stopped { clean, timed_out: false },
        Told::Unclear => AttemptOutcome::Unclear { evidence: Evidence { seen: "restarted".to_owned(), ..Evidence::default() } },
    })
}

fn planned(plan: u8, commit: u8) -> PlanResult {
    PlanResult {
        artifact: PlanArtifact {
            object: String::new(),
            plan_sha256: digest(plan),
            bytes: 1,
            commit: commit.to_string().repeat(40).parse().expect("40 digits are a commit"),
            tool: ToolUsed { tool: Tool::Terraform, version: "1.11.4".to_owned() },
        },
        summary: PlanSummary::default(),
    }
}
