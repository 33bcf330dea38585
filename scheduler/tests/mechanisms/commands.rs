//! Commands that are delivered twice, late, or before their run.

use crate::ground::{CALM, Ground, PLAN, attempt, eventually, probe};
use domain::run::{Event, Input};
use proto::{
    AttemptNo, JobNo,
    message::{CommandAnswer, CommandVerb, InboxMessage},
    view::RunStatus,
};

const CANCEL: CommandVerb = CommandVerb::Cancel { force: false };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_had_its_effect_is_answered_yes_again_when_the_run_has_ended_meanwhile() {
    let ground = Ground::new().await;
    let trigger = probe();
    // A scheduler stored the decision and died before it acknowledged the command.
    let (mut run, seq) = ground.wrote(&trigger, &[]).await;
    ground.wrote_for((&mut run, seq), &Input::Cancel { by: "ada".to_owned(), force: false }, "the command").await;
    let _scheduler = ground.scheduler(CALM);
    assert_eq!(ground.command_as(trigger.run, CANCEL, "the command").await, Some(CommandAnswer::Done));
    // Another one is another one.
    let other = ground.command_as(trigger.run, CANCEL, "another command").await;
    assert!(
        matches!(&other, Some(CommandAnswer::Refused { code, status, .. }) if code == "wrong_state" && status == "cancelled"),
        "{other:?}"
    );
    let asked = ground.log(trigger.run).await.iter().filter(|event| matches!(event, Event::CancelRequested { .. })).count();
    assert_eq!(asked, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_knows_itself_again_after_its_scheduler_was_killed() {
    let ground = Ground::new().await;
    let mut first = ground.scheduler(CALM);
    let trigger = probe();
    ground.submit(&trigger).await;
    ground.began(attempt(trigger.run, PLAN, 1), "w1").await;
    assert_eq!(ground.command_as(trigger.run, CANCEL, "the command").await, Some(CommandAnswer::Done));
    first.kill();
    let stored = ground.bus.run_log().load(trigger.run).await.unwrap();
    let entries: Vec<domain::run::Entry> = stored.iter().map(|(_, bytes)| proto::codec::decode(bytes).unwrap()).collect();
    assert_eq!(entries.iter().filter_map(|entry| entry.cause.as_deref()).collect::<Vec<_>>(), ["the command"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_comes_before_its_trigger_waits_for_it() {
    let ground = Ground::new().await;
    let trigger = probe();
    let asked = ground.command(trigger.run, CANCEL);
    let accepted = async {
        // The command is stored first, as if the trigger had been given back and were on its way for the second time.
        eventually("the stored command", || async { ground.is_stored(trigger.run).await.then_some(()) }).await;
        ground.submit(&trigger).await;
        ground.scheduler(CALM)
    };
    let (answer, _scheduler) = tokio::join!(asked, accepted);
    assert_eq!(answer, Some(CommandAnswer::Done), "never `not_found`: the run was accepted");
    ground.until_status(trigger.run, RunStatus::Cancelled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_on_the_subject_of_reports_is_not_believed() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(CALM);
    let trigger = probe();
    let id = attempt(trigger.run, PLAN, 1);
    ground.submit(&trigger).await;
    ground.began(id, "w1").await;
    let command = proto::message::Command {
        run: trigger.run,
        by: "admin".to_owned(),
        at: jiff::Timestamp::now(),
        verb: CommandVerb::Cancel { force: true },
        reply_to: None,
    };
    let bytes = proto::codec::encode(&InboxMessage::Command(command)).unwrap();
    let subject = proto::subject::inbox_report(trigger.run, &proto::Seat::of_tokens("default", "w1").unwrap());
    ground.raw().await.publish(subject, bytes.into()).await.unwrap().await.unwrap();
    ground.ended(id, "w1", proto::message::JobResult::Nothing).await;
    ground.until_status(trigger.run, RunStatus::Success).await;
    assert!(!ground.log(trigger.run).await.iter().any(|event| matches!(event, Event::CancelRequested { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_twice_late_and_of_others_change_nothing() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(CALM);
    let trigger = probe();
    let id = attempt(trigger.run, PLAN, 1);
    ground.submit(&trigger).await;
    // Before its permit, of an attempt that never was, of a job that never was.
    ground.ended(id, "w1", proto::message::JobResult::Nothing).await;
    ground.ended(attempt(trigger.run, PLAN, 7), "w1", proto::message::JobResult::Nothing).await;
    ground.ended(attempt(trigger.run, JobNo(9), 1), "w1", proto::message::JobResult::Nothing).await;
    ground.began(id, "w1").await;
    ground.ended(id, "w2", proto::message::JobResult::Nothing).await;
    for _ in 0..3 {
        ground.ended(id, "w1", proto::message::JobResult::Nothing).await;
    }
    ground.until_status(trigger.run, RunStatus::Success).await;
    ground.probe_done().await;
    let ends: Vec<_> = ground.log(trigger.run).await;
    crate::ground::once(&ends);
    let ended = |event: &&Event| matches!(event, Event::AttemptEnded { attempt: AttemptNo(1), .. });
    assert_eq!(ends.iter().filter(ended).count(), 1, "{ends:?}");
}
