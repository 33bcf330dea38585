//! Runs of syncs, told to the pure core: what a selection becomes, a lock for each sync, what a failure, a cancel and a lost
//! worker do to the others, and what is left to a newer run. What is kept of them is in `notes_tests`, any order of inputs in
//! `syncs_storm`.

use super::*;
use jiff::{SignedDuration, Timestamp};
use proto::{
    AttemptNo, JobNo, PoolName, RunId, ShardNo, WorkerId,
    git::CommitId,
    lock::LockKey,
    message::{AttemptOutcome, Evidence, Failure, JobResult, ReportWhat, RunSpec, Trigger, Work},
    sync::{
        Compared, Executor, MappingInForce, Push, Release, ReleaseKind, ReleaseOrder, Selected, Selection, ServiceId, SyncAction,
        SyncResult, SyncSpec, SyncWanted,
    },
    view::{RunStatus, WaitingFor},
};

pub(super) const SELECT: u32 = 0;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("in range")
}

pub(super) fn worker() -> WorkerId {
    "w1".parse().expect("a name")
}

pub(super) fn service(name: &str) -> ServiceId {
    ServiceId::new("platform", name).expect("a service")
}

pub(super) fn key(name: &str) -> LockKey {
    LockKey::service(&"staging".parse().expect("an environment"), &service(name))
}

pub(super) fn commit() -> CommitId {
    "a".repeat(40).parse().expect("a commit")
}

pub(super) fn spec() -> SyncSpec {
    SyncSpec {
        source: "infra".parse().expect("a source"),
        git_url: "https://git.example/a/infra".parse().expect("a URL"),
        environment: "staging".parse().expect("an environment"),
        git_ref: "refs/heads/main".parse().expect("a reference"),
        wanted: SyncWanted::All,
        force: false,
        command: vec!["deploy".to_owned()],
        timeout_s: 60,
        projects: vec!["platform".to_owned()],
        triggered_by: "ada".to_owned(),
        delivery: None,
        deployment_id: None,
        release: None,
        git_auth: None,
    }
}

pub(super) fn releasing() -> SyncSpec {
    SyncSpec { release: Some(ReleaseOrder { kind: ReleaseKind::Staging, from: None, strict: false }), ..spec() }
}

pub(super) fn push() -> SyncWanted {
    SyncWanted::Changed(Push { before: None, after: commit(), forced: false, files: Vec::new(), files_complete: false })
}

/// Services, each with those that it is to be synced after.
pub(super) fn selection(services: &[(&str, &[&str])], generation: u64) -> Selection {
    let selected = |(name, after): &(&str, &[&str])| Selected {
        service: service(name),
        dir: format!("platform/{name}").parse().expect("a path"),
        task: format!("{name}.sync"),
        executor: Executor::Command,
        reasons: vec!["named".to_owned()],
        after: after.iter().map(|name| service(name)).collect(),
        production_only: false,
        requires: Vec::new(),
        depends_on: Vec::new(),
    };
    Selection {
        until: None,
        commit: commit(),
        generation,
        compared: Compared::Named,
        changed_files: 3,
        services: services.iter().map(selected).collect(),
        skipped: Vec::new(),
        known: services.iter().map(|(name, _)| service(name)).collect(),
        mapping: MappingInForce::BuiltIn,
        notes: Vec::new(),
    }
}

pub(super) fn trigger(name: &str, spec: SyncSpec) -> Trigger {
    Trigger {
        run: RunId::from_repeatable(&[name], ShardNo(0)),
        accepted_at: at(0),
        by: "ada".to_owned(),
        spec: RunSpec::Sync(spec),
        pool: PoolName::default(),
        has_secrets: false,
        request_digest: None,
        traceparent: None,
    }
}

pub(super) fn failure() -> Failure {
    Failure { kind: "exit_code".to_owned(), phase: "sync".to_owned(), message: "exit code 1".to_owned(), next_action: String::new() }
}

pub(super) fn failed() -> AttemptOutcome {
    AttemptOutcome::Failed { failure: failure() }
}

pub(super) fn synced(hash: &str) -> AttemptOutcome {
    let result = SyncResult { action: SyncAction::Updated, details: "changed".to_owned(), hash: Some(hash.to_owned()), untouched: false };
    AttemptOutcome::Succeeded { result: JobResult::Sync(result) }
}

pub(super) struct Story {
    pub(super) run: Run,
    pub(super) log: Vec<Entry>,
    pub(super) now: i64,
    /// What the last decision asked for.
    pub(super) due: Vec<Effect>,
}

impl Story {
    pub(super) fn of(trigger: &Trigger) -> Self {
        let (run, events) = accept(trigger, at(0), &Policy::default());
        let due = due_after(&run, &events);
        Self { run, log: vec![Entry::new(String::new(), at(0), events)], now: 0, due }
    }

    /// A run whose repository has been looked at.
    pub(super) fn planned(spec: SyncSpec, services: &[(&str, &[&str])]) -> Self {
        Self::named("one", spec, selection(services, 5))
    }

    pub(super) fn named(name: &str, spec: SyncSpec, selection: Selection) -> Self {
        let mut story = Self::of(&trigger(name, spec));
        story.begin(SELECT);
        story.report(SELECT, AttemptOutcome::Succeeded { result: JobResult::Selection(Box::new(selection)) }).expect("is heard");
        story
    }

    pub(super) fn feed(&mut self, input: &Input) -> Result<(), Refusal> {
        let before = self.run.clone();
        let events = match decide(&mut self.run, input, at(self.now), &Policy::default()) {
            Ok(events) => events,
            Err(refusal) => {
                assert_eq!(self.run, before, "a refusal changes nothing");
                return Err(refusal);
            }
        };
        self.due = due_after(&self.run, &events);
        self.log.push(Entry::new(String::new(), at(self.now), events));
        assert_eq!(fold(&self.log).as_ref(), Some(&self.run), "the log tells the same story");
        Ok(())
    }

    pub(super) fn attempt(&self, no: u32) -> AttemptNo {
        self.run.jobs[no as usize].current().expect("an attempt").no
    }

    pub(super) fn begin(&mut self, no: u32) {
        let (job, attempt) = (JobNo(no), self.attempt(no));
        self.feed(&Input::Begin { job, attempt, worker: worker(), nonce: "n".to_owned() }).expect("may begin");
    }

    pub(super) fn go(&mut self, no: u32) {
        let (job, attempt) = (JobNo(no), self.attempt(no));
        let go = Input::StartEffects { job, attempt, worker: worker(), nonce: "n".to_owned(), serial_before: None };
        self.feed(&go).expect("may start");
    }

    pub(super) fn report(&mut self, no: u32, outcome: AttemptOutcome) -> Result<(), Refusal> {
        let (job, attempt) = (JobNo(no), self.attempt(no));
        self.feed(&Input::Report { job, attempt, worker: worker(), what: ReportWhat::Ended(outcome) })
    }

    pub(super) fn lose(&mut self, no: u32) {
        let (job, attempt) = (JobNo(no), self.attempt(no));
        self.feed(&Input::WorkerLost { job, attempt, seen: "silent".to_owned() }).expect("was running");
    }

    pub(super) fn grant(&mut self, name: &str) -> Result<(), Refusal> {
        self.feed(&Input::LocksGranted { keys: vec![key(name)] })
    }

    /// A sync from its lock to where it has begun.
    pub(super) fn start(&mut self, no: u32, name: &str) {
        self.grant(name).expect("waits for its lock");
        self.begin(no);
        self.go(no);
    }

    pub(super) fn play(&mut self, no: u32, name: &str, outcome: AttemptOutcome) {
        self.start(no, name);
        self.report(no, outcome).expect("is heard");
    }

    pub(super) fn cancel(&mut self) -> Result<(), Refusal> {
        self.feed(&Input::Cancel { by: "bob".to_owned(), force: false })
    }

    pub(super) fn state(&self, no: u32) -> JobState {
        self.run.jobs[no as usize].state
    }

    pub(super) fn states(&self) -> Vec<JobState> {
        self.run.jobs.iter().map(|job| job.state).collect()
    }

    pub(super) fn needs(&self, no: u32) -> Vec<u32> {
        self.run.jobs[no as usize].needs.iter().map(|need| need.0).collect()
    }
}

/// Names of the services whose locks are wanted, or given back, by these effects.
fn locks(due: &[Effect], wanted: bool) -> Vec<LockKey> {
    let keys = |effect: &Effect| match effect {
        Effect::WantLocks(keys) if wanted => keys.clone(),
        Effect::ReleaseLocks(keys) if !wanted => keys.clone(),
        Effect::WantLocks(_)
        | Effect::ReleaseLocks(_)
        | Effect::PublishOrder(_)
        | Effect::Stop { .. }
        | Effect::DeleteSecrets { .. }
        | Effect::Note(_) => Vec::new(),
    };
    due.iter().flat_map(keys).collect()
}

pub(super) fn wants(due: &[Effect]) -> Vec<LockKey> {
    locks(due, true)
}

pub(super) fn gives_back(due: &[Effect]) -> Vec<LockKey> {
    locks(due, false)
}

#[test]
fn a_run_begins_with_a_look_at_the_repository_and_no_lock() {
    let story = Story::of(&trigger("one", spec()));
    assert_eq!(story.states(), [JobState::Queued]);
    assert_eq!((story.run.locks.len(), wants(&story.due)), (0, vec![]));
    assert!(matches!(work_of(&story.run, JobNo(SELECT), AttemptNo::FIRST), Some((Work::Select { .. }, 600_000))));
}

#[test]
fn a_selection_becomes_jobs_each_after_those_that_it_comes_after() {
    // `web` comes after a service that this run does not sync, and after itself: neither is waited for.
    let story = Story::planned(spec(), &[("db", &[]), ("api", &["db"]), ("web", &["api", "db", "cdn", "web"])]);
    let names: Vec<&str> = story.run.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["select", "platform/db", "platform/api", "platform/web"]);
    assert_eq!([1, 2, 3].map(|no| story.needs(no)), [vec![0], vec![1], vec![1, 2]]);
    assert_eq!(wants(&story.due), [key("db")], "only what may start stands in line");
    assert_eq!(story.run.commit, Some(commit()));
    assert_eq!(story.run.locks, [key("db"), key("api"), key("web")]);
}

#[test]
fn a_release_comes_first_and_its_failure_closes_everything() {
    let mut story = Story::planned(releasing(), &[("db", &[]), ("api", &["db"])]);
    assert_eq!([1, 2, 3].map(|no| story.needs(no)), [vec![0], vec![1], vec![2]]);
    assert_eq!((story.state(1), wants(&story.due)), (JobState::Queued, vec![]));
    story.begin(1);
    let mut other =
        Story { run: story.run.clone(), log: story.log.clone(), ..Story::planned(releasing(), &[("db", &[]), ("api", &["db"])]) };
    let release =
        Release { kind: ReleaseKind::Staging, tag: "v1.2.4".to_owned(), commit: commit(), from: None, existed: false, why: String::new() };
    story.report(1, AttemptOutcome::Succeeded { result: JobResult::Release(release) }).expect("is heard");
    assert_eq!(wants(&story.due), [key("db")]);
    story.start(2, "db");
    let Some((Work::Sync { sync, .. }, 60_000)) = work_of(&story.run, JobNo(2), AttemptNo::FIRST) else { panic!("no sync") };
    assert_eq!((sync.tag.as_deref(), sync.commit), (Some("v1.2.4"), commit()));
    other.report(1, failed()).expect("is heard");
    assert_eq!(other.states()[1..], [JobState::Failed, JobState::Skipped, JobState::Skipped]);
    assert_eq!(status(&other.run), RunStatus::Failed);
}

#[test]
fn without_services_a_run_is_over_and_a_push_makes_no_release() {
    let pushed = SyncSpec { wanted: push(), ..releasing() };
    for (spec, jobs, over) in [(spec(), 1, true), (pushed.clone(), 1, true), (releasing(), 2, false)] {
        let story = Story::planned(spec, &[]);
        assert_eq!((story.run.jobs.len(), story.run.is_over()), (jobs, over));
    }
    assert_eq!(Story::planned(pushed, &[("db", &[])]).run.jobs.len(), 3, "one that touches something makes one");
}

#[test]
fn a_circle_or_a_service_named_twice_is_refused_before_anything_is_planned() {
    let circles: [&[(&str, &[&str])]; 3] = [
        &[("a", &["b"]), ("b", &["a"])],
        &[("a", &["c"]), ("b", &["a"]), ("c", &["b"]), ("d", &[])],
        // Behind a service that is in none.
        &[("a", &[]), ("b", &["a", "c"]), ("c", &["b"])],
    ];
    for circle in circles {
        let story = Story::planned(releasing(), circle);
        assert_eq!(story.states(), [JobState::Failed], "{circle:?}");
        assert_eq!(story.run.failure.as_ref().map(|failure| failure.kind.as_str()), Some("mapping"));
        assert_eq!(story.run.jobs[0].current().and_then(|attempt| attempt.ended).map(|(_, end)| end), Some(AttemptEnd::Failed));
    }
    let diamond = Story::planned(spec(), &[("d", &["b", "c"]), ("b", &["a"]), ("c", &["a"]), ("a", &[])]);
    assert_eq!(diamond.states()[1..], [JobState::Blocked; 4], "the order of names is not the order of syncs");
    let twice = Story::planned(spec(), &[("a", &[]), ("b", &[]), ("a", &["b"])]);
    assert_eq!(twice.states(), [JobState::Failed]);
    assert!(twice.run.failure.as_ref().is_some_and(|failure| failure.message.contains("twice")), "{:?}", twice.run.failure);
}

#[test]
fn services_that_have_nothing_to_do_with_one_another_wait_for_nothing_of_one_another() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &[]), ("c", &["a"])]);
    assert_eq!(wants(&story.due), [key("a"), key("b")]);
    story.start(2, "b");
    assert_eq!((story.state(1), status(&story.run)), (JobState::Blocked, RunStatus::Running));
    assert_eq!(story.run.locks_held(), [key("b")]);
    story.report(2, synced("b")).expect("is heard");
    assert_eq!((gives_back(&story.due), wants(&story.due)), (vec![key("b")], vec![]));
    assert_eq!(story.run.locks_held(), []);
    let waits = view(&story.run, 1).waiting_for;
    assert_eq!(waits, Some(WaitingFor::Lock { keys: vec![key("a")], held_by: None, position: None }));
    story.play(1, "a", synced("a"));
    assert_eq!((gives_back(&story.due), wants(&story.due)), (vec![key("a")], vec![key("c")]));
    story.play(3, "c", synced("c"));
    assert_eq!(status(&story.run), RunStatus::Success);
}

#[test]
fn a_lock_is_taken_once_and_only_by_what_waits_for_it() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &["a"])]);
    for stranger in ["b", "c"] {
        assert_eq!(story.grant(stranger), Err(Refusal::NotWaitingForLocks), "{stranger}");
    }
    story.grant("a").expect("waits");
    assert_eq!(story.grant("a"), Err(Refusal::NotWaitingForLocks));
    assert!(story.run.needs_lock(&key("a")) && story.run.needs_lock(&key("b")) && !story.run.needs_lock(&key("c")));
    assert!(!story.run.wants_lock(&key("a")) && !story.run.wants_lock(&key("b")));
    assert_eq!(story.run.locks_of(JobNo(2)), [key("b")]);
}

#[test]
fn a_failing_sync_skips_what_comes_after_it_and_nothing_else() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("d", &[])]);
    story.start(4, "d");
    story.play(1, "a", failed());
    assert_eq!(story.states()[1..], [JobState::Failed, JobState::Skipped, JobState::Skipped, JobState::Running]);
    assert_eq!(gives_back(&story.due), [key("a"), key("b"), key("c")]);
    story.report(4, synced("d")).expect("is heard");
    assert_eq!(status(&story.run), RunStatus::Failed);
}

#[test]
fn a_full_line_fails_that_service_alone() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &["a"]), ("c", &[])]);
    story.feed(&Input::LockLineFull { keys: vec![key("a")] }).expect("wanted");
    assert_eq!(story.states()[1..], [JobState::Failed, JobState::Skipped, JobState::Blocked]);
    assert_eq!(story.run.jobs[1].service.as_ref().and_then(|job| job.failure.as_ref()).map(|f| f.kind.as_str()), Some("lock_line_full"));
    assert_eq!(story.feed(&Input::LockLineFull { keys: vec![key("a")] }), Err(Refusal::NotWaitingForLocks));
    story.play(3, "c", synced("c"));
    assert_eq!(status(&story.run), RunStatus::Failed);
}

#[test]
fn a_cancel_ends_what_nobody_began_and_leaves_the_rest_to_its_worker() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &[]), ("c", &[]), ("d", &["a"])]);
    story.start(1, "a");
    story.grant("b").expect("waits");
    story.cancel().expect("runs");
    assert_eq!(story.states()[1..], [JobState::Running, JobState::Cancelled, JobState::Cancelled, JobState::Cancelled]);
    assert_eq!(gives_back(&story.due), [key("b"), key("c"), key("d")]);
    assert_eq!(story.grant("c"), Err(Refusal::NotWaitingForLocks), "handed on too late");
    story.report(1, AttemptOutcome::Stopped { clean: true, timed_out: false }).expect("is heard");
    assert_eq!(status(&story.run), RunStatus::Cancelled);
}

#[test]
fn a_worker_lost_before_the_word_costs_a_retry_and_the_lock_stays() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &[])]);
    story.grant("a").expect("waits");
    story.begin(1);
    story.lose(1);
    assert_eq!((story.state(1), story.attempt(1)), (JobState::Queued, AttemptNo(2)));
    assert_eq!((gives_back(&story.due), story.run.locks_held()), (vec![], vec![key("a")]));
    story.begin(1);
    story.go(1);
    story.report(1, synced("a")).expect("is heard");
    assert_eq!(story.state(1), JobState::Succeeded);
}

#[test]
fn a_worker_lost_after_the_word_keeps_the_lock_and_the_others_go_on() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &[]), ("c", &["a"])]);
    story.start(1, "a");
    story.lose(1);
    assert_eq!((story.state(1), status(&story.run)), (JobState::Unknown, RunStatus::Running));
    story.play(2, "b", synced("b"));
    assert_eq!(status(&story.run), RunStatus::Unknown, "`c` waits for `a`, and `a` for a person");
    assert_eq!(view(&story.run, 1).waiting_for, Some(WaitingFor::Resolution));
    assert_eq!((story.run.locks_held(), gives_back(&story.due)), (vec![key("a")], vec![key("b")]));
    assert!(!gives_back(&outstanding(&story.run)).contains(&key("a")));
    assert!(story.run.needs_lock(&key("a")));
    story.now += 60;
    let resolve = Input::Resolve { by: "bob".to_owned(), job: Some(JobNo(1)), succeeded: true, reason: "looked".to_owned() };
    story.feed(&resolve).expect("unknown");
    assert_eq!((gives_back(&story.due), wants(&story.due)), (vec![key("a")], vec![key("c")]));
}

#[test]
fn who_settles_says_which_and_is_shown_what_was_seen_of_that_one() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &[])]);
    for (no, name) in [(1, "a"), (2, "b")] {
        story.start(no, name);
        let evidence = Evidence { seen: format!("saw {name}"), ..Evidence::default() };
        story.report(no, AttemptOutcome::Unclear { evidence }).expect("is heard");
    }
    assert_eq!(status(&story.run), RunStatus::Unknown);
    let seen = |story: &Story| view(&story.run, 1).evidence.map(|evidence| evidence.seen);
    assert_eq!(seen(&story).as_deref(), Some("saw a"));
    let more = Evidence { seen: "more of a".to_owned(), ..Evidence::default() };
    story.report(1, AttemptOutcome::Unclear { evidence: more }).expect("is new");
    assert_eq!(seen(&story).as_deref(), Some("saw a; more of a"), "and nothing of b");
    let resolve = |job| Input::Resolve { by: "bob".to_owned(), job, succeeded: false, reason: "looked".to_owned() };
    // `b` settled itself while somebody looked at it: what was seen of it says nothing of `a`.
    story.report(2, synced("b")).expect("a late result");
    assert_eq!(story.feed(&resolve(Some(JobNo(2)))), Err(Refusal::WrongState(RunStatus::Unknown)));
    assert_eq!(story.state(1), JobState::Unknown);
    story.feed(&resolve(None)).expect("one is unknown");
    assert_eq!(story.states()[1..], [JobState::Failed, JobState::Succeeded]);
}

#[test]
fn a_sync_starts_its_side_effects_under_its_own_lock_only() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &[])]);
    story.grant("a").expect("waits");
    story.begin(1);
    if let Some(service) = &mut story.run.jobs[1].service {
        service.locked = false;
    }
    let go = Input::StartEffects { job: JobNo(1), attempt: AttemptNo(1), worker: worker(), nonce: "n".to_owned(), serial_before: None };
    assert_eq!(decide(&mut story.run, &go, at(1), &Policy::default()), Err(Refusal::LocksNotHeld));
}

#[test]
fn a_sync_that_waits_for_a_worker_too_long_gives_its_lock_back() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &["a"])]);
    story.grant("a").expect("waits");
    let policy = Policy { queue_deadline: Some(SignedDuration::from_secs(5)), ..Policy::default() };
    let events = decide(&mut story.run, &Input::Tick, at(10), &policy).expect("due");
    assert_eq!(story.states()[1..], [JobState::Failed, JobState::Skipped]);
    assert_eq!(gives_back(&due_after(&story.run, &events)), [key("a"), key("b")]);
}

#[test]
fn a_run_of_two_hundred_services_asks_for_little_after_each_event() {
    let names: Vec<String> = (0..200).map(|n| format!("s{n:03}")).collect();
    let services: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), [].as_slice())).collect();
    let mut story = Story::planned(spec(), &services);
    assert_eq!(story.due.len(), 201, "once: each lock, and what was seen of the source");
    let mut most = 0;
    for (no, name) in (1..).zip(&names) {
        story.grant(name).expect("waits");
        most = most.max(story.due.len());
        story.begin(no);
        story.go(no);
        most = most.max(story.due.len());
        if no < 200 {
            story.report(no, synced(name)).expect("is heard");
            most = most.max(story.due.len());
        }
    }
    assert_eq!(most, 2, "a note and a lock");
    // A failure of what all need closes all of them, and names each lock once.
    let mut story = Story::planned(releasing(), &services);
    story.begin(1);
    let events = decide(
        &mut story.run,
        &Input::Report { job: JobNo(1), attempt: AttemptNo(1), worker: worker(), what: ReportWhat::Ended(failed()) },
        at(1),
        &Policy::default(),
    )
    .expect("is heard");
    assert_eq!(gives_back(&due_after(&story.run, &events)).len(), 200);
}
