//! Asking the scheduler: the permit, and the last word before side effects. A lost answer is asked for again with the
//! same nonce; an answer that comes too late is not used.

use crate::{crew::Crew, stop::Stop};
use bus::{BusError, KeyPair};
use nix::time::{ClockId, clock_gettime};
use proto::{
    Seat,
    ids::AttemptId,
    message::{Ask, AskAnswer, AskWhat, PERMIT_LIFE_MS, Permit},
};
use std::time::Duration;

/// How long one question waits for its answer.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// How often a question is asked before the order is given back. Together within a permit's life.
const TRIES: u32 = 4;
/// Pause before the last word is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What came of asking to begin.
#[derive(Debug)]
pub(crate) enum Begun {
    Permit(Box<Permit>),
    /// Permitted, but the answer took longer than a permit lives: it must not be used, and must be reported unused.
    TooLate,
    /// Never for this attempt.
    Refused(String),
    /// Nobody answered, or nobody could decide.
    Later,
}

/// The questions of one attempt.
#[derive(Debug)]
pub(crate) struct Asking {
    id: AttemptId,
    nonce: String,
    pub(crate) keys: KeyPair,
}

impl Asking {
    pub(crate) fn new(id: AttemptId) -> Self {
        Self { id, nonce: uuid::Uuid::new_v4().simple().to_string(), keys: KeyPair::generate() }
    }

    /// Asks to begin.
    pub(crate) async fn begin(&self, crew: &Crew) -> Begun {
        let asked = since_boot();
        let what = AskWhat::Begin { public_key: self.keys.public_hex() };
        match self.ask(crew, what).await.unwrap_or_default() {
            Some(AskAnswer::Permit(permit)) if permit.nonce == self.nonce && permit.id == self.id => {
                if since_boot().saturating_sub(asked) > Duration::from_millis(PERMIT_LIFE_MS) {
                    Begun::TooLate
                } else {
                    Begun::Permit(permit)
                }
            }
            Some(AskAnswer::Refused { reason }) => Begun::Refused(reason),
            Some(AskAnswer::Permit(_) | AskAnswer::Go | AskAnswer::Later { .. }) | None => Begun::Later,
        }
    }

    /// Asks for the last word, for as long as nobody answers and nobody wants a stop. `Err`: do not start; the text says why.
    ///
    /// There is no giving up on a silent scheduler: a yes may have been stored and its answer lost, and an attempt that has
    /// the word and does not use it is `unknown` to everybody else. Where NATS does not let the question through, there
    /// was none.
    pub(crate) async fn start_effects(&self, crew: &Crew, stop: &Stop, serial_before: Option<u64>) -> Result<(), String> {
        loop {
            let asked = since_boot();
            match self.ask(crew, AskWhat::StartEffects { serial_before }).await.map_err(|denied| denied.to_string())? {
                // M5: an old yes is a no. The machine may have slept in between; the same question gets the same yes.
                Some(AskAnswer::Go) if since_boot().saturating_sub(asked) > Duration::from_millis(PERMIT_LIFE_MS) => {}
                Some(AskAnswer::Go) => return Ok(()),
                Some(AskAnswer::Refused { reason }) => return Err(reason),
                Some(AskAnswer::Permit(_)) => return Err("the scheduler answered another question".to_owned()),
                Some(AskAnswer::Later { .. }) | None => {}
            }
            tokio::select! {
                _ = stop.stronger_than(None) => return Err("it was told to stop before it had the word to start".to_owned()),
                () = tokio::time::sleep(ASK_AGAIN) => {}
            }
        }
    }

    /// The answer, or `None` if there was none. An error says that the question may not be asked at all.
    async fn ask(&self, crew: &Crew, what: AskWhat) -> Result<Option<AskAnswer>, BusError> {
        let Seat { pool, worker } = crew.seat.clone();
        let ask = Ask { id: self.id, pool, worker, nonce: self.nonce.clone(), what };
        for _ in 0..TRIES {
            match crew.bus.asks().ask(&ask, ANSWER_WAIT).await {
                Ok(AskAnswer::Later { reason }) => tracing::debug!(attempt = %self.id, reason, "the scheduler asks to come back"),
                Ok(answer) => return Ok(Some(answer)),
                Err(BusError::Timeout { .. } | BusError::Unavailable { .. }) => {}
                Err(error) if error.is_denied() => return Err(error),
                Err(error) => {
                    tracing::warn!(attempt = %self.id, %error, "the scheduler could not be asked");
                    return Ok(None);
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(None)
    }
}

/// Time since boot, time asleep included. When the clock cannot be read, no time counts as short: `MAX - 0` is too late.
fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::MAX, Duration::from)
}
