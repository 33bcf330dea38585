//! What is accepted is stored once and delivered until it is settled.

use crate::support::words::{SHARD, run, trigger};
use crate::support::{GENEROUS, Ground, eventually, soon};
use bus::BusError;
use jiff::Timestamp;
use proto::ids::AttemptId;
use proto::message::{AttemptOutcome, Command, CommandAnswer, CommandVerb, InboxMessage, JobResult, Report, ReportWhat};
use proto::{AttemptNo, JobNo, PoolName, RunId, ShardNo};
use std::collections::HashSet;
use std::time::Duration;

fn reject(run: RunId) -> InboxMessage {
    InboxMessage::Command(Command { run, by: "t".into(), at: Timestamp::UNIX_EPOCH, verb: CommandVerb::Reject, reply_to: None })
}

#[tokio::test]
async fn a_message_arrives_with_its_trace_and_an_acknowledged_one_does_not_come_again() {
    let ground = Ground::new().await;
    let (inbox, first, second) = (ground.bus.inbox(), run(), run());
    let mut deliveries = inbox.consume(SHARD).await.unwrap();
    let stored = inbox.publish(first, &trigger(first), "a", Some("00-aa-bb-01")).await.unwrap();
    let delivery = soon("the trigger", deliveries.next()).await.unwrap().unwrap();
    assert_eq!((delivery.run, delivery.seq, delivery.delivered), (first, stored.seq, 1));
    assert_eq!(delivery.traceparent.as_deref(), Some("00-aa-bb-01"));
    assert_eq!(delivery.message.as_ref().unwrap(), &trigger(first));
    delivery.ack().await.unwrap();
    inbox.publish(second, &trigger(second), "b", None).await.unwrap();
    let next = soon("the second trigger", deliveries.next()).await.unwrap().unwrap();
    assert_eq!((next.run, next.traceparent), (second, None));
}

#[tokio::test]
async fn a_repeat_is_known_after_the_server_was_killed_even_when_the_first_was_consumed() {
    let mut ground = Ground::new().await;
    let run = run();
    let first = ground.bus.inbox().publish(run, &trigger(run), "delivery-1", None).await.unwrap();
    assert!(!first.duplicate);
    let mut deliveries = ground.bus.inbox().consume(SHARD).await.unwrap();
    soon("the trigger", deliveries.next()).await.unwrap().unwrap().ack().await.unwrap();
    ground.kill_and_start_again().await;
    let again = eventually("the repeat", || async { ground.bus.inbox().publish(run, &trigger(run), "delivery-1", None).await.ok() }).await;
    assert!(again.duplicate);
    assert_eq!(again.seq, first.seq);
}

#[tokio::test]
async fn the_first_trigger_says_whether_a_run_was_accepted() {
    let ground = Ground::new().await;
    let (inbox, known, unknown) = (ground.bus.inbox(), run(), run());
    inbox.publish(known, &reject(known), "early", None).await.unwrap();
    assert_eq!(inbox.first_trigger(known).await.unwrap(), None);
    inbox.publish(known, &trigger(known), "t", None).await.unwrap();
    assert_eq!(inbox.first_trigger(known).await.unwrap().unwrap().run, known);
    assert_eq!(inbox.first_trigger(unknown).await.unwrap(), None);
}

/// Of many jobs of one run on one worker, the end of each is found: in whoever's hands it is, until it is acknowledged.
#[tokio::test]
async fn an_end_that_nobody_acknowledged_is_found_behind_reports_about_other_jobs() {
    let ground = Ground::new().await;
    let (inbox, run) = (ground.bus.inbox(), run());
    let told = |job, what| Report {
        id: AttemptId { run, job: JobNo(job), attempt: AttemptNo::FIRST },
        pool: PoolName::default(),
        worker: "w1".parse().unwrap(),
        at: Timestamp::UNIX_EPOCH,
        what,
    };
    let ended = |job| told(job, ReportWhat::Ended(AttemptOutcome::Succeeded { result: JobResult::Nothing }));
    let going_on = told(2, ReportWhat::Phase { phase: "run".into() });
    let seat = going_on.seat();
    let mut deliveries = inbox.consume(SHARD).await.unwrap();
    for (key, report) in [("0", ended(0)), ("1", ended(1)), ("2", going_on.clone())] {
        inbox.publish(run, &InboxMessage::Report(Box::new(report)), key, None).await.unwrap();
    }
    let first = soon("the first end", deliveries.next()).await.unwrap().unwrap();
    let _second = soon("the second end", deliveries.next()).await.unwrap().unwrap();
    for job in [0, 1] {
        assert_eq!(inbox.unsettled_end(ended(job).id, &seat).await.unwrap(), Some(ended(job)));
    }
    first.ack().await.unwrap();
    assert_eq!(inbox.unsettled_end(ended(0).id, &seat).await.unwrap(), None, "settled");
    assert_eq!(inbox.unsettled_end(ended(1).id, &seat).await.unwrap(), Some(ended(1)));
    assert_eq!(inbox.unsettled_end(going_on.id, &seat).await.unwrap(), None, "it goes on");
}

#[tokio::test]
async fn what_is_given_back_comes_again_and_what_is_given_up_does_not() {
    let ground = Ground::new().await;
    let (inbox, run) = (ground.bus.inbox(), run());
    let mut deliveries = inbox.consume(SHARD).await.unwrap();
    inbox.publish(run, &trigger(run), "1", None).await.unwrap();
    soon("the first time", deliveries.next()).await.unwrap().unwrap().nak(None).await.unwrap();
    let second = soon("the second time", deliveries.next()).await.unwrap().unwrap();
    assert_eq!(second.delivered, 2);
    second.nak(Some(Duration::from_millis(1))).await.unwrap();
    let third = soon("the third time", deliveries.next()).await.unwrap().unwrap();
    assert_eq!(third.delivered, 3);
    third.progress().await.unwrap();
    third.term("enough of it").await.unwrap();
    inbox.publish(run, &reject(run), "2", None).await.unwrap();
    let other = soon("another message", deliveries.next()).await.unwrap().unwrap();
    assert_eq!(other.message.unwrap(), reject(run));
}

#[tokio::test]
async fn bytes_that_are_no_message_are_told_as_such_and_a_subject_without_a_run_is_thrown_away() {
    let ground = Ground::new().await;
    let (client, run) = (ground.plain_client().await, run());
    let js = async_nats::jetstream::new(client);
    js.publish("inbox.0.not-a-run", "{}".into()).await.unwrap().await.unwrap();
    js.publish(format!("inbox.0.{run}"), "{\"kind\":\"nothing\"}".into()).await.unwrap().await.unwrap();
    let mut deliveries = ground.bus.inbox().consume(SHARD).await.unwrap();
    let delivery = soon("the damaged one", deliveries.next()).await.unwrap().unwrap();
    assert_eq!(delivery.run, run);
    assert!(delivery.message.is_err());
    delivery.term("not a message").await.unwrap();
}

#[tokio::test]
async fn two_consumers_of_a_shard_get_each_message_once_between_them() {
    let ground = Ground::new().await;
    let other = ground.connect().await;
    let mut runs: HashSet<RunId> = HashSet::new();
    for n in 0..200 {
        let run = run();
        ground.bus.inbox().publish(run, &trigger(run), &n.to_string(), None).await.unwrap();
        runs.insert(run);
    }
    let mut left = ground.bus.inbox().consume(SHARD).await.unwrap();
    let mut right = other.inbox().consume(SHARD).await.unwrap();
    while !runs.is_empty() {
        let delivery = soon("the next message", async {
            tokio::select! { one = left.next() => one, one = right.next() => one }
        });
        let delivery = delivery.await.unwrap().unwrap();
        assert!(runs.remove(&delivery.run), "delivered twice");
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
async fn every_accepted_message_is_delivered_although_the_server_is_killed_again_and_again() {
    let mut ground = Ground::new().await;
    let (publisher, consumer) = (ground.connect().await, ground.connect().await);
    let publishing = tokio::spawn(async move {
        let mut accepted = HashSet::new();
        for n in 0..300 {
            let run = run();
            let id = format!("m-{n}");
            // What a gateway does: the same message with the same id until it is stored.
            eventually("publishing", || async { publisher.inbox().publish(run, &trigger(run), &id, None).await.ok() }).await;
            accepted.insert(run);
        }
        accepted
    });
    let mut deliveries = consumer.inbox().consume(SHARD).await.unwrap();
    let consuming = tokio::spawn(async move {
        let mut seen = HashSet::new();
        while seen.len() < 300 {
            match deliveries.next().await.unwrap() {
                Ok(delivery) => {
                    seen.insert(delivery.run);
                    // Unknown is as good as no: it comes again, and is known.
                    let _ = delivery.ack().await;
                }
                Err(error) => assert!(error.retryable(), "{error}"),
            }
        }
        seen
    });
    for _ in 0..3 {
        ground.kill_and_start_again().await;
        eventually("a working server", || async { ground.bus.probe().await.ok() }).await;
    }
    let accepted = soon("publishing", publishing).await.unwrap();
    let seen = soon("consuming", consuming).await.unwrap();
    assert_eq!(seen, accepted);
}

/// A server that was killed may have forgotten what it handed out. Acknowledging what came before is then never answered, so
/// it must not be what a reader is given.
#[tokio::test]
async fn what_was_handed_out_before_the_server_was_killed_comes_again_and_can_be_settled() {
    let mut ground = Ground::new().await;
    for n in 0..20 {
        let run = run();
        ground.bus.inbox().publish(run, &trigger(run), &n.to_string(), None).await.unwrap();
    }
    let other = ground.connect().await;
    let mut deliveries = other.inbox().consume(SHARD).await.unwrap();
    let in_hand = soon("the first message", deliveries.next()).await.unwrap().unwrap();
    ground.kill_and_start_again().await;
    eventually("the connection", || async { other.probe().await.ok() }).await;
    let mut seqs = HashSet::new();
    while seqs.len() < 20 {
        match soon("the next message", deliveries.next()).await.unwrap() {
            Ok(delivery) => {
                delivery.ack().await.expect("it was handed out by the server that is asked");
                seqs.insert(delivery.seq);
            }
            Err(error) => assert!(error.retryable(), "{error}"),
        }
        // In hand before the kill, it may be settled or not; settled, it does not come again.
        if seqs.len() == 19 && !seqs.contains(&in_hand.seq) && in_hand.ack().await.is_ok() {
            seqs.insert(in_hand.seq);
        }
    }
}

#[tokio::test]
async fn without_a_server_publishing_fails_fast_and_says_that_nothing_was_stored() {
    let mut ground = Ground::new().await;
    ground.kill().await;
    eventually("the lost connection to be noticed", || async { (!ground.bus.is_connected()).then_some(()) }).await;
    let run = run();
    let failed = soon("an error", ground.bus.inbox().publish(run, &trigger(run), "1", None)).await;
    assert!(matches!(failed, Err(BusError::Unavailable { .. })), "{failed:?}");
    ground.start_again().await;
    eventually("the connection", || async { ground.bus.probe().await.ok() }).await;
    assert_eq!(ground.bus.inbox().first_trigger(run).await.unwrap(), None, "it is not sent behind the caller's back");
}

#[tokio::test]
async fn a_shard_without_a_consumer_is_an_error_that_does_not_spin() {
    let ground = Ground::new().await;
    let mut deliveries = ground.bus.inbox().consume(ShardNo(9)).await.unwrap();
    let failed = soon("an error", deliveries.next()).await.unwrap();
    assert!(matches!(failed, Err(BusError::Unavailable { .. })), "{failed:?}");
}

#[tokio::test]
async fn the_answer_to_a_command_comes_back_and_goes_nowhere_but_into_an_inbox() {
    let ground = Ground::new().await;
    let inbox = ground.bus.inbox();
    let reply = inbox.reply_box().await.unwrap();
    let other = ground.connect().await;
    other.inbox().answer(&reply.subject, &CommandAnswer::AlreadySo).await.unwrap();
    assert_eq!(soon("the answer", reply.wait(GENEROUS)).await, Some(CommandAnswer::AlreadySo));
    for bad in ["work.default.normal", "$JS.API.STREAM.DELETE.RUNS", "_INBOX.>", "_INBOX.a b", ""] {
        let refused = inbox.answer(bad, &CommandAnswer::Done).await;
        assert!(matches!(refused, Err(BusError::Invalid { .. })), "{bad}: {refused:?}");
    }
    let silent = inbox.reply_box().await.unwrap();
    assert_eq!(silent.wait(Duration::from_millis(1)).await, None);
}
