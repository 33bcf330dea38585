//! One shard under faults: two schedulers at once, schedulers killed or standing still, messages that repeat or cannot be
//! read, stores that lost something. A real nats-server; the test plays gateway and workers (`ground`).
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    missing_debug_implementations,
    reason = "a test's helpers may give up, and are nobody's interface"
)]

mod ground;
mod mechanisms;
#[path = "faults/strangers.rs"]
mod strangers;

use bus::Layout;
use domain::run::{Event, Input};
use ground::{
    APPLY, CALM, GENEROUS, Ground, PLAN, SHARD, Wish, attempt, eventually, lock_of, name, once, plan, probe, seat, terraform, twenty_runs,
};
use proto::{
    JobNo, PoolName, RunId,
    message::{AskAnswer, AttemptOutcome, CommandAnswer, CommandVerb, InboxMessage, JobResult, ReportWhat, Trigger},
    subject,
    terraform::ApplyResult,
    view::RunStatus,
};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

fn applied() -> JobResult {
    JobResult::Apply(ApplyResult::default())
}

fn stopped() -> ReportWhat {
    ReportWhat::Ended(AttemptOutcome::Stopped { clean: true, timed_out: false })
}

fn cancel() -> Input {
    Input::Cancel { by: "ada".to_owned(), force: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_schedulers_at_once_permit_and_end_everything_once() {
    let ground = Ground::new().await;
    let _both = [ground.scheduler(CALM), ground.scheduler(CALM)];
    let runs = twenty_runs();
    let work = async { tokio::join!(ground.labour("w1"), ground.labour("w2"), ground.labour("w3")) };
    let story = async {
        for trigger in &runs {
            ground.submit(trigger).await;
        }
        for trigger in &runs {
            ground.until_status(trigger.run, RunStatus::Success).await;
        }
    };
    tokio::select! { _ = work => {}, () = story => {} }
    for trigger in &runs {
        once(&ground.log(trigger.run).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedulers_that_are_killed_again_and_again_lose_nothing() {
    let ground = Ground::new().await;
    let runs = twenty_runs();
    let work = async { tokio::join!(ground.labour("w1"), ground.labour("w2")) };
    let story = async {
        for trigger in &runs {
            ground.submit(trigger).await;
        }
        // Each life is a little longer than the one before, so that it ends at another line.
        for life in 0..12_u64 {
            let mut scheduler = ground.scheduler(CALM);
            sleep(Duration::from_millis(60 + 35 * life)).await;
            scheduler.kill();
        }
        let _last = ground.scheduler(CALM);
        // What was in a dead scheduler's hands comes again after its time to be acknowledged (30 s).
        let deadline = Instant::now() + Duration::from_secs(90);
        for trigger in &runs {
            while ground.bus.views().get(trigger.run).await.unwrap().is_none_or(|view| view.status != RunStatus::Success) {
                assert!(Instant::now() < deadline, "{:?}", ground.log(trigger.run).await);
                sleep(Duration::from_millis(100)).await;
            }
        }
    };
    tokio::select! { _ = work => {}, () = story => {} }
    for trigger in &runs {
        once(&ground.log(trigger.run).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_and_not_done_is_done_by_the_next_scheduler() {
    let ground = Ground::new().await;
    let (waits, queued) = (terraform("a"), terraform("b"));
    ground.wrote(&waits, &[]).await;
    ground.wrote(&queued, &[Input::LocksGranted { keys: Vec::new() }]).await;
    ground.hold(&queued, queued.run, &[]).await;
    let _scheduler = ground.scheduler(CALM);
    for trigger in [&waits, &queued] {
        ground.began(attempt(trigger.run, PLAN, 1), "w1").await;
        assert_eq!(lock_of(&ground, trigger).await.value.holder.map(|holder| holder.run), Some(trigger.run));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_whose_hand_over_was_cut_short_goes_on_to_the_next() {
    let ground = Ground::new().await;
    let (over, next, last) = (terraform("a"), terraform("a"), terraform("a"));
    ground.wrote(&over, &[Input::LocksGranted { keys: Vec::new() }, cancel()]).await;
    ground.wrote(&next, &[]).await;
    ground.wrote(&last, &[]).await;
    ground.hold(&over, over.run, &[&next, &last]).await;
    let mut scheduler = ground.scheduler(CALM);
    ground.began(attempt(next.run, PLAN, 1), "w1").await;
    assert_eq!(lock_of(&ground, &next).await.value.holder.map(|holder| holder.run), Some(next.run));
    scheduler.kill();
    // And cut short one step later: the record names the next holder, whose log does not know yet.
    let (over, next) = (terraform("b"), terraform("b"));
    ground.wrote(&over, &[Input::LocksGranted { keys: Vec::new() }, cancel()]).await;
    ground.wrote(&next, &[]).await;
    ground.hold(&over, next.run, &[]).await;
    let _again = ground.scheduler(CALM);
    ground.began(attempt(next.run, PLAN, 1), "w1").await;
    assert_eq!(lock_of(&ground, &next).await.value.holder.map(|holder| holder.run), Some(next.run));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_result_settles_an_unknown_outcome_and_frees_its_lock() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(Wish { lease: 3, sweep: 1 });
    let trigger = terraform("a");
    let (plans, applies) = (attempt(trigger.run, PLAN, 1), attempt(trigger.run, APPLY, 1));
    ground.submit(&trigger).await;
    ground.began(plans, "w1").await;
    ground.ended(plans, "w1", plan()).await;
    ground.began(applies, "w1").await;
    assert_eq!(ground.start_effects(applies, "w1").await, Some(AskAnswer::Go));
    assert_eq!(ground.start_effects(applies, "w1").await, Some(AskAnswer::Go), "asked again: the answer was lost");
    ground.until_status(trigger.run, RunStatus::Unknown).await;
    assert_eq!(lock_of(&ground, &trigger).await.value.holder.map(|holder| holder.run), Some(trigger.run));
    ground.ended(applies, "stranger", applied()).await;
    ground.ended(applies, "w1", applied()).await;
    ground.until_status(trigger.run, RunStatus::Success).await;
    eventually("a free lock", || async { lock_of(&ground, &trigger).await.value.holder.is_none().then_some(()) }).await;
    once(&ground.log(trigger.run).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn begin_asked_twice_is_one_permit_and_only_for_who_asked_first() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(CALM);
    let trigger = probe();
    let id = attempt(trigger.run, PLAN, 1);
    ground.submit(&trigger).await;
    ground.began(id, "w1").await;
    assert!(matches!(ground.begin(id, "w1", "w1").await, Some(AskAnswer::Permit(_))), "its answer may have been lost");
    assert!(matches!(ground.begin(id, "w1", "another life").await, Some(AskAnswer::Refused { .. })));
    assert!(matches!(ground.begin(id, "w2", "w1").await, Some(AskAnswer::Refused { .. })));
    assert_eq!(ground.log(trigger.run).await.iter().filter(|event| matches!(event, Event::Permitted { .. })).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_said_until_the_attempt_has_ended_also_by_the_next_scheduler() {
    let ground = Ground::new().await;
    let mut first = ground.scheduler(CALM);
    let trigger = probe();
    let id = attempt(trigger.run, PLAN, 1);
    ground.submit(&trigger).await;
    ground.began(id, "w1").await;
    let mut signals = ground.bus.control().signals(&seat("w1")).await.unwrap();
    assert_eq!(ground.command(trigger.run, CommandVerb::Cancel { force: false }).await, Some(CommandAnswer::Done));
    for _ in 0..3 {
        let signal = timeout(GENEROUS, signals.next()).await.expect("said again").unwrap();
        assert_eq!(signal.id, id);
    }
    first.kill();
    let mut signals = ground.bus.control().signals(&seat("w1")).await.unwrap();
    let _second = ground.scheduler(CALM);
    assert_eq!(timeout(GENEROUS, signals.next()).await.expect("said by the next").unwrap().id, id);
    ground.report(id, "w1", stopped()).await;
    ground.until_status(trigger.run, RunStatus::Cancelled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_its_worker_lists_lives_and_one_that_it_does_not_is_tried_again() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(Wish { lease: 4, sweep: 1 });
    let (listed, forgotten) = (probe(), probe());
    let (keeps, loses) = (attempt(listed.run, PLAN, 1), attempt(forgotten.run, PLAN, 1));
    for (trigger, id) in [(&listed, keeps), (&forgotten, loses)] {
        ground.submit(trigger).await;
        ground.began(id, "w1").await;
    }
    let beats = async {
        loop {
            ground.beat("w1", vec![keeps]).await;
            sleep(Duration::from_millis(500)).await;
        }
    };
    let story = ground.until(forgotten.run, "a second attempt", |view| view.jobs[0].attempts.len() == 2);
    tokio::select! { () = beats => {}, _ = story => {} }
    ground.ended(keeps, "w1", JobResult::Nothing).await;
    let view = ground.until_status(listed.run, RunStatus::Success).await;
    assert_eq!(view.jobs[0].attempts.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_that_stood_still_takes_nobody_for_lost() {
    let ground = Ground::new().await;
    let scheduler = ground.scheduler(Wish { lease: 5, sweep: 1 });
    let triggers: Vec<Trigger> = (0..8).map(|_| probe()).collect();
    let ids: Vec<_> = triggers.iter().map(|trigger| attempt(trigger.run, PLAN, 1)).collect();
    let beats = async {
        loop {
            for (n, id) in ids.iter().enumerate() {
                ground.beat(&format!("w{n}"), vec![*id]).await;
            }
            sleep(Duration::from_millis(500)).await;
        }
    };
    let story = async {
        for (n, trigger) in triggers.iter().enumerate() {
            ground.submit(trigger).await;
            ground.began(ids[n], &format!("w{n}")).await;
        }
        scheduler.stand_still(Duration::from_secs(8));
        let after = probe();
        ground.submit(&after).await;
        ground.until(after.run, "a scheduler that goes on", |_| true).await;
        sleep(Duration::from_secs(2)).await;
    };
    tokio::select! { () = beats => {}, () = story => {} }
    for trigger in &triggers {
        let view = ground.bus.views().get(trigger.run).await.unwrap().unwrap();
        assert_eq!(view.jobs[0].attempts.len(), 1, "its worker never was silent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_log_cannot_be_read_does_not_keep_a_scheduler_from_starting() {
    let ground = Ground::new().await;
    ground.bus.run_log().commit(RunId::fresh(SHARD), 0, b"of another version".to_vec(), true).await.unwrap();
    let scheduler = ground.scheduler(CALM);
    let trigger = probe();
    ground.submit(&trigger).await;
    ground.began(attempt(trigger.run, PLAN, 1), "w1").await;
    assert_eq!(scheduler.shutdown.reason(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_log_cannot_be_read_does_not_keep_the_sweep_from_the_others() {
    let ground = Ground::new().await;
    // Sorts before every other run.
    let broken = Trigger { run: "00000000-0000-7000-8000-000000000000".parse().unwrap(), ..terraform("broken") };
    let _scheduler = ground.scheduler(CALM);
    ground.submit(&broken).await;
    ground.began(attempt(broken.run, PLAN, 1), "w1").await;
    let last = ground.bus.run_log().load(broken.run).await.unwrap().last().unwrap().0;
    ground.bus.run_log().commit(broken.run, last, b"of another version".to_vec(), true).await.unwrap();
    // The lock of a run that is over, which only the sweep can find.
    let over = terraform("over");
    ground.wrote(&over, &[Input::LocksGranted { keys: Vec::new() }, cancel()]).await;
    ground.hold(&over, over.run, &[]).await;
    eventually("a free lock", || async { lock_of(&ground, &over).await.value.holder.is_none().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_nobody_serves_does_not_cut_the_sweep_short() {
    let ground = Ground::new().await;
    let scheduler = ground.scheduler(CALM);
    let trigger = Trigger { pool: "a-typo".parse().unwrap(), ..probe() };
    ground.submit(&trigger).await;
    ground.until(trigger.run, "a run that waits for a worker", |view| view.waiting_for.is_some()).await;
    let other = probe();
    ground.submit(&other).await;
    ground.until(other.run, "another run", |_| true).await;
    let depth_is_known = || scheduler.metrics.render().lines().any(|line| line.contains("default") && line.ends_with(" 1"));
    eventually("the depth of the pool that is there", || async { depth_is_known().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_thrown_away_is_told_again() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(CALM);
    let trigger = probe();
    ground.submit(&trigger).await;
    let mut orders = ground.bus.work().pull(&PoolName::default()).await.unwrap();
    let order = orders.next(GENEROUS).await.unwrap().expect("an order");
    order.double_ack().await.unwrap();
    let again = orders.next(GENEROUS).await.unwrap();
    assert_eq!(again.map(|order| order.order.id), Some(attempt(trigger.run, PLAN, 1)), "nobody has begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_lock_nobody_may_start_side_effects() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(CALM);
    let trigger = terraform("a");
    let (plans, applies) = (attempt(trigger.run, PLAN, 1), attempt(trigger.run, APPLY, 1));
    ground.submit(&trigger).await;
    ground.began(plans, "w1").await;
    ground.ended(plans, "w1", plan()).await;
    ground.began(applies, "w1").await;
    // The bucket was lost or restored from an older copy, and somebody else took what looked free.
    ground.hold(&trigger, RunId::fresh(SHARD), &[]).await;
    assert_ne!(ground.start_effects(applies, "w1").await, Some(AskAnswer::Go), "the record says that another run holds the lock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_handled_neither_blocks_the_others_nor_spins() {
    let ground = Ground::new().await;
    let unreadable = subject::inbox(RunId::fresh(SHARD));
    ground.raw().await.publish(unreadable, "not a message".into()).await.unwrap().await.unwrap();
    let scheduler = ground.scheduler(CALM);
    ground.probe_done().await;
    // Every message for a run with a damaged log fails.
    let broken = RunId::fresh(SHARD);
    ground.bus.run_log().commit(broken, 0, b"of another version".to_vec(), false).await.unwrap();
    ground.report(attempt(broken, PLAN, 1), "w1", ReportWhat::Phase { phase: "x".to_owned() }).await;
    // Enough runs that every lane has some.
    let runs: Vec<Trigger> = (0..200).map(|_| probe()).collect();
    for trigger in &runs {
        ground.submit(trigger).await;
    }
    for trigger in &runs {
        ground.until(trigger.run, "a run beside the broken one", |_| true).await;
    }
    sleep(Duration::from_secs(6)).await;
    let times = scheduler.redelivered();
    assert!((1.0..40.0).contains(&times), "{times}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_for_another_run_than_its_subject_says_is_not_accepted() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(CALM);
    let (said, meant) = (RunId::fresh(SHARD), terraform("a"));
    ground.bus.inbox().publish(said, &InboxMessage::Trigger(Box::new(meant.clone())), "mixed", None).await.unwrap();
    ground.probe_done().await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ground.log(said).await, [], "a log that tells of another run");
    assert_eq!(lock_of(&ground, &meant).await.value.holder, None, "a lock for a run that is not in the store is never given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ended_while_views_could_not_be_written_is_shown_later() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(CALM);
    let trigger = probe();
    let id = attempt(trigger.run, PLAN, 1);
    ground.submit(&trigger).await;
    ground.began(id, "w1").await;
    ground.until(trigger.run, "a running job", |view| view.jobs[0].status == "running").await;
    ground.raw().await.delete_stream("KV_VIEWS").await.unwrap();
    ground.ended(id, "w1", JobResult::Nothing).await;
    let is_over = |events: Vec<Event>| events.iter().any(|event| matches!(event, Event::RunEnded { .. }));
    eventually("the end in the log", || async { is_over(ground.log(trigger.run).await).then_some(()) }).await;
    // Long enough that the view was tried.
    sleep(Duration::from_secs(7)).await;
    ground.bus.migrate(&Layout::default()).await.unwrap();
    ground.until_status(trigger.run, RunStatus::Success).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_scheduler_permitted_is_watched_by_the_one_beside_it() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(Wish { lease: 3, sweep: 1 });
    ground.probe_done().await;
    let trigger = probe();
    let begin = Input::Begin { job: JobNo(0), attempt: proto::AttemptNo(1), worker: name("w1"), nonce: "n".to_owned() };
    let (run, seq) = ground.wrote(&trigger, &[begin]).await;
    ground.bus.views().put(&domain::run::view(&run, seq)).await.unwrap();
    ground.until(trigger.run, "a second attempt", |view| view.jobs[0].attempts.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_scheduler_permitted_and_did_not_show_is_watched_too() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(Wish { lease: 3, sweep: 1 });
    ground.probe_done().await;
    let trigger = probe();
    let begin = Input::Begin { job: JobNo(0), attempt: proto::AttemptNo(1), worker: name("w1"), nonce: "n".to_owned() };
    ground.wrote(&trigger, &[begin]).await;
    ground.until(trigger.run, "a second attempt", |view| view.jobs[0].attempts.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_taken_for_lost_because_nats_was_away() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(Wish { lease: 5, sweep: 1 });
    let triggers: Vec<Trigger> = (0..8).map(|_| probe()).collect();
    let ids: Vec<_> = triggers.iter().map(|trigger| attempt(trigger.run, PLAN, 1)).collect();
    let beats = async {
        loop {
            for (n, id) in ids.iter().enumerate() {
                ground.beat(&format!("w{n}"), vec![*id]).await;
            }
            sleep(Duration::from_millis(500)).await;
        }
    };
    let story = async {
        for (n, trigger) in triggers.iter().enumerate() {
            ground.submit(trigger).await;
            ground.began(ids[n], &format!("w{n}")).await;
        }
        ground.nats_away(Duration::from_secs(9)).await;
        ground.probe_done().await;
        sleep(Duration::from_secs(2)).await;
    };
    tokio::select! { () = beats => {}, () = story => {} }
    for trigger in &triggers {
        let view = ground.bus.views().get(trigger.run).await.unwrap().unwrap();
        assert_eq!(view.jobs[0].attempts.len(), 1, "nobody could have heard its worker");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_want_one_lock_do_not_fight_for_its_record() {
    let ground = Ground::new().await;
    let scheduler = ground.scheduler(CALM);
    let runs: Vec<Trigger> = (0..120).map(|_| terraform("a")).collect();
    for trigger in &runs {
        ground.submit(trigger).await;
    }
    eventually("everybody in line", || async { (lock_of(&ground, &runs[0]).await.value.queue.len() == runs.len() - 1).then_some(()) })
        .await;
    let again = scheduler.redelivered();
    assert!(again < 1.0, "{again} turns gave up for lost races with turns of the same process");
}
