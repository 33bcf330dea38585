//! Any inputs in any order, told to a run of syncs: what must hold after every step; and that what is done after a decision is
//! all that there is to be done.

use super::syncs_tests::{Story, failed, gives_back, releasing, selection, spec, synced, wants};
use super::*;
use proptest::prelude::*;
use proto::{
    AttemptNo, JobNo, WorkerId,
    lock::LockKey,
    message::{AttemptOutcome, Evidence, Failure, JobResult, ReportWhat},
    sync::{PAUSED, Release, ReleaseKind, ServiceId, SyncSpec},
};
use std::collections::BTreeSet;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn worker(name: &str) -> WorkerId {
    name.parse().expect("a name")
}

/// What may happen, with the attempt it is about: 0 is the current one, else an older one.
#[derive(Debug, Clone)]
enum Happens {
    Granted(usize),
    Full(usize),
    Newer {
        services: BTreeSet<usize>,
        generation: u64,
        later: bool,
        force: bool,
    },
    Begin(u32, bool),
    Go(u32, bool),
    Ends(u32, usize),
    /// Minutes pass.
    Waits(i64),
    Lost(u32),
    Cancel(bool),
    Resolve(Option<u32>, bool),
}

fn happens() -> impl Strategy<Value = Happens> {
    let job = || 0..6_u32;
    prop_oneof![
        6 => (0..4_usize).prop_map(Happens::Granted),
        1 => (0..4_usize).prop_map(Happens::Full),
        2 => (prop::collection::btree_set(0..4_usize, 1..5), 4..7_u64, any::<bool>(), any::<bool>())
            .prop_map(|(services, generation, later, force)| Happens::Newer { services, generation, later, force }),
        6 => (job(), prop::bool::weighted(0.9)).prop_map(|(job, ours)| Happens::Begin(job, ours)),
        6 => (job(), prop::bool::weighted(0.9)).prop_map(|(job, ours)| Happens::Go(job, ours)),
        8 => (job(), 0..8_usize).prop_map(|(job, how)| Happens::Ends(job, how)),
        2 => (1..10_i64).prop_map(Happens::Waits),
        2 => job().prop_map(Happens::Lost),
        1 => any::<bool>().prop_map(Happens::Cancel),
        2 => (prop::option::of(job()), any::<bool>()).prop_map(|(job, succeeded)| Happens::Resolve(job, succeeded)),
    ]
}

fn outcome(story: &Story, job: u32, how: usize, edges: &[(&str, &[&str])]) -> AttemptOutcome {
    let kind = story.run.job(JobNo(job)).map(|job| job.kind);
    match how {
        0 => failed(),
        1 => AttemptOutcome::Stopped { clean: true, timed_out: false },
        2 => AttemptOutcome::Stopped { clean: false, timed_out: true },
        3 => AttemptOutcome::Unclear { evidence: Evidence::default() },
        5 => AttemptOutcome::Failed { failure: Failure { kind: PAUSED.to_owned(), ..super::syncs_tests::failure() } },
        4 => AttemptOutcome::NotStarted { reason: "not now".to_owned() },
        _ if kind == Some(JobKind::Select) => AttemptOutcome::Succeeded { result: JobResult::Selection(Box::new(selection(edges, 5))) },
        _ if kind == Some(JobKind::Release) => AttemptOutcome::Succeeded {
            result: JobResult::Release(Release {
                kind: ReleaseKind::Staging,
                tag: "v1.2.4".to_owned(),
                commit: super::syncs_tests::commit(),
                from: None,
                existed: false,
                why: String::new(),
            }),
        },
        _ => synced("v2:1"),
    }
}

fn input(story: &Story, what: &Happens, edges: &[(&str, &[&str])]) -> Input {
    let key = |at: usize| super::syncs_tests::key(NAMES[at]);
    let attempt = |job: u32| story.run.job(JobNo(job)).and_then(Job::current).map_or(AttemptNo::FIRST, |attempt| attempt.no);
    let who = |ours: bool| worker(if ours { "w1" } else { "w2" });
    match what {
        Happens::Granted(at) => Input::LocksGranted { keys: vec![key(*at)] },
        Happens::Full(at) => Input::LockLineFull { keys: vec![key(*at)] },
        Happens::Newer { services, generation, later, force } => {
            let own = Newer::of(&Story::named("two", spec(), selection(edges, 5)).run).expect("planned");
            Input::Newer(Newer {
                accepted_at: super::syncs_tests::at(if *later { 10 } else { -10 }),
                services: services.iter().map(|at| super::syncs_tests::service(NAMES[*at])).collect(),
                generation: *generation,
                force: *force,
                ..own
            })
        }
        Happens::Begin(job, ours) => Input::Begin { job: JobNo(*job), attempt: attempt(*job), worker: who(*ours), nonce: "n".to_owned() },
        Happens::Go(job, ours) => {
            Input::StartEffects { job: JobNo(*job), attempt: attempt(*job), worker: who(*ours), nonce: "n".to_owned(), serial_before: None }
        }
        Happens::Ends(job, how) => Input::Report {
            job: JobNo(*job),
            attempt: attempt(*job),
            worker: worker("w1"),
            what: ReportWhat::Ended(outcome(story, *job, *how, edges)),
        },
        Happens::Waits(_) => Input::Tick,
        Happens::Lost(job) => Input::WorkerLost { job: JobNo(*job), attempt: attempt(*job), seen: "silent".to_owned() },
        Happens::Cancel(force) => Input::Cancel { by: "bob".to_owned(), force: *force },
        Happens::Resolve(job, succeeded) => {
            Input::Resolve { by: "bob".to_owned(), job: job.map(JobNo), succeeded: *succeeded, reason: "looked".to_owned() }
        }
    }
}

/// Whoever does what decisions ask for, and nothing else.
#[derive(Default)]
struct World {
    /// In line for, or holding.
    asked: BTreeSet<LockKey>,
    returned: BTreeSet<LockKey>,
    kept: BTreeSet<Option<ServiceId>>,
    published: BTreeSet<(JobNo, AttemptNo)>,
}

impl World {
    fn perform(&mut self, due: &[Effect]) {
        self.asked.extend(wants(due));
        self.returned.extend(gives_back(due));
        for effect in due {
            match effect {
                Effect::Note(note) => drop(self.kept.insert(note.service())),
                Effect::PublishOrder(order) => drop(self.published.insert((order.id.job, order.id.attempt))),
                Effect::WantLocks(_) | Effect::ReleaseLocks(_) | Effect::Stop { .. } | Effect::DeleteSecrets { .. } => {}
            }
        }
    }

    /// What there is to be done and was not, by name.
    fn left(&self, due: &[Effect]) -> Vec<String> {
        let undone = |effect: &&Effect| match effect {
            Effect::WantLocks(keys) => !keys.iter().all(|key| self.asked.contains(key)),
            Effect::ReleaseLocks(keys) => !keys.iter().all(|key| self.returned.contains(key)),
            Effect::Note(note) => !self.kept.contains(&note.service()),
            Effect::PublishOrder(order) => !self.published.contains(&(order.id.job, order.id.attempt)),
            // Repeated until the attempt has ended.
            Effect::Stop { .. } => false,
            Effect::DeleteSecrets { .. } => true,
        };
        due.iter().filter(undone).map(|effect| format!("{effect:?}")).collect()
    }
}

fn began(job: &Job) -> bool {
    job.current().is_some_and(|attempt| attempt.effects_at.is_some())
}

/// What must hold after every step.
fn check(before: &Run, story: &Story, world: &World) {
    let run = &story.run;
    let held = run.locks_held();
    let mut services = BTreeSet::new();
    for (no, job) in run.jobs.iter().enumerate() {
        let Some(service) = &job.service else { continue };
        assert!(services.insert(&service.service), "{} is synced twice", service.service);
        // S1
        let at_work = matches!(job.state, JobState::Queued | JobState::Running | JobState::Unknown);
        assert!(!at_work || (service.locked && held.contains(&service.lock)), "{no} is {:?} without its lock", job.state);
        assert!(!at_work || !world.returned.contains(&service.lock), "{no} is {:?}, and its lock was given back", job.state);
        assert!(!job.state.is_over() || !held.contains(&service.lock), "{no} is over and holds its lock");
        assert!(!job.state.is_over() || world.returned.contains(&service.lock), "{no} is over, and its lock is not given back");
        assert_eq!(run.needs_lock(&service.lock), !run.is_over() && !job.state.is_over());
        // S2
        if let Some(was) = before.jobs.get(no).filter(|was| was.state != job.state) {
            assert!(!was.state.is_over(), "{no} was {:?} and is {:?}", was.state, job.state);
            let waited = matches!(was.state, JobState::Blocked | JobState::Queued);
            assert!(job.state != JobState::Superseded || waited, "{no} was {:?} and is left to another", was.state);
        }
        let fed_over = job.feeds.iter().all(|feed| run.jobs[feed.0 as usize].state.is_over());
        assert!(job.state != JobState::Superseded || fed_over, "{no} is left to another, and others wait for it");
        // S5
        let needs = || job.needs.iter().map(|need| run.jobs[need.0 as usize].state);
        let missed = needs().any(|state| state.is_over() && state != JobState::Succeeded);
        assert!(job.state != JobState::Blocked || !missed, "{no} waits for what did not succeed");
        assert!(job.attempts.is_empty() || needs().all(|state| state == JobState::Succeeded), "{no} went out too early");
        // What is put off has its lock, and was not put off too often.
        assert!(service.put_off <= 4 && (service.not_before.is_none() || service.locked), "{no} is put off {} times", service.put_off);
        // I4
        let begun = job.attempts.iter().filter(|attempt| attempt.effects_at.is_some()).count();
        assert!(begun <= 1, "{no} began twice");
    }
    // I11
    if before.cancel.is_some() {
        let attempts = |run: &Run| run.jobs.iter().map(|job| job.attempts.len()).sum::<usize>();
        let started = |run: &Run| run.jobs.iter().filter(|job| began(job)).count();
        assert_eq!((attempts(before), started(before)), (attempts(run), started(run)), "something started after a cancel");
    }
    // I10
    let moves = |job: &Job| matches!(job.state, JobState::Queued | JobState::Running | JobState::Unknown);
    let waits = run.jobs.iter().any(|job| job.service.as_ref().is_some_and(|service| run.wants_lock(&service.lock)));
    let put_off = run.jobs.iter().any(|job| job.state == JobState::Blocked && job.service.as_ref().is_some_and(|s| s.not_before.is_some()));
    assert!(run.is_over() || waits || put_off || run.jobs.iter().any(moves), "it is open and waits for nothing: {:?}", story.states());
    assert_eq!(run.is_over(), run.jobs.iter().all(|job| job.state.is_over()));
    assert_eq!(world.left(&outstanding(run)), Vec::<String>::new(), "due, and not asked for");
    let runs = run.jobs.iter().any(|job| job.state == JobState::Running);
    assert!(run.is_over() || runs || view(run, 1).waiting_for.is_some(), "it does not say what it waits for: {:?}", story.states());
}

fn graphs() -> impl Strategy<Value = Vec<(&'static str, Vec<&'static str>)>> {
    prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.35), 4), 1..5).prop_map(|rows| {
        let after = |at: usize, row: &[bool]| (0..at).filter(|other| row[*other]).map(|other| NAMES[other]).collect();
        rows.iter().enumerate().map(|(at, row)| (NAMES[at], after(at, row))).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_shrink_iters: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn no_storm_breaks_a_run_of_syncs_and_each_decision_asks_for_all_that_is_due(
        graph in graphs(),
        released in any::<bool>(),
        storm in prop::collection::vec(happens(), 0..120),
    ) {
        let edges: Vec<(&str, &[&str])> = graph.iter().map(|(name, after)| (*name, after.as_slice())).collect();
        let made: SyncSpec = if released { releasing() } else { spec() };
        let mut story = Story::of(&super::syncs_tests::trigger("one", made));
        let mut world = World::default();
        world.perform(&story.due);
        for what in &storm {
            story.now += if let Happens::Waits(minutes) = what { minutes * 60 } else { 20 };
            let before = story.run.clone();
            let input = input(&story, what, &edges);
            if story.feed(&input).is_ok() {
                world.perform(&story.due);
                let all = outstanding(&story.run);
                prop_assert!(story.due.iter().all(|effect| all.contains(effect)), "not due: {:?}, but {all:?}", story.due);
                check(&before, &story, &world);
            }
        }
    }
}
