//! One turn: load the run, decide, commit, perform. Everything that happens to a run passes here.

use crate::{
    effects, pages, places,
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
    /// A person wants something of a run. The id tells the same command delivered again from a second one.
    Command { id: String, input: Input },
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
    #[error("the turn panicked: a bug; see the log")]
    Panicked,
    #[error("gave up after {0} lost races for the run's log")]
    Contended(u32),
}

impl TurnError {
    /// Whether the fault lies in what was to be handled, so that handling it again helps nobody: not in a store that is
    /// away or not as it must be.
    pub(crate) fn is_poison(&self) -> bool {
        match self {
            Self::Codec(_) | Self::Panicked => true,
            Self::Contended(_) => false,
            Self::Bus(error) => match error {
                BusError::Corrupt { .. } | BusError::TooLarge { .. } | BusError::Invalid { .. } => true,
                BusError::Unavailable { .. }
                | BusError::Timeout { .. }
                | BusError::Conflict { .. }
                | BusError::Full { .. }
                | BusError::Denied { .. }
                | BusError::NotFound { .. }
                | BusError::Layout { .. }
                | BusError::OldServer { .. }
                | BusError::Refused { .. } => false,
            },
        }
    }
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
        if let Cause::Input(Input::LocksGranted { keys }) = &cause {
            // Whoever handed them on did not know yet that the run had done with them: they are to be given back again.
            slot.returned.retain(|key| !keys.contains(key));
        }
        let decided = self.decide_and_commit(slot, run, &cause).await?;
        let Some(state) = slot.run.as_ref() else { return Ok(Outcome::NoSuchRun) };
        let (due, outcome) = match decided {
            Ok(events) => {
                pages::touch(&mut slot.touched, state, &events);
                self.note(state, &events);
                self.count(state, &events);
                (run::due_after(state, &events), Outcome::Decided)
            }
            // A hint, and no word of anything that was done before.
            Err(Some(refusal)) if matches!(cause, Cause::Input(Input::Newer(_))) => {
                let status = run::status(state);
                (Vec::new(), Outcome::Refused { refusal, status })
            }
            // A redelivery of what was decided before: the process may have died before it performed it.
            Err(Some(refusal)) => {
                let status = run::status(state);
                (run::outstanding(state), Outcome::Refused { refusal, status })
            }
            Err(None) => (run::outstanding(state), Outcome::Decided),
        };
        for found in effects::perform(self, slot, due).await? {
            // The locks were free, say: go on at once, in the same hold of the slot.
            Box::pin(self.turn_in(slot, run, Cause::Input(found))).await?;
        }
        if slot.shown < slot.seq {
            self.pictures.ask(run);
        }
        if let Some(state) = slot.run.as_ref().filter(|run| run.orders.is_some()) {
            places::hand_out(self, state);
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
                // Its effect stands in the log: what has happened since then does not make it a "no".
                (Some(_), Cause::Command { id, .. }) if slot.causes.contains(id) => return Ok(Err(None)),
                (Some(state), Cause::Input(input) | Cause::Command { input, .. }) => run::decide(state, input, now, &self.policy),
                (None, Cause::Input(_) | Cause::Command { .. } | Cause::Again) | (Some(_), Cause::Again) => {
                    if slot.is_current(self, run).await? {
                        return Ok(Err(None));
                    }
                    continue;
                }
            };
            match decided {
                Ok(mut events) => {
                    // In the same entry: what became ready by this decision, and has a place, goes out with it.
                    if let Some(state) = &mut slot.run {
                        places::fill(self, state, now, &mut events);
                    }
                    if self.commit(slot, run, entry_of(now, &events, cause)).await? {
                        return Ok(Ok(events));
                    }
                }
                // A "no" is an answer only if it was given to what is so now.
                Err(refusal) if slot.is_current(self, run).await? => return Ok(Err(Some(refusal))),
                Err(_) => {}
            }
        }
        Err(TurnError::Contended(MAX_RACES))
    }

    /// Appends the decision to the run's log. `false`: somebody else decided first, and the slot has forgotten the run.
    async fn commit(&self, slot: &mut Slot, run: RunId, entry: Entry) -> Result<bool, TurnError> {
        let bytes = codec::encode(&entry).inspect_err(|_| slot.forget())?;
        let open = slot.run.as_ref().is_some_and(|run| !run.is_over());
        failpoint::failpoint!("scheduler.deciding", each & entry.events);
        match self.bus.run_log().commit(run, slot.seq, bytes, open).await {
            Ok(seq) => {
                failpoint::failpoint!("scheduler.committed", each & entry.events);
                slot.seq = seq;
                slot.causes.extend(entry.cause);
                slot.told_at.get_or_insert(entry.at);
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
                self.was_committed(slot, run, &entry.nonce).await
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

/// The entry of a decision, with a name of its own to recognise it by.
fn entry_of(at: Timestamp, events: &[Event], cause: &Cause) -> Entry {
    let cause = match cause {
        Cause::Command { id, .. } => Some(id.clone()),
        Cause::Trigger(_) | Cause::Input(_) | Cause::Again => None,
    };
    Entry { cause, ..Entry::new(uuid::Uuid::new_v4().simple().to_string(), at, events.to_vec()) }
}
