//! What comes through the INBOX, in order for each run, many runs at a time.

use crate::{
    answer,
    shard::{Shard, Wakes},
    turn::{Cause, Outcome, TurnError},
    views,
};
use bus::{BusError, InboxDelivery};
use domain::run::Input;
use proto::{
    RunId,
    message::{Command, CommandVerb, InboxMessage, Report},
};
use service::{metrics::Consumer, shutdown::Tasks};
use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Lanes worked on at a time. A run always has the same lane, so its messages keep their order.
const LANES: usize = 64;
/// Messages waiting in a lane before the consumer stops taking more.
const LANE_DEPTH: usize = 32;
/// How long a message whose turn could not be made stays away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Takes messages until told to drain; what was taken is finished.
pub(crate) async fn consume(shard: Arc<Shard>, tasks: Tasks, drain: CancellationToken) -> Result<(), BusError> {
    let lanes: Vec<_> = (0..LANES).map(|_| lane(&shard, &tasks)).collect();
    let mut deliveries = shard.bus.inbox().consume(shard.number).await?;
    loop {
        let next = tokio::select! {
            () = drain.cancelled() => return Ok(()),
            next = deliveries.next() => next,
        };
        match next {
            Some(Ok(delivery)) => {
                if lanes[lane_of(delivery.run)].send(delivery).await.is_err() {
                    return Ok(());
                }
            }
            // The consumer comes back by itself; what was not acknowledged is delivered again.
            Some(Err(error)) => {
                tracing::warn!(%error, "reading the inbox failed; trying again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
            None => return Ok(()),
        }
    }
}

fn lane_of(run: RunId) -> usize {
    let mut hasher = DefaultHasher::new();
    run.hash(&mut hasher);
    hasher.finish() as usize % LANES
}

fn lane(shard: &Arc<Shard>, tasks: &Tasks) -> mpsc::Sender<InboxDelivery> {
    let (sender, mut receiver) = mpsc::channel(LANE_DEPTH);
    let shard = shard.clone();
    tasks.spawn("scheduler lane", async move {
        while let Some(delivery) = receiver.recv().await {
            handle(&shard, delivery).await;
        }
    });
    sender
}

/// One message. It is acknowledged only after its decision is stored and performed: dying anywhere before means that it
/// comes again and finds its work done.
async fn handle(shard: &Shard, delivery: InboxDelivery) {
    if delivery.delivered > 1 {
        shard.all_metrics.redelivered(Consumer::Scheduler);
    }
    let message = match &delivery.message {
        Ok(message) => message.clone(),
        Err(error) => {
            // Written by a newer version, perhaps: leave it to one who can read it, loudly.
            tracing::error!(run = %delivery.run, seq = delivery.seq, %error, "a message in the inbox cannot be read; leaving it for later");
            give_back(&delivery, Duration::from_secs(30)).await;
            return;
        }
    };
    if let Some(why) = misplaced(shard, &delivery, &message) {
        tracing::error!(run = %delivery.run, seq = delivery.seq, why, "a message is thrown away");
        if let Err(error) = delivery.term(why).await {
            tracing::debug!(%error, "it comes again, and is thrown away again");
        }
        return;
    }
    failpoint::failpoint!("scheduler.inbox.taken", message);
    match feed(shard, delivery.run, &message).await {
        Ok(outcome) => {
            failpoint::failpoint!("scheduler.inbox.done", message);
            if let InboxMessage::Command(Command { reply_to: Some(reply_to), .. }) = &message {
                // Who has the answer and looks at the run sees what was decided.
                views::show(shard, delivery.run).await;
                // Whoever asked may have gone; the run shows what was decided.
                if let Err(error) = shard.bus.inbox().answer(reply_to, &answer::to_command(&outcome)).await {
                    tracing::debug!(run = %delivery.run, %error, "an answer did not go out");
                }
            }
            note_refused_report(&message, &outcome);
            if let Err(error) = delivery.ack().await {
                tracing::debug!(run = %delivery.run, %error, "not acknowledged; it comes again and finds its work done");
            }
        }
        Err(error) => {
            tracing::warn!(run = %delivery.run, seq = delivery.seq, %error, "a turn could not be made; the message will come again");
            give_back(&delivery, away(delivery.delivered)).await;
        }
    }
}

/// Why a message is not to be believed: it stands where only others may write, or under another run's name.
fn misplaced(shard: &Shard, delivery: &InboxDelivery, message: &InboxMessage) -> Option<&'static str> {
    let (run, report) = match message {
        InboxMessage::Trigger(trigger) => (trigger.run, false),
        InboxMessage::Command(command) => (command.run, false),
        InboxMessage::Report(report) => (report.id.run, true),
    };
    if run != delivery.run || run.shard() != shard.number {
        Some("it speaks of another run than its subject")
    } else if report != delivery.from_worker {
        Some("reports, and only reports, belong on the subject of reports")
    } else {
        None
    }
}

/// Longer and longer, so that a message that nobody can handle does not keep anybody busy.
fn away(delivered: u64) -> Duration {
    RETRY_AFTER * 2_u32.pow(u32::try_from(delivered.saturating_sub(1)).unwrap_or(u32::MAX).min(6))
}

async fn give_back(delivery: &InboxDelivery, away: Duration) {
    if let Err(error) = delivery.nak(Some(away)).await {
        tracing::debug!(run = %delivery.run, %error, "not given back; it comes again by itself");
    }
}

async fn feed(shard: &Shard, run: RunId, message: &InboxMessage) -> Result<Outcome, TurnError> {
    let cause = match message {
        InboxMessage::Trigger(trigger) => Cause::Trigger(trigger.clone()),
        InboxMessage::Command(command) => Cause::Input(input_of(command)),
        InboxMessage::Report(report) => {
            let Report { id, worker, what, .. } = &**report;
            Cause::Input(Input::Report { job: id.job, attempt: id.attempt, worker: worker.clone(), what: what.clone() })
        }
    };
    shard.turn(run, cause).await
}

fn input_of(command: &Command) -> Input {
    let by = command.by.clone();
    match &command.verb {
        CommandVerb::Approve { plan_sha256 } => Input::Approve { by, plan_sha256: plan_sha256.clone() },
        CommandVerb::Reject => Input::Reject { by },
        CommandVerb::Cancel { force } => Input::Cancel { by, force: *force },
        CommandVerb::Resolve { succeeded, reason } => Input::Resolve { by, succeeded: *succeeded, reason: reason.clone() },
    }
}

/// I7: a report that changes nothing is worth a line, because it tells of a straggler.
fn note_refused_report(message: &InboxMessage, outcome: &Outcome) {
    if let (InboxMessage::Report(report), Outcome::Refused { refusal, .. }) = (message, outcome) {
        tracing::info!(attempt = %report.id, worker = %report.worker, %refusal, "a report changed nothing");
    }
}

/// Feeds runs that other runs' turns woke.
pub(crate) async fn follow_wakes(shard: Arc<Shard>, mut wakes: Wakes, drain: CancellationToken) -> Result<(), BusError> {
    loop {
        let wake = tokio::select! {
            () = drain.cancelled() => return Ok(()),
            wake = wakes.recv() => wake,
        };
        let Some(wake) = wake else { return Ok(()) };
        // A failure here is found by the sweep: the lock record names its holder.
        if let Err(error) = shard.turn(wake.run, Cause::Input(wake.input)).await {
            tracing::warn!(run = %wake.run, %error, "a woken run could not be fed; the sweep will");
        }
    }
}
