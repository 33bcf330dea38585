//! Stories of one run, told to the pure core, and a seeded storm of inputs that must never break an invariant.

use super::*;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proto::{
    AttemptNo, JobNo, PoolName, RunId, ShardNo, WorkerId,
    message::{AttemptOutcome, Evidence, Failure, JobResult, ProbeSpec, ReportWhat, RunSpec, StopMode, Trigger},
    terraform::{ApplyResult, PlanArtifact, PlanResult, PlanSummary, ToolUsed},
    view::{RunStatus, WaitingFor},
};

const PLAN: JobNo = JobNo(0);
const APPLY: JobNo = JobNo(2);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("in range")
}

fn worker(name: &str) -> WorkerId {
    name.parse().expect("a name")
}

fn trigger(auto_approve: bool, destroy: bool) -> Trigger {
    let spec = serde_json::from_value(serde_json::json!({
        "tool": "terraform", "git_url": "https://git.example/a/b", "git_ref": "main", "workspace": "default",
        "timeout_minutes": 60, "auto_approve": auto_approve, "destroy": destroy,
    }));
    Trigger {
        run: RunId::from_repeatable(&["test"], ShardNo(0)),
        accepted_at: at(0),
        by: "ada".to_owned(),
        spec: RunSpec::Terraform(spec.expect("a spec")),
        pool: PoolName::default(),
        has_secrets: true,
        request_digest: None,
        traceparent: None,
    }
}

/// A run with a short way of telling its story.
struct Story {
    run: Run,
    log: Vec<Entry>,
    now: i64,
    policy: Policy,
}

impl Story {
    fn new(trigger: &Trigger) -> Self {
        let policy = Policy::default();
        let (run, events) = accept(trigger, at(0), &policy);
        Self { run, log: vec![Entry::new(String::new(), at(0), events)], now: 0, policy }
    }

    #[allow(clippy::needless_pass_by_value, reason = "stories read better without a & before every input")]
    fn feed(&mut self, input: Input) -> Result<(), Refusal> {
        self.now += 1;
        let before = self.run.clone();
        let decided = decide(&mut self.run, &input, at(self.now), &self.policy);
        match decided {
            Ok(events) => {
                self.log.push(Entry::new(String::new(), at(self.now), events));
                Ok(())
            }
            Err(refusal) => {
                assert_eq!(self.run, before, "a refusal changes nothing: {refusal}");
                Err(refusal)
            }
        }
    }

    fn begin(&mut self, job: JobNo, attempt: u32, who: &str) -> Result<(), Refusal> {
        self.feed(Input::Begin { job, attempt: AttemptNo(attempt), worker: worker(who), nonce: who.to_owned() })
    }

    fn go(&mut self, attempt: u32, who: &str) -> Result<(), Refusal> {
        self.feed(Input::StartEffects {
            job: APPLY,
            attempt: AttemptNo(attempt),
            worker: worker(who),
            nonce: who.to_owned(),
            serial_before: Some(7),
        })
    }

    fn end(&mut self, job: JobNo, attempt: u32, who: &str, outcome: AttemptOutcome) -> Result<(), Refusal> {
        self.feed(Input::Report { job, attempt: AttemptNo(attempt), worker: worker(who), what: ReportWhat::Ended(outcome) })
    }

    fn planned(auto_approve: bool) -> Self {
        let mut story = Self::new(&trigger(auto_approve, false));
        story.feed(Input::LocksGranted { keys: Vec::new() }).expect("waiting for locks");
        story.begin(PLAN, 1, "w1").expect("queued");
        story.end(PLAN, 1, "w1", AttemptOutcome::Succeeded { result: plan() }).expect("running");
        story
    }

    fn applying() -> Self {
        let mut story = Self::planned(false);
        story.feed(Input::Approve { by: "bob".to_owned(), plan_sha256: None }).expect("waiting");
        story.begin(APPLY, 1, "w2").expect("queued");
        story.go(1, "w2").expect("permitted");
        story
    }

    fn status(&self) -> RunStatus {
        status(&self.run)
    }
}

fn plan() -> JobResult {
    JobResult::Plan(Box::new(PlanResult {
        artifact: PlanArtifact {
            object: "plan/x".to_owned(),
            plan_sha256: "abc".to_owned(),
            bytes: 1,
            commit: "0123456789012345678901234567890123456789".parse().expect("a commit"),
            tool: ToolUsed { tool: proto::terraform::Tool::Terraform, version: "1.11.4".to_owned() },
        },
        summary: PlanSummary::default(),
    }))
}

fn applied() -> AttemptOutcome {
    AttemptOutcome::Succeeded { result: JobResult::Apply(ApplyResult::default()) }
}

fn failed() -> AttemptOutcome {
    let failure = Failure { kind: "apply".to_owned(), phase: "apply".to_owned(), message: "no".to_owned(), next_action: String::new() };
    AttemptOutcome::Failed { failure }
}

#[test]
fn a_run_goes_through_plan_approval_and_apply_on_two_workers() {
    let mut story = Story::new(&trigger(false, false));
    assert!(matches!(view(&story.run, 1).waiting_for, Some(WaitingFor::Lock { .. })));
    assert!(matches!(outstanding(&story.run)[..], [Effect::WantLocks(_)]));
    story.feed(Input::LocksGranted { keys: Vec::new() }).expect("waiting for locks");
    assert!(matches!(view(&story.run, 1).waiting_for, Some(WaitingFor::Worker { .. })));
    story.begin(PLAN, 1, "w1").expect("queued");
    assert_eq!(view(&story.run, 1).waiting_for, None);
    story.end(PLAN, 1, "w1", AttemptOutcome::Succeeded { result: plan() }).expect("running");
    assert_eq!(story.status(), RunStatus::AwaitingApproval);
    assert_eq!(outstanding(&story.run), [], "waiting for a person asks nothing of a worker");
    story.feed(Input::Approve { by: "bob".to_owned(), plan_sha256: Some("abc".to_owned()) }).expect("waiting");
    story.begin(APPLY, 1, "w2").expect("queued");
    story.go(1, "w2").expect("permitted");
    story.end(APPLY, 1, "w2", applied()).expect("running");
    assert_eq!(story.status(), RunStatus::Success);
    assert!(matches!(outstanding(&story.run)[..], [Effect::ReleaseLocks(_), Effect::DeleteSecrets { pages: 0 }]));
    assert_eq!(view(&story.run, 1).approval.expect("a gate").by.as_deref(), Some("bob"));
    assert_eq!(fold(&story.log), Some(story.run));
}

#[test]
fn destroy_is_always_shown_to_a_person_and_auto_approve_is_not() {
    assert_eq!(Story::new(&trigger(true, false)).run.jobs.len(), 2);
    let destroy = Story::new(&trigger(true, true));
    assert_eq!(destroy.run.jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["plan", "approval", "destroy"]);
}

#[test]
fn a_permit_is_given_once_and_only_its_holder_may_ask_again() {
    let mut story = Story::new(&trigger(false, false));
    assert_eq!(story.begin(PLAN, 1, "w1"), Err(Refusal::NotQueued), "no permit before the locks");
    story.feed(Input::LocksGranted { keys: Vec::new() }).expect("waiting for locks");
    story.begin(PLAN, 1, "w1").expect("queued");
    assert_eq!(story.begin(PLAN, 1, "w1"), Err(Refusal::AlreadySo));
    assert_eq!(story.begin(PLAN, 1, "w2"), Err(Refusal::AlreadyPermitted));
    let other_nonce = Input::Begin { job: PLAN, attempt: AttemptNo(1), worker: worker("w1"), nonce: "second life".to_owned() };
    assert_eq!(story.feed(other_nonce), Err(Refusal::AlreadyPermitted));
}

#[test]
fn a_straggler_is_refused() {
    let mut story = Story::new(&trigger(false, false));
    story.feed(Input::LocksGranted { keys: Vec::new() }).expect("waiting for locks");
    story.begin(PLAN, 1, "w1").expect("queued");
    story.feed(Input::WorkerLost { job: PLAN, attempt: AttemptNo(1), seen: "silent".to_owned() }).expect("running");
    let stale = Err(Refusal::StaleAttempt { given: AttemptNo(1), current: AttemptNo(2) });
    assert_eq!(story.end(PLAN, 1, "w1", AttemptOutcome::Succeeded { result: plan() }), stale);
    assert_eq!(story.begin(PLAN, 1, "w1"), stale);
    story.begin(PLAN, 2, "w2").expect("queued again");
    assert_eq!(story.end(PLAN, 2, "w1", failed()), Err(Refusal::NotYours));
}

#[test]
fn a_plan_that_loses_its_worker_is_retried_three_times_and_then_given_up() {
    let mut story = Story::new(&trigger(false, false));
    story.feed(Input::LocksGranted { keys: Vec::new() }).expect("waiting for locks");
    for attempt in 1..=3 {
        story.begin(PLAN, attempt, "w1").expect("queued");
        story.feed(Input::WorkerLost { job: PLAN, attempt: AttemptNo(attempt), seen: "silent".to_owned() }).expect("running");
    }
    assert_eq!(story.status(), RunStatus::Failed);
    assert_eq!(story.run.failure.as_ref().map(|failure| failure.kind.as_str()), Some("worker_lost"));
}

#[test]
fn an_apply_lost_before_its_side_effects_is_retried_and_after_them_unknown() {
    let mut story = Story::planned(true);
    let apply = JobNo(1);
    story.begin(apply, 1, "w2").expect("queued");
    story.feed(Input::WorkerLost { job: apply, attempt: AttemptNo(1), seen: "silent".to_owned() }).expect("running");
    assert_eq!(story.status(), RunStatus::Running);
    assert_eq!(story.run.jobs[1].state, JobState::Queued);

    let mut story = Story::applying();
    story.feed(Input::WorkerLost { job: APPLY, attempt: AttemptNo(1), seen: "silent".to_owned() }).expect("running");
    assert_eq!(story.status(), RunStatus::Unknown);
    assert_eq!(outstanding(&story.run), [], "its lock stays held and nothing is tried again");
    assert_eq!(story.begin(APPLY, 1, "w3"), Err(Refusal::AttemptOver));
    assert!(view(&story.run, 1).evidence.is_some());
}

#[test]
fn an_unknown_outcome_is_settled_by_a_late_report_or_by_a_person() {
    let mut late = Story::applying();
    late.feed(Input::WorkerLost { job: APPLY, attempt: AttemptNo(1), seen: "silent".to_owned() }).expect("running");
    assert_eq!(late.end(APPLY, 1, "w1", applied()), Err(Refusal::NotYours));
    late.end(APPLY, 1, "w2", applied()).expect("a genuine late result");
    assert_eq!(late.status(), RunStatus::Success);

    for (succeeded, expected) in [(true, RunStatus::Success), (false, RunStatus::Failed)] {
        let mut resolved = Story::applying();
        resolved.feed(Input::WorkerLost { job: APPLY, attempt: AttemptNo(1), seen: "silent".to_owned() }).expect("running");
        let resolve = Input::Resolve { by: "bob".to_owned(), job: None, succeeded, reason: "looked".to_owned() };
        assert_eq!(resolved.feed(resolve.clone()), Err(Refusal::TooSoon), "its worker may still start what it had the word for");
        resolved.now += 10;
        resolved.feed(resolve).expect("unknown");
        assert_eq!(resolved.status(), expected);
        assert_eq!(resolved.end(APPLY, 1, "w2", applied()), Err(Refusal::AttemptOver), "settled is settled");
    }
}

#[test]
fn cancel_ends_what_waits_and_stops_what_runs() {
    let mut waiting = Story::planned(false);
    waiting.feed(Input::Cancel { by: "ada".to_owned(), force: false }).expect("open");
    assert_eq!(waiting.status(), RunStatus::Cancelled);

    let mut applying = Story::applying();
    applying.feed(Input::Cancel { by: "ada".to_owned(), force: false }).expect("open");
    assert!(matches!(&outstanding(&applying.run)[..], [Effect::Stop { signal, .. }] if signal.mode == StopMode::Interrupt));
    assert_eq!(applying.feed(Input::Cancel { by: "ada".to_owned(), force: false }), Err(Refusal::AlreadySo));
    applying.feed(Input::Cancel { by: "ada".to_owned(), force: true }).expect("harder");
    assert!(matches!(&outstanding(&applying.run)[..], [Effect::Stop { signal, .. }] if signal.mode == StopMode::Kill));
    applying.end(APPLY, 1, "w2", AttemptOutcome::Stopped { clean: true, timed_out: false }).expect("running");
    assert_eq!(applying.status(), RunStatus::Cancelled);
    assert_eq!(applying.feed(Input::Cancel { by: "ada".to_owned(), force: false }), Err(Refusal::WrongState(RunStatus::Cancelled)));
}

#[test]
fn the_first_word_is_an_interrupt_even_if_it_says_force() {
    let mut applying = Story::applying();
    for mode in [StopMode::Interrupt, StopMode::Kill] {
        applying.feed(Input::Cancel { by: "ada".to_owned(), force: true }).expect("open");
        assert!(matches!(&outstanding(&applying.run)[..], [Effect::Stop { signal, .. }] if signal.mode == mode), "{mode:?}");
    }
    assert_eq!(applying.feed(Input::Cancel { by: "ada".to_owned(), force: true }), Err(Refusal::AlreadySo));
}

#[test]
fn a_completion_that_beats_the_cancel_stands() {
    let mut story = Story::applying();
    story.feed(Input::Cancel { by: "ada".to_owned(), force: false }).expect("open");
    story.end(APPLY, 1, "w2", applied()).expect("running");
    assert_eq!(story.status(), RunStatus::Success);
}

#[test]
fn after_a_cancel_nothing_starts() {
    let mut story = Story::planned(false);
    story.feed(Input::Approve { by: "bob".to_owned(), plan_sha256: None }).expect("waiting");
    story.begin(APPLY, 1, "w2").expect("queued");
    story.feed(Input::Cancel { by: "ada".to_owned(), force: false }).expect("open");
    assert_eq!(story.go(1, "w2"), Err(Refusal::Cancelling));
}

#[test]
fn a_killed_apply_is_unknown_and_an_interrupted_one_is_not() {
    let mut story = Story::applying();
    story.feed(Input::Cancel { by: "ada".to_owned(), force: true }).expect("open");
    story.end(APPLY, 1, "w2", AttemptOutcome::Stopped { clean: false, timed_out: false }).expect("running");
    assert_eq!(story.status(), RunStatus::Unknown);

    let mut timed_out = Story::applying();
    timed_out.end(APPLY, 1, "w2", AttemptOutcome::Stopped { clean: true, timed_out: true }).expect("running");
    assert_eq!(timed_out.status(), RunStatus::Failed);
    assert_eq!(timed_out.run.failure.map(|failure| failure.kind), Some("timeout".to_owned()));
}

#[test]
fn an_approval_is_for_one_plan_expires_and_cannot_be_taken_back() {
    let mut story = Story::planned(false);
    let approve = |digest: Option<&str>| Input::Approve { by: "bob".to_owned(), plan_sha256: digest.map(str::to_owned) };
    assert_eq!(story.feed(approve(Some("other"))), Err(Refusal::PlanChanged));
    story.feed(approve(Some("abc"))).expect("waiting");
    assert_eq!(story.feed(approve(None)), Err(Refusal::AlreadySo));
    assert_eq!(story.feed(Input::Reject { by: "bob".to_owned() }), Err(Refusal::WrongState(RunStatus::Running)));

    let mut late = Story::planned(false);
    assert_eq!(late.feed(Input::Tick), Err(Refusal::NothingDue));
    late.now += SignedDuration::from_hours(24).as_secs();
    assert_eq!(late.feed(approve(None)), Err(Refusal::ApprovalExpired));
    late.feed(Input::Tick).expect("due");
    assert_eq!(late.status(), RunStatus::Cancelled);
    assert_eq!(view(&late.run, 1).approval.expect("a gate").state, "expired");
    assert_eq!(view(&late.run, 1).failure, None, "an expired approval leaves the error empty");
}

#[test]
fn a_failed_plan_skips_the_rest_and_names_its_phase() {
    let mut story = Story::new(&trigger(false, false));
    story.feed(Input::LocksGranted { keys: Vec::new() }).expect("waiting for locks");
    story.begin(PLAN, 1, "w1").expect("queued");
    story.end(PLAN, 1, "w1", failed()).expect("running");
    assert_eq!(story.status(), RunStatus::Failed);
    let view = view(&story.run, 1);
    assert_eq!(view.failed_phase.as_deref(), Some("apply"));
    assert_eq!(view.jobs.iter().map(|job| job.status.as_str()).collect::<Vec<_>>(), ["failed", "skipped", "skipped"]);
}

#[test]
fn the_first_resolved_commit_binds_the_run() {
    let mut story = Story::new(&trigger(false, false));
    story.feed(Input::LocksGranted { keys: Vec::new() }).expect("waiting for locks");
    story.begin(PLAN, 1, "w1").expect("queued");
    let pin = |digit: &str| ReportWhat::CommitResolved { commit: digit.repeat(40).parse().expect("a commit") };
    let report = |what| Input::Report { job: PLAN, attempt: AttemptNo(1), worker: worker("w1"), what };
    story.feed(report(pin("a"))).expect("first");
    assert_eq!(story.feed(report(pin("a"))), Err(Refusal::AlreadySo));
    assert_eq!(story.feed(report(pin("b"))), Err(Refusal::OtherCommit));
}

#[test]
fn a_probe_needs_no_lock() {
    let mut trigger = trigger(false, false);
    trigger.spec = RunSpec::Probe(ProbeSpec::default());
    let mut story = Story::new(&trigger);
    story.begin(PLAN, 1, "w1").expect("queued at once");
    story.end(PLAN, 1, "w1", AttemptOutcome::Succeeded { result: JobResult::Nothing }).expect("running");
    assert_eq!(story.status(), RunStatus::Success);
}

/// Any input at all, from few enough names that they meet.
fn any_input() -> impl Strategy<Value = Input> {
    let names = prop_oneof![Just("w1"), Just("w2"), Just("w3")];
    let place = (0_u32..3, 1_u32..5, names);
    let outcome = prop_oneof![
        Just(AttemptOutcome::Succeeded { result: plan() }),
        Just(applied()),
        Just(failed()),
        Just(AttemptOutcome::NotStarted { reason: "late".to_owned() }),
        any::<(bool, bool)>().prop_map(|(clean, timed_out)| AttemptOutcome::Stopped { clean, timed_out }),
        Just(AttemptOutcome::Unclear { evidence: Evidence::default() }),
    ];
    let by = || "ada".to_owned();
    prop_oneof![
        2 => Just(Input::LocksGranted { keys: Vec::new() }),
        6 => place.clone().prop_map(|(j, a, w)| Input::Begin { job: JobNo(j), attempt: AttemptNo(a), worker: worker(w), nonce: w.to_owned() }),
        4 => place.clone().prop_map(|(j, a, w)| Input::StartEffects { job: JobNo(j), attempt: AttemptNo(a), worker: worker(w), nonce: w.to_owned(), serial_before: Some(7) }),
        6 => (place.clone(), outcome).prop_map(|((j, a, w), outcome)| Input::Report { job: JobNo(j), attempt: AttemptNo(a), worker: worker(w), what: ReportWhat::Ended(outcome) }),
        3 => place.prop_map(|(j, a, _)| Input::WorkerLost { job: JobNo(j), attempt: AttemptNo(a), seen: String::new() }),
        2 => Just(Input::Approve { by: by(), plan_sha256: None }),
        1 => Just(Input::Reject { by: by() }),
        1 => any::<bool>().prop_map(move |force| Input::Cancel { by: "ada".to_owned(), force }),
        1 => any::<bool>().prop_map(move |succeeded| Input::Resolve { by: "ada".to_owned(), job: None, succeeded, reason: String::new() }),
        1 => Just(Input::Tick),
    ]
}

/// What must hold after every step, whatever happened.
fn check(story: &Story, seen_terminal: &mut Option<RunStatus>, permits: &mut std::collections::BTreeSet<(u32, u32)>) {
    let run = &story.run;
    let open = run.jobs.iter().filter(|job| !job.state.is_over()).count();
    assert_eq!(run.open_jobs as usize, open, "the count of open jobs is right");
    assert_eq!(run.unknown_jobs as usize, run.jobs.iter().filter(|job| job.state == JobState::Unknown).count());
    assert_eq!(run.waiting_gates as usize, run.jobs.iter().filter(|job| job.state == JobState::Waiting).count());
    assert_eq!(run.is_over(), open == 0, "over exactly when every job is over");
    // I1: at most one attempt of the run may be in its side effects.
    let in_effects =
        |job: &&Job| matches!(job.state, JobState::Running | JobState::Unknown) && job.current().is_some_and(|a| a.effects_at.is_some());
    assert!(run.jobs.iter().filter(in_effects).count() <= 1);
    // I1: a run with jobs that were given out holds its locks; an unknown one still does.
    if run.jobs.iter().any(|job| !job.attempts.is_empty()) {
        assert_eq!(run.lock, LockState::Held);
    }
    let status = status(run);
    if status == RunStatus::Unknown {
        assert!(!outstanding(run).iter().any(|effect| matches!(effect, Effect::ReleaseLocks(_))), "unknown holds its locks");
    }
    // I3: a terminal state is written once.
    match seen_terminal {
        Some(before) => assert_eq!(*before, status),
        None if status.is_terminal() => *seen_terminal = Some(status),
        None => {}
    }
    // I5: no apply before its approval.
    if run.jobs.len() == 3 && !run.jobs[2].attempts.is_empty() {
        assert_eq!(run.jobs[1].gate.as_ref().map(|gate| gate.state), Some(GateState::Approved));
    }
    // I6: each attempt is permitted at most once.
    for event in story.log.last().iter().flat_map(|entry| &entry.events) {
        if let Event::Permitted { job, attempt, .. } = event {
            assert!(permits.insert((job.0, attempt.0)), "{job} {attempt} was permitted twice");
        }
    }
    // I10: an unfinished run that runs nowhere says what it waits for.
    let view = view(run, 1);
    let runs = run.jobs.iter().any(|job| job.state == JobState::Running);
    assert!(run.is_over() || runs || view.waiting_for.is_some(), "{view:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_shrink_iters: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn no_storm_of_inputs_breaks_an_invariant(auto in any::<bool>(), inputs in prop::collection::vec(any_input(), 0..120)) {
        let mut story = Story::new(&trigger(auto, false));
        let (mut terminal, mut permits) = (None, std::collections::BTreeSet::new());
        let mut entries = story.log.len();
        for input in inputs {
            let cancelled_before = story.run.cancel.is_some();
            let attempts_before: usize = story.run.jobs.iter().map(|job| job.attempts.len()).sum();
            let _ = story.feed(input);
            if story.log.len() > entries {
                entries = story.log.len();
                check(&story, &mut terminal, &mut permits);
            }
            // I11: after an acknowledged cancel nothing new starts.
            if cancelled_before {
                assert_eq!(attempts_before, story.run.jobs.iter().map(|job| job.attempts.len()).sum::<usize>());
            }
        }
        // The log tells the whole story.
        prop_assert_eq!(fold(&story.log), Some(story.run));
    }
}
