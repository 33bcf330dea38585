//! Workers that speak for others, and a scheduler that lacks a permission.

use crate::ground::{CALM, Ground, PLAN, attempt, eventually, name, probe};
use bus::Role;
use proto::{
    PoolName, Seat,
    message::{Ask, AskAnswer, AskWhat, InboxMessage, JobResult, Report, ReportWhat},
    subject,
    view::RunStatus,
};
use service::shutdown::Reason;

fn of_gpu(worker: &str) -> Seat {
    Seat { pool: "gpu".parse().unwrap(), worker: name(worker) }
}

fn ended(id: proto::ids::AttemptId, seat: Seat) -> InboxMessage {
    let Seat { pool, worker } = seat;
    let what = ReportWhat::Ended(proto::message::AttemptOutcome::Succeeded { result: JobResult::Nothing });
    InboxMessage::Report(Box::new(Report { id, pool, worker, at: jiff::Timestamp::now(), what }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_of_another_pool_can_neither_begin_nor_report() {
    let ground = Ground::new().await;
    let scheduler = ground.scheduler(CALM);
    let trigger = probe();
    let id = attempt(trigger.run, PLAN, 1);
    ground.submit(&trigger).await;
    ground.until(trigger.run, "a queued job", |view| view.jobs[0].status == "queued").await;
    let Seat { pool, worker } = of_gpu("w1");
    let what = AskWhat::Begin { public_key: bus::KeyPair::generate().public_hex() };
    let ask = Ask { id, pool, worker, nonce: "n".to_owned(), what };
    let answer = eventually("an answer", || async { ground.ask_as(&ask).await }).await;
    assert!(matches!(&answer, AskAnswer::Refused { reason } if reason.contains("another pool")), "{answer:?}");
    assert!(scheduler.counts("navvy_strangers_total{claim=\"question\"}") >= 1.0);

    // It has not been permitted, so its own worker begins; the name alone does not make a report that worker's.
    ground.began(id, "w1").await;
    ground.bus.inbox().publish(id.run, &ended(id, of_gpu("w1")), "forged", None).await.unwrap();
    eventually("the forgery to be counted", || async {
        (scheduler.counts("navvy_strangers_total{claim=\"report\"}") >= 1.0).then_some(())
    })
    .await;
    ground.probe_done().await;
    assert_eq!(ground.bus.views().get(id.run).await.unwrap().unwrap().status, RunStatus::Running);
    ground.ended(id, "w1", JobResult::Nothing).await;
    ground.until_status(id.run, RunStatus::Success).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_names_another_than_its_subject_is_not_believed() {
    let ground = Ground::new().await;
    let scheduler = ground.scheduler(CALM);
    let trigger = probe();
    let id = attempt(trigger.run, PLAN, 1);
    ground.submit(&trigger).await;
    ground.began(id, "w1").await;
    // NATS permits w2 its own subject, and knows nothing of what the message says.
    let w2 = Seat { pool: PoolName::default(), worker: name("w2") };
    let w1 = Seat { worker: name("w1"), ..w2.clone() };
    let forged = serde_json::to_vec(&ended(id, w1)).unwrap();
    let raw = ground.raw().await;
    raw.publish(subject::inbox_report(id.run, &w2), forged.into()).await.unwrap().await.unwrap();
    eventually("the forgery to be counted", || async {
        (scheduler.counts("navvy_strangers_total{claim=\"report\"}") >= 1.0).then_some(())
    })
    .await;
    ground.ended(id, "w1", JobResult::Nothing).await;
    ground.until_status(id.run, RunStatus::Success).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_that_lacks_a_permission_ends_and_says_which() {
    let ground = Ground::new().await;
    ground.forbid("scheduler", "$KV.VIEWS.run.*").await;
    let scheduler = ground.scheduler_as(CALM, Role::Scheduler);
    let trigger = probe();
    ground.submit(&trigger).await;
    let reason = tokio::time::timeout(crate::ground::GENEROUS, scheduler.shutdown.draining()).await.unwrap();
    let Reason::Failed(text) = reason else { panic!("{reason:?}") };
    for part in ["configuration fault", "`$KV.VIEWS.run.", "user `scheduler`", "navvy admin users"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    // What it decided stands, for one that may do all of its work.
    drop(scheduler);
    let _whole = ground.scheduler(CALM);
    ground.until(trigger.run, "the run's view", |_| true).await;
}
