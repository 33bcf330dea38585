//! One message of the inbox. As in `scheduler/src/inbox.rs`: acknowledged only after its decision is stored and performed.

use super::{
    Shell,
    planted::wrong,
    turn::{Cause, Outcome},
};
use crate::{oracle, order_rules, sometimes::Case, store::Letter, world::Parcel};
use domain::run::{Input, Refusal};
use proto::message::{Command, CommandVerb, InboxMessage, ReportWhat};

/// How long a message whose turn could not be made stays away, in ms.
const RETRY_AFTER: u64 = 1_000;

/// How often a report that is ahead of the log is looked at.
const MAX_AHEAD: u32 = 6;

/// Handles a delivery.
pub async fn handle(shell: Shell, letter: Letter) {
    if wrong!(AckBeforeCommit) {
        let _ = shell.ctx.write(|store| store.ack_letter(letter.seq)).await;
    }
    let cause = match &*letter.message {
        InboxMessage::Trigger(trigger) => Cause::Trigger(trigger.clone()),
        InboxMessage::Command(command) => match &letter.command {
            Some(id) => Cause::Command { id: id.clone(), input: input_of(command), taken: letter.taken },
            None => Cause::Input(input_of(command)),
        },
        InboxMessage::Report(report) => Cause::Input(Input::Report {
            job: report.id.job,
            attempt: report.id.attempt,
            worker: report.worker.clone(),
            what: report.what.clone(),
        }),
    };
    if let InboxMessage::Report(report) = &*letter.message
        && matches!(report.what, ReportWhat::Ended(_))
        && shell.is_busy(letter.run)
        && shell.ctx.core.oracle.borrow().truths.get(&letter.run).is_some_and(|truth| truth.run.orders.is_some())
    {
        shell.ctx.core.met(Case::ResultDuringTurn);
    }
    match shell.turn(letter.run, cause).await {
        Ok(outcome) if is_ahead(&letter.message, &outcome) && letter.delivered < MAX_AHEAD => {
            shell.ctx.core.met(Case::AheadOfLog);
            let at = shell.ctx.core.now.get() + RETRY_AFTER;
            let _ = shell.ctx.write(|store| store.nak_letter(letter.seq, at)).await;
        }
        Ok(outcome) => {
            count(&shell, &letter, &outcome);
            settle(&shell, &letter, outcome).await;
        }
        Err(_) => {
            let at = shell.ctx.core.now.get() + RETRY_AFTER;
            let _ = shell.ctx.write(|store| store.nak_letter(letter.seq, at)).await;
        }
    }
}

/// Acknowledges what was decided, and answers whoever asked. A "no" is said only when the command cannot come again: later
/// it might be a "yes" that nobody wants any more.
async fn settle(shell: &Shell, letter: &Letter, outcome: Outcome) {
    let is_no = outcome != Outcome::Decided;
    let early = !is_no || wrong!(NoBeforeAck);
    if early {
        answer(shell, letter, &outcome);
    }
    let core = shell.ctx.core.clone();
    let ack = |store: &mut crate::store::Store| store.ack_letter(letter.seq);
    let acked = shell.ctx.write_seen(ack, |_| oracle::acknowledged(&core, &letter.message)).await;
    if acked.is_ok() && !early {
        answer(shell, letter, &outcome);
    }
}

fn answer(shell: &Shell, letter: &Letter, outcome: &Outcome) {
    let Some(reply) = &letter.reply else { return };
    let already = matches!(outcome, Outcome::Refused { refusal: Refusal::AlreadySo, .. });
    if let (Some(id), false) = (&letter.command, *outcome == Outcome::Decided || already) {
        oracle::refused(&shell.ctx.core, id);
    }
    shell.ctx.core.send(Parcel::Told { reply: reply.clone(), outcome: outcome.clone() });
}

/// A report of what has no permit yet in the log that was read.
fn is_ahead(message: &InboxMessage, outcome: &Outcome) -> bool {
    let unpermitted = matches!(outcome, Outcome::NoSuchRun | Outcome::Refused { refusal: Refusal::NotPermitted, .. });
    matches!(message, InboxMessage::Report(_)) && unpermitted
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

fn count(shell: &Shell, letter: &Letter, outcome: &Outcome) {
    let core = &shell.ctx.core;
    let Outcome::Refused { refusal, status } = outcome else { return };
    if letter.delivered > 1 && *refusal == Refusal::AlreadySo {
        core.met(Case::Redelivered);
    }
    match (&*letter.message, refusal) {
        (InboxMessage::Report(_), Refusal::StaleAttempt { .. } | Refusal::NotYours) => core.met(Case::ZombieRefused),
        (InboxMessage::Report(report), Refusal::AttemptOver) => {
            let oracle = core.oracle.borrow();
            let truth = oracle.truths.get(&report.id.run);
            let settled = truth.is_some_and(|truth| truth.run.resolution.is_some());
            let watched = truth.is_some_and(|truth| order_rules::was_ended_by_watchdog(&truth.run, report.id.job));
            core.met(match (watched, settled) {
                (true, _) => Case::LateAfterWatchdog,
                (false, true) => Case::LateAfterSettled,
                (false, false) => Case::ZombieRefused,
            });
        }
        (InboxMessage::Command(command), Refusal::WrongState(_))
            if matches!(command.verb, CommandVerb::Cancel { .. }) && status.is_terminal() =>
        {
            core.met(Case::CancelLost);
        }
        (InboxMessage::Command(command), Refusal::AlreadySo) if matches!(command.verb, CommandVerb::Approve { .. }) => {
            core.met(Case::SecondApprover);
        }
        (InboxMessage::Command(_), Refusal::PlanChanged) => core.met(Case::OtherPlan),
        (InboxMessage::Command(_), Refusal::ApprovalExpired) => core.met(Case::ApprovedLate),
        _ => {}
    }
}
