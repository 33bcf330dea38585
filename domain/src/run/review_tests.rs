//! What a worker may not make the core believe: reports that nobody who did the work would send, reports that come again,
//! and reports that do not fit what was decided.

use super::*;
use jiff::Timestamp;
use proto::{
    AttemptNo, JobNo, PoolName, RunId, ShardNo, WorkerId,
    message::{AttemptOutcome, Evidence, JobResult, ReportWhat, RunSpec, Trigger},
    terraform::{ApplyResult, PlanArtifact, PlanResult, PlanSummary, ToolUsed},
    view::RunStatus,
};

const PLAN: JobNo = JobNo(0);
const APPLY: JobNo = JobNo(1);

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).expect("in range")
}

fn worker() -> WorkerId {
    "w1".parse().expect("a name")
}

fn feed(run: &mut Run, input: &Input) -> Result<Vec<Event>, Refusal> {
    let before = run.clone();
    let decided = decide(run, input, now(), &Policy::default());
    if decided.is_err() {
        assert_eq!(*run, before, "a refusal changes nothing");
    }
    decided
}

fn report(job: JobNo, attempt: u32, what: ReportWhat) -> Input {
    Input::Report { job, attempt: AttemptNo(attempt), worker: worker(), what }
}

fn ended(job: JobNo, outcome: AttemptOutcome) -> Input {
    report(job, 1, ReportWhat::Ended(outcome))
}

fn begin(job: JobNo) -> Input {
    Input::Begin { job, attempt: AttemptNo(1), worker: worker(), nonce: "n".to_owned() }
}

fn commit(digit: &str) -> proto::git::CommitId {
    digit.repeat(40).parse().expect("a commit")
}

fn plan_of(digit: &str) -> JobResult {
    JobResult::Plan(Box::new(PlanResult {
        artifact: PlanArtifact {
            object: "plan/x".to_owned(),
            plan_sha256: "abc".to_owned(),
            bytes: 1,
            commit: commit(digit),
            tool: ToolUsed { tool: proto::terraform::Tool::Terraform, version: "1.11.4".to_owned() },
        },
        summary: PlanSummary::default(),
    }))
}

/// A run whose plan runs.
fn planning() -> Run {
    let spec = serde_json::from_value(serde_json::json!({
        "tool": "terraform", "git_url": "https://git.example/a/b", "git_ref": "main", "workspace": "default",
        "timeout_minutes": 60, "auto_approve": true, "destroy": false,
    }));
    let trigger = Trigger {
        run: RunId::from_repeatable(&["review"], ShardNo(0)),
        accepted_at: now(),
        by: "ada".to_owned(),
        spec: RunSpec::Terraform(spec.expect("a spec")),
        pool: PoolName::default(),
        has_secrets: false,
        request_digest: None,
        traceparent: None,
    };
    let (mut run, _) = accept(&trigger, now(), &Policy::default());
    feed(&mut run, &Input::LocksGranted { keys: Vec::new() }).expect("waiting for locks");
    feed(&mut run, &begin(PLAN)).expect("queued");
    run
}

/// A run whose apply was permitted, but has not asked to start its side effects.
fn preparing_apply() -> Run {
    let mut run = planning();
    feed(&mut run, &ended(PLAN, AttemptOutcome::Succeeded { result: plan_of("a") })).expect("running");
    feed(&mut run, &begin(APPLY)).expect("queued");
    run
}

/// A run whose apply was lost in its side effects.
fn unknown() -> Run {
    let mut run = preparing_apply();
    let go = Input::StartEffects { job: APPLY, attempt: AttemptNo(1), worker: worker(), nonce: "n".to_owned(), serial_before: Some(7) };
    feed(&mut run, &go).expect("permitted");
    feed(&mut run, &Input::WorkerLost { job: APPLY, attempt: AttemptNo(1), seen: "silent".to_owned() }).expect("running");
    assert_eq!(status(&run), RunStatus::Unknown);
    run
}

#[test]
fn an_apply_that_never_had_the_word_to_start_has_not_succeeded() {
    let mut run = preparing_apply();
    let applied = AttemptOutcome::Succeeded { result: JobResult::Apply(ApplyResult::default()) };
    let _ = feed(&mut run, &ended(APPLY, applied));
    assert_ne!(status(&run), RunStatus::Success, "a success without a start is not believed");
}

#[test]
fn a_plan_without_a_plan_has_not_succeeded() {
    let mut run = planning();
    let _ = feed(&mut run, &ended(PLAN, AttemptOutcome::Succeeded { result: JobResult::Nothing }));
    assert_ne!(run.job(PLAN).map(|job| job.state), Some(JobState::Succeeded), "there is nothing that could be applied");
}

#[test]
fn an_apply_does_not_replace_the_plan_that_was_approved() {
    let mut run = preparing_apply();
    let approved = run.plan.clone();
    let go = Input::StartEffects { job: APPLY, attempt: AttemptNo(1), worker: worker(), nonce: "n".to_owned(), serial_before: Some(7) };
    feed(&mut run, &go).expect("permitted");
    let _ = feed(&mut run, &ended(APPLY, AttemptOutcome::Succeeded { result: plan_of("b") }));
    assert_eq!(run.plan, approved);
}

#[test]
fn a_plan_of_another_commit_than_the_runs_is_not_taken() {
    let mut run = planning();
    feed(&mut run, &report(PLAN, 1, ReportWhat::CommitResolved { commit: commit("a") })).expect("first");
    let _ = feed(&mut run, &ended(PLAN, AttemptOutcome::Succeeded { result: plan_of("b") }));
    assert_eq!(run.plan, None, "the run is bound to commit a");
}

#[test]
fn what_does_not_settle_an_unknown_outcome_changes_nothing() {
    let outcomes = [
        AttemptOutcome::Unclear { evidence: Evidence::default() },
        AttemptOutcome::NotStarted { reason: "late".to_owned() },
        AttemptOutcome::Stopped { clean: false, timed_out: false },
    ];
    for outcome in outcomes {
        let mut run = unknown();
        let said = format!("{outcome:?}");
        assert_eq!(feed(&mut run, &ended(APPLY, outcome)).map(|events| events.len()), Err(Refusal::AlreadySo), "{said}");
    }
}

#[test]
fn a_report_that_comes_before_its_permit_or_after_the_end_is_refused_and_changes_nothing() {
    let mut run = planning();
    let done = AttemptOutcome::Succeeded { result: plan_of("a") };
    assert_eq!(feed(&mut run, &ended(APPLY, done.clone())), Err(Refusal::NotPermitted));
    feed(&mut run, &ended(PLAN, done.clone())).expect("running");
    assert_eq!(feed(&mut run, &ended(PLAN, done)), Err(Refusal::AttemptOver));
    assert_eq!(feed(&mut run, &report(PLAN, 1, ReportWhat::CommitResolved { commit: commit("b") })), Err(Refusal::AttemptOver));
}

#[test]
fn a_lost_preparation_that_comes_back_may_not_start_its_side_effects() {
    let mut run = preparing_apply();
    feed(&mut run, &Input::WorkerLost { job: APPLY, attempt: AttemptNo(1), seen: "silent".to_owned() }).expect("running");
    let go = Input::StartEffects { job: APPLY, attempt: AttemptNo(1), worker: worker(), nonce: "n".to_owned(), serial_before: Some(7) };
    assert_eq!(feed(&mut run, &go), Err(Refusal::StaleAttempt { given: AttemptNo(1), current: AttemptNo(2) }));
}

#[test]
fn the_serial_that_came_with_the_last_word_is_shown_when_the_worker_is_lost() {
    let run = unknown();
    assert_eq!(run.evidence.values().next().and_then(|evidence| evidence.serial_before), Some(7));
}

#[test]
fn a_worker_that_comes_back_and_cannot_say_either_adds_what_it_saw() {
    let mut run = unknown();
    let told = Evidence { seen: "the runner died".to_owned(), errored_state: Some("errored-state/x".to_owned()), ..Evidence::default() };
    let unclear = AttemptOutcome::Unclear { evidence: told };
    feed(&mut run, &ended(APPLY, unclear.clone())).expect("something new");
    let evidence = run.evidence.values().next().expect("still unknown");
    assert_eq!(status(&run), RunStatus::Unknown);
    assert!(evidence.seen.contains("silent") && evidence.seen.contains("the runner died"), "{evidence:?}");
    assert_eq!((evidence.serial_before, evidence.errored_state.as_deref()), (Some(7), Some("errored-state/x")));
    assert_eq!(feed(&mut run, &ended(APPLY, unclear)), Err(Refusal::AlreadySo), "told twice");
}

#[test]
fn a_log_written_before_the_serial_was_kept_still_folds() {
    let old: Event = serde_json::from_str(r#"{"event":"effects_started","job":1,"attempt":1}"#).expect("readable");
    assert_eq!(old, Event::EffectsStarted { job: JobNo(1), attempt: AttemptNo(1), serial_before: None });
    let entry: Entry = serde_json::from_str(r#"{"nonce":"n","at":"2026-01-01T00:00:00Z","events":[]}"#).expect("readable");
    assert_eq!((entry.cause, entry.before), (None, Vec::new()));
}
