//! The scheduler's public key, to which a run's secrets are sealed.
//!
//! Read from the bucket KEYS and remembered for a moment: schedulers may be given a new key at any time. The gateway can
//! seal and never open.

use crate::answers::{Refusal, chain};
use bus::{Keys, SealError, seal_to};
use proto::{
    RunId,
    message::{PublicSealingKey, Sealed},
    subject,
    terraform::SecretBundle,
};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a key is believed without looking again.
const FRESH: Duration = Duration::from_secs(20);

/// The key.
#[derive(Debug)]
pub(crate) struct SealingKey {
    store: Keys,
    known: Mutex<Option<(String, Instant)>>,
}

impl SealingKey {
    /// The key in a bucket.
    pub(crate) fn new(store: Keys) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// Seals a run's secrets so that only the scheduler can open them, and only for this run.
    pub(crate) async fn seal(&self, run: RunId, bundle: &SecretBundle) -> Result<Sealed, Refusal> {
        let plain = serde_json::to_vec(bundle).map_err(|error| fault(&error))?;
        self.seal_bytes(run, &plain).await
    }

    /// Seals what is encoded already.
    pub(crate) async fn seal_bytes(&self, run: RunId, plain: &[u8]) -> Result<Sealed, Refusal> {
        let context = run.to_string();
        if let Some(key) = self.remembered()
            && let Ok(sealed) = seal_to(&key, &context, plain)
        {
            return Ok(sealed);
        }
        let key = self.read().await?;
        seal_to(&key, &context, plain).map_err(|error: SealError| fault(&error))
    }

    fn remembered(&self) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(_, read_at)| read_at.elapsed() < FRESH).map(|(key, _)| key.clone())
    }

    async fn read(&self) -> Result<String, Refusal> {
        let PublicSealingKey { public, .. } = self.store.get(subject::SEALING_KEY).await?.ok_or(Refusal::NoScheduler)?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((public.clone(), Instant::now()));
        Ok(public)
    }
}

fn fault(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(error = chain(error), "a run's secrets cannot be sealed");
    Refusal::Internal
}
