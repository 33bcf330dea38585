//! Takes a request in: its secrets are stored sealed, then its trigger; only then it is accepted.
//!
//! What if this process dies on the way, or a twin of the request is under way at the same time?
//!
//! - Before the secrets are stored: nothing happened; the caller heard nothing.
//! - Between secrets and trigger: a bundle without a run, sealed, which only the age of the bucket removes. A repeat with the
//!   same Idempotency-Key finds no run, and publishes the trigger.
//! - After the trigger: the run exists and its secrets were there before it. A repeat gets the same run.
//! - Twins (same caller, key, body): same run id, same message id, same content of the bundle (see [`super::identity`]). Both
//!   may store the bundle and both may publish; the INBOX keeps one trigger, and which bundle stands makes no difference.
//! - Same key, other body: another run id, so each has a bundle of its own and can never get the other's. The message id is
//!   the same, so the INBOX keeps one trigger; the other request finds that what was kept is not its run, and is refused.
//! - The trigger's fate unknown (no answer): its bundle is never removed, because the run may exist.

use super::identity::Identity;
use crate::{answers::Refusal, app::App};
use bus::BusError;
use proto::{
    RunId,
    message::{InboxMessage, Trigger},
    terraform::SecretBundle,
};

/// A request that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) run: RunId,
    /// It had been accepted before.
    pub(crate) replayed: bool,
}

/// Accepts a request, or says why not.
pub(crate) async fn admit(app: &App, identity: &Identity, trigger: Trigger, bundle: Option<SecretBundle>) -> Result<Admitted, Refusal> {
    let run = identity.run;
    if identity.digest.is_some()
        && let Some(known) = app.find_run(run).await?
    {
        return if known.request_digest == identity.digest { Ok(Admitted { run, replayed: true }) } else { Err(Refusal::KeyReused) };
    }
    if let Some(bundle) = bundle {
        store(app, identity, &bundle).await?;
    }
    failpoint::failpoint!("gateway.sealed");
    let traceparent = trigger.traceparent.clone();
    let message = InboxMessage::Trigger(Box::new(trigger));
    match app.bus.inbox().publish(run, &message, &identity.message_id, traceparent.as_deref()).await {
        Ok(stored) if !stored.duplicate => Ok(Admitted { run, replayed: false }),
        Ok(_) if app.bus.inbox().first_trigger(run).await?.is_some() => Ok(Admitted { run, replayed: true }),
        Ok(_) => {
            remove(app, run).await;
            Err(Refusal::KeyReused)
        }
        Err(error) => unpublished(app, identity, error).await,
    }
}

/// Stores the sealed bundle.
async fn store(app: &App, identity: &Identity, bundle: &SecretBundle) -> Result<(), Refusal> {
    let sealed = app.sealing.seal(identity.run, bundle).await?;
    // What a twin has stored holds the same; only one that is sealed to a key of yesterday must be replaced.
    if identity.digest.is_some() {
        let there = app.bus.sealed().get(identity.run).await?;
        if there.is_some_and(|there| there.key_id == sealed.key_id) {
            return Ok(());
        }
    }
    Ok(app.bus.sealed().put(identity.run, &sealed).await?)
}

/// The trigger was not confirmed.
async fn unpublished(app: &App, identity: &Identity, error: BusError) -> Result<Admitted, Refusal> {
    let run = identity.run;
    match &error {
        BusError::Timeout { .. } => {
            if app.bus.inbox().first_trigger(run).await?.is_some() {
                return Ok(Admitted { run, replayed: false });
            }
        }
        // Certainly not stored. A twin may count on the bundle of a request that can be repeated: that one stays.
        BusError::Unavailable { .. }
        | BusError::Conflict { .. }
        | BusError::TooLarge { .. }
        | BusError::Full { .. }
        | BusError::Denied { .. }
        | BusError::NotFound { .. }
        | BusError::Corrupt { .. }
        | BusError::Layout { .. }
        | BusError::OldServer { .. }
        | BusError::Refused { .. }
        | BusError::Invalid { .. } => {
            if identity.digest.is_none() {
                remove(app, run).await;
            }
        }
    }
    Err(error.into())
}

/// Removes the bundle of a run that will never be. Should it fail, the bucket's age removes it.
async fn remove(app: &App, run: RunId) {
    if let Err(error) = app.bus.sealed().delete(run).await {
        tracing::debug!(%run, error = crate::answers::chain(&error), "a bundle without a run stays behind");
    }
}
