//! One turn: load the run, decide, commit, perform. As in `scheduler/src/turn.rs` and `effects.rs`.

use super::{HeldSlot, Shell, locks, places, planted::wrong, syncs};
use crate::{
    core::Away,
    oracle,
    sometimes::Case,
    store::Conflict,
    world::{Parcel, widen},
};
use domain::run::{self, Effect, Entry, Event, Input, Refusal};
use proto::{
    RunId,
    ids::AttemptId,
    message::{JobOrder, Trigger},
    view::RunStatus,
};
use std::rc::Rc;

/// What sets a turn off.
#[derive(Debug, Clone)]
pub enum Cause {
    Trigger(Box<Trigger>),
    /// Somebody's wish, by the id that tells it from the same wish delivered again.
    Command {
        id: String,
        input: Input,
        taken: u64,
    },
    Input(Input),
    Again,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Decided,
    Refused { refusal: Refusal, status: RunStatus },
    NoSuchRun,
}

const MAX_RACES: u32 = 16;

impl Shell {
    /// Makes a turn.
    pub async fn turn(&self, run: RunId, cause: Cause) -> Result<Outcome, Away> {
        let mut slot = self.slot(run).await;
        self.turn_in(&mut slot, run, cause).await
    }

    /// Makes a turn of a run whose slot is held.
    pub(super) async fn turn_in(&self, slot: &mut HeldSlot, run: RunId, cause: Cause) -> Result<Outcome, Away> {
        self.load(&mut slot.state, run).await?;
        if let Cause::Input(Input::LocksGranted { keys }) = &cause {
            slot.state.returned.retain(|key| !keys.contains(key));
        }
        let decided = self.decide_and_commit(slot, run, &cause).await?;
        let Some(state) = slot.state.run.as_ref() else { return Ok(Outcome::NoSuchRun) };
        let (due, outcome) = match decided {
            Ok(events) => {
                self.note(state, &events);
                (run::due_after(state, &events), Outcome::Decided)
            }
            Err(Some(refusal)) if matches!(cause, Cause::Input(Input::Newer(_))) => {
                let status = run::status(state);
                (Vec::new(), Outcome::Refused { refusal, status })
            }
            Err(Some(refusal)) => {
                let status = run::status(state);
                (run::outstanding(state), Outcome::Refused { refusal, status })
            }
            Err(None) => (run::outstanding(state), Outcome::Decided),
        };
        let places = matches!(outcome, Outcome::Decided) || !wrong!(PlacesOnlyAfterDecisions);
        for found in self.perform(slot, due).await? {
            Box::pin(self.turn_in(slot, run, Cause::Input(found))).await?;
        }
        if let Some(state) = slot.state.run.as_ref().filter(|run| run.orders.is_some() && places) {
            places::hand_out(self, state);
        }
        Ok(outcome)
    }

    async fn decide_and_commit(&self, slot: &mut HeldSlot, run: RunId, cause: &Cause) -> Result<Result<Vec<Event>, Option<Refusal>>, Away> {
        for _ in 0..MAX_RACES {
            self.load(&mut slot.state, run).await?;
            let now = self.ctx.wall();
            let policy = &self.ctx.core.policy;
            let decided = match (&mut slot.state.run, cause) {
                (None, Cause::Trigger(trigger)) => {
                    let (mut made, mut events) = run::accept(trigger, now, policy);
                    widen(&mut made, &mut events);
                    slot.state.run = Some(made);
                    Ok(events)
                }
                (Some(_), Cause::Trigger(_)) => Err(Refusal::AlreadySo),
                (Some(_), Cause::Command { id, .. }) if slot.state.causes.contains(id) && !wrong!(CommandAgain) => return Ok(Err(None)),
                (Some(state), Cause::Input(input) | Cause::Command { input, .. }) => run::decide(state, input, now, policy),
                (None, Cause::Input(_) | Cause::Command { .. } | Cause::Again) | (Some(_), Cause::Again) => {
                    if self.is_current(&mut slot.state, run).await? {
                        return Ok(Err(None));
                    }
                    continue;
                }
            };
            match decided {
                Ok(mut events) => {
                    if let Some(state) = &mut slot.state.run {
                        places::fill(self, state, now, &mut events);
                    }
                    if wrong!(EffectsFirst) {
                        let due = slot.state.run.as_ref().map(|state| run::due_after(state, &events)).unwrap_or_default();
                        Box::pin(self.perform(slot, due)).await?;
                    }
                    if self.commit(slot, run, (now, &events), cause).await? {
                        return Ok(Ok(events));
                    }
                }
                Err(refusal) if wrong!(RefusesFromMemory) => return Ok(Err(Some(refusal))),
                Err(refusal) => {
                    if self.is_current(&mut slot.state, run).await? {
                        return Ok(Err(Some(refusal)));
                    }
                    self.ctx.core.met(Case::StaleCaught);
                }
            }
        }
        // As for a store that is away: what set the turn off comes again.
        Err(Away::Unavailable)
    }

    /// `false`: somebody else decided first, and the slot has forgotten the run.
    async fn commit(
        &self,
        slot: &mut HeldSlot,
        run: RunId,
        (at, events): (jiff::Timestamp, &[Event]),
        cause: &Cause,
    ) -> Result<bool, Away> {
        let nonce = self.ctx.core.serial().to_string();
        let taken = if let Cause::Command { taken, .. } = cause { Some(*taken) } else { None };
        let id = if let Cause::Command { id, .. } = cause { Some(id.clone()) } else { None };
        let entry = Rc::new(Entry { cause: id.clone(), ..Entry::new(nonce.clone(), at, events.to_vec()) });
        let expected = (!wrong!(CommitUnchecked)).then_some(slot.state.seq);
        let core = self.ctx.core.clone();
        let input = if let Cause::Input(input) | Cause::Command { input, .. } = cause { Some(input) } else { None };
        let apply = |store: &mut crate::store::Store| store.commit(run, expected, &entry);
        let answer = self
            .ctx
            .write_seen(apply, |stored| {
                if stored.is_ok() {
                    oracle::appended(&core, run, &entry, input, taken);
                }
            })
            .await;
        match answer {
            Ok(Ok(seq)) => {
                slot.state.seq = seq;
                slot.state.causes.extend(id);
                if self.ctx.core.nodes.borrow()[self.ctx.node].skew != 0 {
                    self.ctx.core.met(Case::ClockJumped);
                }
                Ok(true)
            }
            Ok(Err(Conflict)) => {
                self.ctx.core.met(Case::RaceLost);
                slot.state.forget();
                Ok(false)
            }
            Err(Away::Timeout) if wrong!(TimeoutIsYes) => Ok(true),
            Err(away) => {
                slot.state.forget();
                if away == Away::Unavailable {
                    return Err(away);
                }
                self.was_committed(slot, run, &nonce).await
            }
        }
    }

    async fn was_committed(&self, slot: &mut HeldSlot, run: RunId, nonce: &str) -> Result<bool, Away> {
        let log = self.ctx.read(|store, stale| store.log(run, stale)).await?;
        self.load(&mut slot.state, run).await?;
        let applied = log.iter().rev().any(|(_, entry)| entry.nonce == nonce);
        self.ctx.core.met(if applied { Case::AmbiguousApplied } else { Case::AmbiguousLost });
        Ok(applied)
    }

    /// Performs effects. What comes back was found out on the way and is to be decided at once.
    async fn perform(&self, slot: &mut HeldSlot, due: Vec<Effect>) -> Result<Vec<Input>, Away> {
        let orders = due.iter().any(|effect| matches!(effect, Effect::PublishOrder(order) if order.action == "shell"));
        self.memory.publishing.set(self.memory.publishing.get() + u32::from(orders));
        let performed = self.perform_each(slot, due).await;
        self.memory.publishing.set(self.memory.publishing.get() - u32::from(orders));
        performed
    }

    async fn perform_each(&self, slot: &mut HeldSlot, due: Vec<Effect>) -> Result<Vec<Input>, Away> {
        let (mut granted, mut waits) = (Vec::new(), Vec::new());
        let due = if wrong!(LocksBeforeNotes) { locks_first(due) } else { due };
        for effect in due {
            let Some(run) = slot.state.run.as_ref().map(|run| run.id) else { break };
            match effect {
                Effect::WantLocks(keys) if keys.iter().all(|key| slot.state.in_line.contains(key)) => {}
                Effect::WantLocks(keys) => {
                    if locks::want(self, run, &keys).await? {
                        granted.extend(keys);
                    } else {
                        waits.extend(keys.iter().cloned());
                        slot.state.in_line.extend(keys);
                    }
                }
                Effect::ReleaseLocks(keys) if keys.iter().all(|key| slot.state.returned.contains(key)) => {}
                Effect::ReleaseLocks(keys) => {
                    slot.state.in_line.retain(|key| !keys.contains(key));
                    locks::release(self, run, &keys).await?;
                    slot.state.returned.extend(keys);
                }
                Effect::PublishOrder(order) => self.publish_order(slot, &order).await?,
                Effect::Stop { seat, signal } => {
                    self.ctx.step().await;
                    if !self.ctx.is_cut() {
                        self.ctx.core.send(Parcel::Stop { worker: seat.worker, signal });
                    }
                }
                // No run of the simulation has secrets.
                Effect::DeleteSecrets { .. } => {}
                Effect::Note(note) if slot.state.noted.contains(&note.service()) => {}
                Effect::Note(note) => {
                    syncs::keep(self, &note).await?;
                    slot.state.noted.insert(note.service());
                }
            }
        }
        syncs::tell_the_older(self, slot.state.run.as_ref(), &waits).await?;
        let granted = (!granted.is_empty()).then_some(Input::LocksGranted { keys: granted });
        Ok(granted.into_iter().collect())
    }

    async fn publish_order(&self, slot: &mut HeldSlot, order: &JobOrder) -> Result<(), Away> {
        let AttemptId { job, attempt, .. } = order.id;
        if let Some(seq) = slot.state.orders.get(&(job, attempt)).copied()
            && self.ctx.read(|store, _| store.is_waiting(seq)).await?
        {
            return Ok(());
        }
        let (mut seq, duplicate) = self.ctx.write(|store| store.order(order)).await?;
        if duplicate && !self.ctx.read(|store, _| store.is_waiting(seq)).await? {
            self.ctx.core.met(Case::Republished);
            seq = self.ctx.write(|store| store.order_again(order)).await?;
        }
        slot.state.orders.retain(|(no, _), _| *no != job);
        slot.state.orders.insert((job, attempt), seq);
        Ok(())
    }
}

/// Effects in an order that they must not have.
fn locks_first(due: Vec<Effect>) -> Vec<Effect> {
    let (notes, others): (Vec<Effect>, Vec<Effect>) = due.into_iter().partition(|effect| matches!(effect, Effect::Note(_)));
    others.into_iter().chain(notes).collect()
}
