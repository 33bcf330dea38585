//! A permit: what an attempt is to do, with the run's secrets sealed to the attempt's own key. They are opened here and
//! nowhere else on the way, and are never written down in the clear.

use crate::shard::Shard;
use bus::{BusError, SealError};
use domain::run::{self, Run};
use proto::{
    AttemptNo, JobNo,
    ids::AttemptId,
    message::{Permit, Sealed},
};

/// Why a permit cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PermitError {
    #[error("the message layer refused")]
    Bus(#[from] BusError),
    #[error("the run's secrets are gone from the store")]
    SecretsMissing,
    #[error("the run's secrets cannot be opened with this scheduler's key")]
    Seal(#[from] SealError),
    #[error("the attempt has no work that this scheduler knows")]
    NoWork,
}

/// The run's secrets, sealed to one attempt's key.
pub(crate) async fn secrets_for(shard: &Shard, run: &Run, id: AttemptId, public_key: &str) -> Result<Option<Sealed>, PermitError> {
    if !run.has_secrets {
        return Ok(None);
    }
    let stored = shard.bus.sealed().get(run.id).await?.ok_or(PermitError::SecretsMissing)?;
    let plain = shard.sealing.open(&stored, &run.id.to_string())?;
    Ok(Some(bus::seal_to(public_key, &id.to_string(), &plain)?))
}

/// The permit of an attempt that was just permitted.
pub(crate) fn write(run: &Run, job: JobNo, attempt: AttemptNo, nonce: &str, secrets: Option<Sealed>) -> Result<Permit, PermitError> {
    let (work, budget_ms) = run::work_of(run, job, attempt).ok_or(PermitError::NoWork)?;
    Ok(Permit {
        id: AttemptId { run: run.id, job, attempt },
        nonce: nonce.to_owned(),
        work,
        budget_ms,
        secrets,
        traceparent: run.traceparent.clone(),
    })
}
