//! Workers ask: may I begin, may I start the side effects? As in `scheduler/src/asks.rs`.

use super::{
    Shell,
    planted::wrong,
    syncs,
    turn::{Cause, Outcome},
};
use crate::{
    core::Away,
    sometimes::Case,
    worker::{Answer, Question},
};
use domain::run::{self, Input, Refusal};
use proto::ids::AttemptId;

/// Answers a question. An error is never a yes (I8).
pub async fn answer(shell: &Shell, question: &Question) -> Answer {
    let result = if question.last_word { start_effects(shell, question).await } else { begin(shell, question).await };
    result.unwrap_or(Answer::Later)
}

async fn begin(shell: &Shell, question: &Question) -> Result<Answer, Away> {
    let AttemptId { run, job, attempt } = question.id;
    let mut slot = shell.slot(run).await;
    shell.load(&mut slot.state, run).await?;
    if slot.state.run.is_none() {
        return Ok(Answer::Refused);
    }
    let input = Input::Begin { job, attempt, worker: question.worker.clone(), nonce: question.nonce.clone() };
    match shell.turn_in(&mut slot, run, Cause::Input(input)).await? {
        Outcome::Decided | Outcome::Refused { refusal: Refusal::AlreadySo, .. } => {}
        Outcome::Refused { refusal, .. } => {
            match refusal {
                Refusal::AlreadyPermitted => shell.ctx.core.met(Case::PermitRefused),
                Refusal::StaleAttempt { .. } => shell.ctx.core.met(Case::StaleBegin),
                Refusal::Cancelling => shell.wake(run, Input::Tick),
                _ => {}
            }
            return Ok(Answer::Refused);
        }
        Outcome::NoSuchRun => return Ok(Answer::Refused),
    }
    let Some((work, _)) = slot.state.run.as_ref().and_then(|state| run::work_of(state, job, attempt)) else { return Ok(Answer::Refused) };
    let work = syncs::with_what_is_known(shell, work).await?;
    Ok(Answer::Permit(std::rc::Rc::new(work)))
}

async fn holds_its_locks(shell: &Shell, run: proto::RunId, job: proto::JobNo) -> Result<bool, Away> {
    let keys = {
        let mut slot = shell.slot(run).await;
        shell.load(&mut slot.state, run).await?;
        slot.state.run.as_ref().map(|run| run.locks_of(job)).unwrap_or_default()
    };
    let held = shell.ctx.read(|store, stale| keys.iter().map(|key| store.lock(key, stale)).collect::<Vec<_>>()).await?;
    Ok(held.iter().all(|held| held.record.holder.as_ref().is_some_and(|holder| holder.run == run)))
}

/// Whether the run as it is stored now has a "no" for this question: after "later" a straggler would ask for ever.
async fn would_refuse(shell: &Shell, question: &Question) -> Result<bool, Away> {
    if wrong!(StragglerAsksOn) {
        return Ok(false);
    }
    let AttemptId { run, job, attempt } = question.id;
    let mut slot = shell.slot(run).await;
    shell.refresh(&mut slot.state, run).await?;
    let Some(mut state) = slot.state.run.clone() else { return Ok(false) };
    let input = Input::StartEffects { job, attempt, worker: question.worker.clone(), nonce: question.nonce.clone(), serial_before: None };
    let refusal = run::decide(&mut state, &input, shell.ctx.wall(), &shell.ctx.core.policy).err();
    Ok(refusal.is_some_and(|refusal| refusal != Refusal::AlreadySo))
}

async fn start_effects(shell: &Shell, question: &Question) -> Result<Answer, Away> {
    let AttemptId { run, job, attempt } = question.id;
    if !holds_its_locks(shell, run, job).await? {
        let over = would_refuse(shell, question).await?;
        return Ok(if over { Answer::Refused } else { Answer::Later });
    }
    let input = Input::StartEffects { job, attempt, worker: question.worker.clone(), nonce: question.nonce.clone(), serial_before: None };
    Ok(match shell.turn(run, Cause::Input(input)).await? {
        Outcome::Decided | Outcome::Refused { refusal: Refusal::AlreadySo, .. } => Answer::Go,
        Outcome::Refused { .. } => {
            shell.ctx.core.met(Case::LastWordRefused);
            Answer::Refused
        }
        Outcome::NoSuchRun => Answer::Refused,
    })
}
