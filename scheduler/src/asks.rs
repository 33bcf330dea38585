//! Workers ask: may I begin, may I start the side effects? Answered at once from the run's state; a lost answer is asked
//! for again with the same nonce.

use crate::{
    permit::{self, PermitError},
    shard::{Shard, Slot},
    stranger, syncs,
    turn::{Cause, Outcome, TurnError},
};
use bus::BusError;
use domain::run::{Input, Refusal};
use proto::{
    JobNo, RunId, Seat,
    ids::AttemptId,
    message::{Ask, AskAnswer, AskWhat, AttemptOutcome, Failure, ReportWhat},
};
use service::{metrics::Claim, shutdown::Tasks};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Questions worked on at a time; the rest waits in the connection.
const MAX_AT_ONCE: usize = 256;

const LOCKS_LOST: &str = "the lock records cannot be believed just now; nothing starts";

/// Answers until told to drain.
pub(crate) async fn serve(shard: Arc<Shard>, tasks: Tasks, drain: CancellationToken) -> Result<(), BusError> {
    let mut requests = shard.bus.asks().serve(shard.number).await?;
    let room = Arc::new(tokio::sync::Semaphore::new(MAX_AT_ONCE));
    loop {
        let request = tokio::select! {
            () = drain.cancelled() => return Ok(()),
            request = requests.next() => request,
        };
        let Some(request) = request else { return Ok(()) };
        let Ok(place) = room.clone().acquire_owned().await else { return Ok(()) };
        let shard = shard.clone();
        tasks.spawn("scheduler ask", async move {
            let answer = answer(&shard, &request.ask, &request.seat).await;
            failpoint::failpoint!("scheduler.answer.due", answer);
            if let Err(error) = request.answer(&answer).await {
                tracing::debug!(%error, "an answer did not go out; the worker asks again");
            }
            drop(place);
        });
    }
}

async fn answer(shard: &Shard, ask: &Ask, seat: &Seat) -> AskAnswer {
    let result = match stranger::is_stranger(shard, ask.id, &ask.seat(), seat).await {
        Ok(None) => match &ask.what {
            AskWhat::Begin { public_key } => begin(shard, ask, public_key).await,
            AskWhat::StartEffects { serial_before } => start_effects(shard, ask, *serial_before).await,
        },
        Ok(Some(why)) => {
            shard.metrics.stranger(Claim::Question);
            tracing::warn!(attempt = %ask.id, %seat, claimed = %ask.seat(), why, "a worker's question is refused");
            Ok(AskAnswer::Refused { reason: why.to_owned() })
        }
        Err(error) => Err(error),
    };
    result.unwrap_or_else(|error| {
        tracing::warn!(attempt = %ask.id, worker = %ask.worker, %error, "a worker's question could not be answered");
        // I8: an error is never a yes.
        AskAnswer::Later { reason: "the scheduler cannot decide at the moment".to_owned() }
    })
}

async fn begin(shard: &Shard, ask: &Ask, public_key: &str) -> Result<AskAnswer, TurnError> {
    let AttemptId { run, job, attempt } = ask.id;
    let slot = shard.slot(run);
    let mut slot = slot.lock().await;
    slot.load(shard, run).await?;
    if slot.run.is_none() {
        // This process may have looked for the run before another one made it (its secrets are stored first).
        slot.refresh(shard, run).await?;
    }
    let Some(state) = slot.run.as_ref() else { return Ok(AskAnswer::Refused { reason: "there is no such run".to_owned() }) };
    if !state.locks.is_empty() && shard.lock_watch.trouble().is_some() {
        return Ok(AskAnswer::Later { reason: LOCKS_LOST.to_owned() });
    }
    // Opened before the permit is committed: a permit without its secrets would be spent for nothing.
    let secrets = match permit::secrets_for(shard, state, ask.id, public_key).await {
        Ok(secrets) => secrets,
        Err(PermitError::Bus(error)) => return Err(error.into()),
        Err(error @ (PermitError::SecretsMissing | PermitError::SecretsUnreadable | PermitError::Seal(_) | PermitError::NoWork)) => {
            return give_up(shard, &mut slot, ask, &error).await;
        }
    };
    let input = Input::Begin { job, attempt, worker: ask.worker.clone(), nonce: ask.nonce.clone() };
    match shard.turn_in(&mut slot, run, Cause::Input(input)).await? {
        Outcome::Decided | Outcome::Refused { refusal: Refusal::AlreadySo, .. } => {}
        Outcome::Refused { refusal, .. } => {
            if refusal == Refusal::Cancelling {
                // The time of the run may be over, and nobody has noted it: until then its orders would go out again and again.
                shard.wake(run, Input::Tick);
            }
            return Ok(AskAnswer::Refused { reason: refusal.to_string() });
        }
        Outcome::NoSuchRun => return Ok(AskAnswer::Refused { reason: "there is no such run".to_owned() }),
    }
    let permit = slot.run.as_ref().ok_or(PermitError::NoWork).and_then(|state| permit::write(state, job, attempt, &ask.nonce, secrets));
    match permit {
        Ok(mut permit) => {
            permit.work = syncs::with_what_is_known(shard, permit.work).await?;
            Ok(AskAnswer::Permit(Box::new(permit)))
        }
        Err(error) => give_up(shard, &mut slot, ask, &error).await,
    }
}

/// The attempt can never begin: the job fails with the reason, instead of coming back for ever.
async fn give_up(shard: &Shard, slot: &mut Slot, ask: &Ask, error: &PermitError) -> Result<AskAnswer, TurnError> {
    let AttemptId { run, job, attempt } = ask.id;
    let begin = Input::Begin { job, attempt, worker: ask.worker.clone(), nonce: ask.nonce.clone() };
    match shard.turn_in(slot, run, Cause::Input(begin)).await? {
        Outcome::Decided | Outcome::Refused { refusal: Refusal::AlreadySo, .. } => {
            let failure = Failure {
                kind: "secrets".to_owned(),
                phase: "initializing".to_owned(),
                message: format!("the job cannot start: {error}"),
                next_action: "submit the request again; if it happens again, every scheduler must have the same scheduler.sealing_key"
                    .to_owned(),
            };
            let what = ReportWhat::Ended(AttemptOutcome::Failed { failure });
            let report = Input::Report { job, attempt, worker: ask.worker.clone(), what };
            shard.turn_in(slot, run, Cause::Input(report)).await?;
        }
        Outcome::Refused { .. } | Outcome::NoSuchRun => {}
    }
    Ok(AskAnswer::Refused { reason: error.to_string() })
}

/// Whether the lock records name this run as their holder. Its log says so too; but the records are what keeps others out,
/// and they may have been lost or restored.
async fn holds_its_locks(shard: &Shard, run: RunId, job: JobNo) -> Result<bool, TurnError> {
    let keys = {
        let slot = shard.slot(run);
        let mut slot = slot.lock().await;
        slot.load(shard, run).await?;
        slot.run.as_ref().map(|run| run.locks_of(job)).unwrap_or_default()
    };
    let records = shard.bus.locks().read(&keys).await?;
    Ok(records.iter().all(|record| record.value.holder.as_ref().is_some_and(|holder| holder.run == run)))
}

/// The "no" that the run as it is stored now has for this input; `None`: it would be a yes, or is one already.
async fn would_refuse(shard: &Shard, run: RunId, input: &Input) -> Result<Option<Refusal>, TurnError> {
    let slot = shard.slot(run);
    let mut slot = slot.lock().await;
    slot.refresh(shard, run).await?;
    let Some(mut state) = slot.run.clone() else { return Ok(None) };
    let refusal = domain::run::decide(&mut state, input, jiff::Timestamp::now(), &shard.policy).err();
    Ok(refusal.filter(|refusal| *refusal != Refusal::AlreadySo))
}

async fn start_effects(shard: &Shard, ask: &Ask, serial_before: Option<u64>) -> Result<AskAnswer, TurnError> {
    let AttemptId { run, job, attempt } = ask.id;
    if shard.lock_watch.trouble().is_some() {
        return Ok(AskAnswer::Later { reason: LOCKS_LOST.to_owned() });
    }
    let input = Input::StartEffects { job, attempt, worker: ask.worker.clone(), nonce: ask.nonce.clone(), serial_before };
    if !holds_its_locks(shard, run, job).await? {
        // A straggler whose run has ended and given its locks back is told so: after "later" it would ask for ever.
        if let Some(refusal) = would_refuse(shard, run, &input).await? {
            return Ok(AskAnswer::Refused { reason: refusal.to_string() });
        }
        tracing::error!(attempt = %ask.id, "the run's locks are not held by it in the store: nothing may start; look at the bucket LOCKS");
        return Ok(AskAnswer::Later { reason: "the run's locks are not held by it in the store".to_owned() });
    }
    Ok(match shard.turn(run, Cause::Input(input)).await? {
        Outcome::Decided | Outcome::Refused { refusal: Refusal::AlreadySo, .. } => AskAnswer::Go,
        Outcome::Refused { refusal, .. } => AskAnswer::Refused { reason: refusal.to_string() },
        Outcome::NoSuchRun => AskAnswer::Refused { reason: "there is no such run".to_owned() },
    })
}
