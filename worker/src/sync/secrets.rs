//! Secrets of services that are made in Vault if they are missing. Looking is one thing, making another: it comes after the
//! last word.

use super::{
    floor::{Floor, failed},
    made::Made,
};
use credentials::{Cause, CredentialError, Keeper, KeptSecret};
use proto::message::AttemptOutcome;
use std::collections::BTreeMap;

/// Where secrets of services are.
#[derive(Debug, Clone, Copy)]
pub struct Secrets<'a> {
    pub keeper: &'a Keeper,
    /// The mount of the key-value engine.
    pub mount: &'a str,
}

impl Secrets<'_> {
    /// The version that the service's secret will have once nothing is missing. Changes nothing.
    pub(super) async fn look(&self, floor: &mut impl Floor, made: &Made) -> Result<BTreeMap<String, u64>, AttemptOutcome> {
        let Some(secret) = &made.secret else { return Ok(BTreeMap::new()) };
        let kept = self.keeper.kept_secret(&self.place(&secret.path), &secret.keys).await.map_err(|error| refused(floor, &error))?;
        let KeptSecret { version, missing } = kept;
        Ok(BTreeMap::from([(secret.path.clone(), if missing.is_empty() { version } else { version + 1 })]))
    }

    /// Makes what is missing; the version it has now.
    pub(super) async fn ensure(&self, floor: &mut impl Floor, made: &Made) -> Result<BTreeMap<String, u64>, AttemptOutcome> {
        let Some(secret) = &made.secret else { return Ok(BTreeMap::new()) };
        let kept = self.keeper.ensure_secret(&self.place(&secret.path), &secret.keys).await.map_err(|error| refused(floor, &error))?;
        if !kept.missing.is_empty() {
            floor.narrate(&format!("Made {} of the secret {}", kept.missing.join(", "), secret.path));
        }
        Ok(BTreeMap::from([(secret.path.clone(), kept.version)]))
    }

    fn place(&self, path: &str) -> String {
        format!("{}/{}", self.mount, path.trim_start_matches('/'))
    }
}

fn refused(floor: &impl Floor, error: &CredentialError) -> AttemptOutcome {
    let kind = match &error.cause {
        Cause::Denied(_) => "vault_permission_denied",
        Cause::NotFound(_) | Cause::Unreachable(_) | Cause::Malformed(_) => "vault_secret_missing",
    };
    let message = format!("the service's secret cannot be seen to: {error}; nothing was deployed");
    failed(floor, kind, &message, "Check worker.credentials.vault_url and what the worker's token may do there (read, create, update).")
}
