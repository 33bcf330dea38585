//! Runs of syncs: a lock for each service, given back in the middle of a run; the newest wins; states kept before locks go on.

use crate::ground::{
    CALM, Ground, attempt, eventually, name, once,
    syncs::{SELECT, selected, service, synced, syncs},
};
use domain::{
    lock,
    run::{Entry, Input, Run, fold},
};
use proto::{
    JobNo, RunId, codec,
    lock::{LockKey, LockRecord},
    message::{AskAnswer, AttemptOutcome, ReportWhat, RunSpec, Trigger},
    sync::ServiceState,
    view::RunStatus,
};

fn key(service_name: &str) -> LockKey {
    LockKey::service(&"staging".parse().unwrap(), &service(service_name))
}

impl Ground {
    /// Submits a run of syncs and tells what it is about.
    async fn looked(&self, trigger: &Trigger, generation: u64) {
        self.submit(trigger).await;
        let RunSpec::Sync(spec) = &trigger.spec else { panic!("no run of syncs") };
        self.began(attempt(trigger.run, SELECT, 1), "w1").await;
        self.ended(attempt(trigger.run, SELECT, 1), "w1", selected(spec, generation)).await;
        self.until(trigger.run, "the jobs of a selection", |view| view.jobs.len() > 1).await;
    }

    /// Begins a sync and gives it the word to start.
    async fn syncing(&self, run: RunId, no: u32) {
        let id = attempt(run, JobNo(no), 1);
        self.began(id, "w1").await;
        eventually("the word", || async { matches!(self.start_effects(id, "w1").await, Some(AskAnswer::Go)).then_some(()) }).await;
    }

    async fn has_synced(&self, run: RunId, no: u32, hash: &str) {
        self.ended(attempt(run, JobNo(no), 1), "w1", synced(hash)).await;
    }

    async fn until_sync(&self, run: RunId, no: usize, status: &str) {
        self.until(run, &format!("job {no} {status}"), |view| view.jobs.get(no).is_some_and(|job| job.status == status)).await;
    }

    async fn record(&self, service_name: &str) -> LockRecord {
        self.bus.locks().read(&[key(service_name)]).await.unwrap().remove(0).value
    }

    async fn state(&self, service_name: &str) -> Option<ServiceState> {
        self.bus.services().service(&"staging".parse().unwrap(), &service(service_name)).await.unwrap().value
    }

    async fn stored(&self, run: RunId) -> (Run, u64) {
        let stored = self.bus.run_log().load(run).await.unwrap();
        let entries: Vec<Entry> = stored.iter().map(|(_, bytes)| codec::decode(bytes).unwrap()).collect();
        (fold(&entries).unwrap(), stored.last().unwrap().0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_another_scheduler_gave_back_in_the_middle_of_a_run_is_no_lost_record() {
    let ground = Ground::new().await;
    let scheduler = ground.scheduler(CALM);
    let trigger = syncs(&["a", "b"]);
    let run = trigger.run;
    ground.looked(&trigger, 1).await;
    for no in [1, 2] {
        ground.syncing(run, no).await;
    }
    eventually("a sweep that sees both held", || async { (scheduler.counts("navvy_locks_held") >= 2.0).then_some(()) }).await;
    // What another scheduler does: it decides that a sync is over, and gives its lock back.
    let (mut state, seq) = ground.stored(run).await;
    let what = ReportWhat::Ended(AttemptOutcome::Succeeded { result: synced("v2:1") });
    let ended = Input::Report { job: JobNo(1), attempt: proto::AttemptNo(1), worker: name("w1"), what };
    ground.wrote_for((&mut state, seq), &ended, "elsewhere").await;
    let mut held = ground.bus.locks().read(&[key("a")]).await.unwrap();
    assert!(lock::release(std::slice::from_mut(&mut held[0].value), run));
    ground.bus.locks().write_all(&held).await.unwrap();
    // Until it has swept once more it has not read that log again.
    eventually("a sweep that sees one held", || async { (scheduler.counts("navvy_locks_held") <= 1.0).then_some(()) }).await;
    assert!(scheduler.counts("navvy_lock_records_lost") < 1.0);
    ground.has_synced(run, 2, "v2:1").await;
    ground.until_status(run, RunStatus::Success).await;
    let kept = || async { ground.state("a").await.filter(|state| state.run == run) };
    assert_eq!(eventually("what the other did not keep", kept).await.hash.as_deref(), Some("v2:1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_the_middle_is_left_to_the_newest_and_who_runs_is_not() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(CALM);
    let (first, second, third) = (syncs(&["a", "b"]), syncs(&["a"]), syncs(&["a"]));
    ground.looked(&first, 1).await;
    ground.syncing(first.run, 1).await;
    for (trigger, generation) in [(&second, 2), (&third, 3)] {
        ground.looked(trigger, generation).await;
    }
    let view = ground.until_status(second.run, RunStatus::Success).await;
    let sync = view.jobs[1].sync.clone().unwrap();
    assert_eq!((view.jobs[1].status.as_str(), sync.superseded_by), ("superseded", Some(third.run)));
    ground.has_synced(first.run, 1, "v2:1").await;
    ground.syncing(third.run, 1).await;
    let state = ground.state("a").await.unwrap();
    assert_eq!((state.run, state.hash.as_deref()), (first.run, Some("v2:1")), "kept before the lock went on");
    assert_eq!(ground.record("b").await.holder.map(|holder| holder.run), Some(first.run), "which goes on meanwhile");
    ground.has_synced(third.run, 1, "v2:3").await;
    ground.until_status(third.run, RunStatus::Success).await;
    ground.syncing(first.run, 2).await;
    ground.has_synced(first.run, 2, "v2:1").await;
    ground.until_status(first.run, RunStatus::Success).await;
    let state = ground.state("a").await.unwrap();
    assert_eq!((state.run, state.told, state.failures), (third.run, vec![first.run, third.run], 0));
    for name in ["a", "b"] {
        eventually("a free lock", || async { ground.record(name).await.holder.is_none().then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn syncs_run_through_over_schedulers_that_are_killed_at_every_step() {
    let ground = Ground::new().await;
    let mut scheduler = ground.scheduler(CALM);
    let (trigger, next) = (syncs(&["a", "b", "c"]), syncs(&["c"]));
    let run = trigger.run;
    ground.looked(&trigger, 1).await;
    for no in [1, 2, 3] {
        scheduler.kill();
        scheduler = ground.scheduler(CALM);
        ground.syncing(run, no).await;
        if no == 3 {
            ground.looked(&next, 2).await;
        }
        scheduler.kill();
        scheduler = ground.scheduler(CALM);
        ground.has_synced(run, no, "v2:1").await;
        scheduler.kill();
        scheduler = ground.scheduler(CALM);
        ground.until_sync(run, no as usize, "succeeded").await;
    }
    ground.until_status(run, RunStatus::Success).await;
    ground.syncing(next.run, 1).await;
    for name in ["a", "b", "c"] {
        assert_eq!(ground.state(name).await.map(|state| state.run), Some(run), "{name}");
    }
    ground.has_synced(next.run, 1, "v2:2").await;
    ground.until_status(next.run, RunStatus::Success).await;
    once(&ground.log(run).await);
    drop(scheduler);
}
