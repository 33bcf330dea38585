//! One turn: load the run, decide, commit, perform. Everything that happens to a run passes here.

use crate::{
    effects,
    shard::{Shard, Slot},
};
use bus::BusError;
use domain::run::{self, Entry, Event, Input, Refusal, Run};
use jiff::Timestamp;
use proto::{RunId, codec, codec::CodecError, message::Trigger, view::RunStatus};

/// What sets a turn off.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// A run may have to be made.
    Trigger(Box<Trigger>),
    /// Something happened to a run.
    Input(Input),
    /// Nothing happened; what is due is done again.
    Again,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Committed.
    Decided,
    /// Nothing was changed.
    Refused { refusal: Refusal, status: RunStatus },
    /// There is no such run.
    NoSuchRun,
}

/// Why a turn could not be made. Nothing is lost: what set it off comes again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    #[error("the message layer refused")]
    Bus(#[from] BusError),
    #[error("the entry could not be written")]
    Codec(#[from] CodecError),
    #[error("gave up after {0} lost races for the run's log")]
    Contended(u32),
}

/// Another scheduler may be at work on the same run. Races are settled by the store; this many in a row are not normal.
const MAX_RACES: u32 = 16;

impl Shard {
    /// Makes a turn.
    pub(crate) async fn turn(&self, run: RunId, cause: Cause) -> Result<Outcome, TurnError> {
        let slot = self.slot(run);
        let mut slot = slot.lock().await;
        self.turn_in(&mut slot, run, cause).await
    }

    /// Makes a turn of a run whose slot is held.
    pub(crate) async fn turn_in(&self, slot: &mut Slot, run: RunId, cause: Cause) -> Result<Outcome, TurnError> {
        slot.load(self, run).await?;
        let decided = self.decide_and_commit(slot, run, &cause).await?;
        let Some(state) = slot.run.as_ref() else { return Ok(Outcome::NoSuchRun) };
        let (due, outcome) = match decided {
            Ok(events) => {
                self.note(state, &events);
                self.count(state, &events);
                (run::due_after(state, &events), Outcome::Decided)
            }
            // A redelivery of what was decided before: the process may have died before it performed it.
            Err(Some(refusal)) => {
                let status = run::status(state);
                (run::outstanding(state), Outcome::Refused { refusal, status })
            }
            Err(None) => (run::outstanding(state), Outcome::Decided),
        };
        let granted = effects::perform(self, slot, due).await?;
        if granted {
            // The locks were free: go on at once, in the same hold of the slot.
            return Box::pin(self.turn_in(slot, run, Cause::Input(Input::LocksGranted))).await.map(|_| outcome);
        }
        if slot.shown < slot.seq {
            self.pictures.ask(run);
        }
        Ok(outcome)
    }

    /// Decides and commits, again from the start when another scheduler was faster. `Err(Some)` is a refusal, `Err(None)`
    /// says that there was nothing to decide.
    async fn decide_and_commit(
        &self,
        slot: &mut Slot,
        run: RunId,
        cause: &Cause,
    ) -> Result<Result<Vec<Event>, Option<Refusal>>, TurnError> {
        for _ in 0..MAX_RACES {
            slot.load(self, run).await?;
            let now = Timestamp::now();
            let decided = match (&mut slot.run, cause) {
                (None, Cause::Trigger(trigger)) => {
                    let (made, events) = run::accept(trigger, now, &self.policy);
                    slot.run = Some(made);
                    Ok(events)
                }
                (Some(_), Cause::Trigger(_)) => Err(Refusal::AlreadySo),
                (Some(state), Cause::Input(input)) => run::decide(state, input, now, &self.policy),
                (None, Cause::Input(_) | Cause::Again) | (Some(_), Cause::Again) => {
                    if slot.is_current(self, run).await? {
                        return Ok(Err(None));
                    }
                    continue;
                }
            };
            match decided {
                Ok(events) if self.commit(slot, run, now, &events).await? => return Ok(Ok(events)),
                Ok(_) => {}
                // A "no" is an answer only if it was given to what is so now.
                Err(refusal) if slot.is_current(self, run).await? => return Ok(Err(Some(refusal))),
                Err(_) => {}
            }
        }
        Err(TurnError::Contended(MAX_RACES))
    }

    /// Appends the decision to the run's log. `false`: somebody else decided first, and the slot has forgotten the run.
    async fn commit(&self, slot: &mut Slot, run: RunId, at: Timestamp, events: &[Event]) -> Result<bool, TurnError> {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let entry = Entry { nonce: nonce.clone(), at, events: events.to_vec() };
        let bytes = codec::encode(&entry).inspect_err(|_| slot.forget())?;
        let open = slot.run.as_ref().is_some_and(|run| !run.is_over());
        failpoint::failpoint!("scheduler.deciding", each events);
        match self.bus.run_log().commit(run, slot.seq, bytes, open).await {
            Ok(seq) => {
                failpoint::failpoint!("scheduler.committed", each events);
                slot.seq = seq;
                Ok(true)
            }
            Err(BusError::Conflict { .. }) => {
                slot.forget();
                Ok(false)
            }
            Err(error) => {
                // Whether it was stored is not known (a time-out): never assume, read.
                slot.forget();
                if !matches!(error, BusError::Timeout { .. }) {
                    return Err(error.into());
                }
                self.was_committed(slot, run, &nonce).await
            }
        }
    }

    async fn was_committed(&self, slot: &mut Slot, run: RunId, nonce: &str) -> Result<bool, TurnError> {
        let stored = self.bus.run_log().load(run).await?;
        slot.load(self, run).await?;
        let ours = |bytes: &[u8]| codec::decode::<Entry>(bytes).is_ok_and(|entry| entry.nonce == nonce);
        Ok(stored.iter().rev().any(|(_, bytes)| ours(bytes)))
    }

    fn count(&self, run: &Run, events: &[Event]) {
        for event in events {
            effects::count(&self.metrics, run, event);
        }
    }
}
