//! What comes through the INBOX, in order for each run, many runs at a time.

use crate::{
    answer,
    shard::{Shard, Wakes},
    stranger,
    turn::{Cause, Outcome, TurnError},
    views,
};
use bus::{BusError, InboxDelivery};
use domain::run::{Input, Refusal};
use futures_util::FutureExt as _;
use proto::{
    RunId,
    message::{Command, CommandVerb, InboxMessage, Report},
};
use service::{
    metrics::{Claim, Consumer},
    shutdown::Tasks,
};
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
/// How often a report that is ahead of the log is looked at.
const MAX_AHEAD: u64 = 6;
/// After so many deliveries a message that cannot be handled is kept for people.
const POISON_AFTER: u64 = 4;
/// How long it then stays away.
const POISON_AWAY: Duration = Duration::from_mins(10);
/// How long a message whose turn could not be made stays away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Takes messages until told to drain; what was taken is finished.
pub(crate) async fn consume(shard: Arc<Shard>, tasks: Tasks, drain: CancellationToken) -> Result<(), BusError> {
    let lanes: Vec<_> = (0..LANES).map(|_| lane(&shard, &tasks)).collect();
    let mut deliveries = shard.bus.inbox().consume(shard.number).await?;
    loop {
        let next = tokio::select! {
            biased;
            () = drain.cancelled() => {
                deliveries.close().await;
                return Ok(());
            }
            next = deliveries.next() => next,
        };
        match next {
            Some(Ok(delivery)) => {
                if lanes[lane_of(delivery.run)].send(delivery).await.is_err() {
                    return Ok(());
                }
            }
            Some(Err(error)) if error.is_denied() => return Err(error),
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
            // Written by a newer version, perhaps: left to one who can read it, loudly.
            tracing::error!(run = %delivery.run, seq = delivery.seq, %error, "a message in the inbox cannot be read; leaving it for later");
            give_up_for_now(&delivery, &error.to_string()).await;
            return;
        }
    };
    match unbelievable(shard, &delivery, &message).await {
        Ok(None) => {}
        Ok(Some(why)) => return throw_away(&delivery, why).await,
        Err(error) if error.is_poison() => {
            tracing::error!(run = %delivery.run, seq = delivery.seq, %error, "whose message it is cannot be told; leaving it for later");
            return give_up_for_now(&delivery, &with_causes(&error)).await;
        }
        Err(error) => {
            tracing::warn!(run = %delivery.run, seq = delivery.seq, %error, "whose message it is cannot be told now; it will come again");
            return give_back(&delivery, away(delivery.delivered)).await;
        }
    }
    failpoint::failpoint!("scheduler.inbox.taken", message);
    match caught(shard, delivery.run, feed(shard, &delivery, &message)).await {
        Ok(outcome) if is_ahead(&message, &outcome) && delivery.delivered < MAX_AHEAD => {
            tracing::debug!(run = %delivery.run, seq = delivery.seq, "a report is ahead of what can be read; it is looked at again");
            give_back(&delivery, away(delivery.delivered)).await;
        }
        Ok(Outcome::NoSuchRun) if is_ahead_of_its_trigger(shard, &message).await => {
            tracing::debug!(run = %delivery.run, "a command came before its run's trigger was decided; it comes again");
            give_back(&delivery, away(delivery.delivered)).await;
        }
        Ok(outcome) => {
            failpoint::failpoint!("scheduler.inbox.done", message);
            settle(shard, &delivery, &message, &outcome).await;
        }
        Err(error) if error.is_poison() => {
            tracing::error!(run = %delivery.run, seq = delivery.seq, %error, "a message cannot be handled; leaving it for later");
            give_up_for_now(&delivery, &with_causes(&error)).await;
        }
        Err(error) => {
            tracing::warn!(run = %delivery.run, seq = delivery.seq, %error, "a turn could not be made; the message will come again");
            give_back(&delivery, away(delivery.delivered)).await;
        }
    }
}

/// Poison: a message that cannot be handled, whoever tries. It is kept for people, and comes back rarely, until it has
/// aged out: what stands in its way may be mended (a newer version, a repaired log), and a report must not be lost.
async fn give_up_for_now(delivery: &InboxDelivery, why: &str) {
    if delivery.delivered < POISON_AFTER {
        return give_back(delivery, away(delivery.delivered)).await;
    }
    let away = match delivery.bury(why).await {
        Ok(()) => POISON_AWAY,
        Err(error) => {
            tracing::warn!(run = %delivery.run, seq = delivery.seq, %error, "a message that cannot be handled could not be kept for people");
            away(delivery.delivered)
        }
    };
    give_back(delivery, away).await;
}

/// A panic in a turn is the turn's error, not the end of the process: the message would come again and end the next one.
async fn caught(shard: &Shard, run: RunId, turn: impl Future<Output = Result<Outcome, TurnError>>) -> Result<Outcome, TurnError> {
    match std::panic::AssertUnwindSafe(turn).catch_unwind().await {
        Ok(done) => done,
        Err(_panic) => {
            // What it left in memory is worth nothing.
            shard.slot(run).lock().await.forget();
            Err(TurnError::Panicked)
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

async fn throw_away(delivery: &InboxDelivery, why: &str) {
    tracing::error!(run = %delivery.run, seq = delivery.seq, seat = ?delivery.seat, why, "a message is thrown away");
    if let Err(error) = delivery.bury(why).await {
        tracing::warn!(run = %delivery.run, seq = delivery.seq, %error, "a message that is thrown away could not be kept for people");
    }
    if let Err(error) = delivery.term(why).await {
        tracing::debug!(%error, "it comes again, and is thrown away again");
    }
}

/// Why a message is not to be believed, if it is not.
async fn unbelievable(shard: &Shard, delivery: &InboxDelivery, message: &InboxMessage) -> Result<Option<&'static str>, TurnError> {
    if let Some(why) = misplaced(shard, delivery, message) {
        return Ok(Some(why));
    }
    let (InboxMessage::Report(report), Some(seat)) = (message, &delivery.seat) else { return Ok(None) };
    let why = stranger::is_stranger(shard, report.id, &report.seat(), seat).await?;
    if why.is_some() {
        shard.metrics.stranger(Claim::Report);
    }
    Ok(why)
}

/// A message that stands where only others may write, or under another run's name.
fn misplaced(shard: &Shard, delivery: &InboxDelivery, message: &InboxMessage) -> Option<&'static str> {
    let (run, report) = match message {
        InboxMessage::Trigger(trigger) => (trigger.run, false),
        InboxMessage::Command(command) => (command.run, false),
        InboxMessage::Report(report) => (report.id.run, true),
    };
    if run != delivery.run || run.shard() != shard.number {
        Some("it speaks of another run than its subject")
    } else if report != delivery.seat.is_some() {
        Some("reports, and only reports, belong on the subject of reports")
    } else {
        None
    }
}

/// A worker reports only what it has a permit for, so a log without that permit was not read to its end (a server that has
/// just lost the lead may still answer). Thrown away only after it has been looked at again and again: then it is a lie.
fn is_ahead(message: &InboxMessage, outcome: &Outcome) -> bool {
    let unpermitted = matches!(outcome, Outcome::NoSuchRun | Outcome::Refused { refusal: Refusal::NotPermitted, .. });
    matches!(message, InboxMessage::Report(_)) && unpermitted
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

/// Acknowledges what was decided, and answers whoever asked.
async fn settle(shard: &Shard, delivery: &InboxDelivery, message: &InboxMessage, outcome: &Outcome) {
    note_refused_report(message, outcome);
    let reply_to = match message {
        InboxMessage::Command(command) => command.reply_to.as_deref(),
        InboxMessage::Trigger(_) | InboxMessage::Report(_) => None,
    };
    // A "no" is said only when it is sure that the command cannot come again: delivered once more, later, it might be
    // a "yes" that nobody wants any more. A "yes" is recognised when it comes again.
    let is_no = match outcome {
        Outcome::Decided => false,
        Outcome::Refused { .. } | Outcome::NoSuchRun => true,
    };
    if !is_no {
        answer(shard, delivery.run, reply_to, outcome).await;
    }
    match delivery.ack().await {
        Ok(()) if is_no => answer(shard, delivery.run, reply_to, outcome).await,
        Ok(()) => {}
        Err(error) => tracing::debug!(run = %delivery.run, %error, "not acknowledged; it comes again and finds its work done"),
    }
}

async fn answer(shard: &Shard, run: RunId, reply_to: Option<&str>, outcome: &Outcome) {
    let Some(reply_to) = reply_to else { return };
    // Who has the answer and looks at the run sees what was decided.
    views::show(shard, run).await;
    // Whoever asked may have gone; the run shows what was decided.
    if let Err(error) = shard.bus.inbox().answer(reply_to, &answer::to_command(outcome)).await {
        tracing::debug!(%run, %error, "an answer did not go out");
    }
}

/// Whether a command is for a run that was accepted and is not decided yet: its trigger could not be handled just now and
/// comes again. In doubt it is: the command is looked at again as well.
async fn is_ahead_of_its_trigger(shard: &Shard, message: &InboxMessage) -> bool {
    match message {
        InboxMessage::Command(command) => {
            shard.bus.inbox().first_trigger(command.run).await.map_or(true, |trigger| trigger.is_some_and(|t| t.run == command.run))
        }
        InboxMessage::Trigger(_) | InboxMessage::Report(_) => false,
    }
}

async fn feed(shard: &Shard, delivery: &InboxDelivery, message: &InboxMessage) -> Result<Outcome, TurnError> {
    let cause = match message {
        InboxMessage::Trigger(trigger) => Cause::Trigger(trigger.clone()),
        InboxMessage::Command(command) => match &delivery.message_id {
            Some(id) => Cause::Command { id: id.clone(), input: input_of(command) },
            None => Cause::Input(input_of(command)),
        },
        InboxMessage::Report(report) => {
            let Report { id, worker, what, .. } = &**report;
            Cause::Input(Input::Report { job: id.job, attempt: id.attempt, worker: worker.clone(), what: what.clone() })
        }
    };
    shard.turn(delivery.run, cause).await
}

fn input_of(command: &Command) -> Input {
    let by = command.by.clone();
    match &command.verb {
        CommandVerb::Approve { plan_sha256 } => Input::Approve { by, plan_sha256: plan_sha256.clone() },
        CommandVerb::Reject => Input::Reject { by },
        CommandVerb::Cancel { force } => Input::Cancel { by, force: *force },
        CommandVerb::Resolve { job, succeeded, reason } => Input::Resolve { by, job: *job, succeeded: *succeeded, reason: reason.clone() },
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
