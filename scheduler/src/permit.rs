//! A permit: what an attempt is to do, with the run's secrets sealed to the attempt's own key. They are opened here and
//! nowhere else on the way, and are never written down in the clear.

use crate::shard::Shard;
use bus::{BusError, SealError};
use domain::run::{self, Run};
use proto::{
    AttemptNo, JobNo,
    ids::AttemptId,
    message::{Permit, Sealed},
    orders::OrdersSpec,
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Why a permit cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PermitError {
    #[error("the message layer refused")]
    Bus(#[from] BusError),
    #[error("the run's secrets are gone from the store")]
    SecretsMissing,
    #[error("the run's secrets cannot be opened with this scheduler's key")]
    Seal(#[from] SealError),
    #[error("the run's secrets are not in the form that this scheduler knows")]
    SecretsUnreadable,
    #[error("the attempt has no work that this scheduler knows")]
    NoWork,
}

/// The run's secrets, sealed to one attempt's key.
pub(crate) async fn secrets_for(shard: &Shard, run: &Run, id: AttemptId, public_key: &str) -> Result<Option<Sealed>, PermitError> {
    if !run.has_secrets {
        return Ok(None);
    }
    let plain = if let Some(spec) = run.orders_spec() {
        bundle_of(shard, run, spec, id.job).await?
    } else {
        let stored = shard.bus.sealed().get(run.id).await?.ok_or(PermitError::SecretsMissing)?;
        shard.sealing.open(&stored, &run.id.to_string())?
    };
    Ok(Some(bus::seal_to(public_key, &id.to_string(), &plain)?))
}

/// One order's bundle out of its page: no attempt sees another order's secrets.
async fn bundle_of(shard: &Shard, run: &Run, spec: &OrdersSpec, order: JobNo) -> Result<Vec<u8>, PermitError> {
    let page = spec.page_of(order).ok_or(PermitError::SecretsMissing)?;
    let stored = shard.bus.sealed().page(run.id, page).await?.ok_or(PermitError::SecretsMissing)?;
    let plain = Zeroizing::new(shard.sealing.open(&stored, &run.id.to_string())?);
    // Not as bundles: they are handed on as they are, whatever they hold.
    let bundles: Vec<&RawValue> = serde_json::from_slice(&plain).map_err(|_| PermitError::SecretsUnreadable)?;
    let first = spec.page_starts.get(page as usize).copied().ok_or(PermitError::SecretsMissing)?;
    let bundle = bundles.get((order.0 - first) as usize).ok_or(PermitError::SecretsMissing)?;
    Ok(bundle.get().as_bytes().to_vec())
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
