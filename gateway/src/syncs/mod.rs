//! Starting runs of syncs: for a push (`hooks`), for `POST /sync` and for a version at `POST /deploy`; and how they stand.
//!
//! Who may ask is shown in [`mod@proof`], what may be asked is decided in [`request`], how a run is told in [`result`], how long a stamp is
//! good in [`stamp`]; all four are pure but for using the nonces up. [`mod@start`] stores a run, [`version`] knows which run a deployment is.

mod proof;
mod request;
mod result;
mod stamp;
mod start;
mod status;
mod sync;
mod version;

pub(crate) use proof::{Asked, Asker, asked};
pub(crate) use request::{Asking, Body, Fields, Version, is_deployment_id, what_is};
pub(crate) use result::{NotChosen, ServiceResult, SyncResultBody, not_chosen, services};
pub(crate) use start::{Wanted, shard_of, start};
pub(crate) use status::{NotFoundBody, StatusSchema, by_id, status};
pub(crate) use sync::{SyncBody, SyncSchema, sync};
pub(crate) use version::{CachedBody, VersionBody, VersionSchema, deploy};

use proto::sync::{BadSyncName, Environment};
use service::settings::{Period, Settings};
use std::time::Duration;

/// What the settings say about syncs, besides their sources.
#[derive(Debug)]
pub(crate) struct SyncRules {
    /// See `proto::sync::SyncSpec::command`.
    pub(crate) command: Vec<String>,
    /// Budget of one service's sync, in seconds.
    pub(crate) timeout_s: u32,
    pub(crate) require_stamped: bool,
    pub(crate) signature_ttl: Duration,
    pub(crate) immutable_refs_only: bool,
}

/// Why no sync can be started by these settings.
#[derive(Debug, thiserror::Error)]
pub enum SyncFault {
    /// The environment is none.
    #[error("sync.environment cannot be used")]
    Environment(#[source] BadSyncName),
    /// A stamp would be good again after its nonce is forgotten.
    #[error("sync.signature_ttl of {0} is longer than nonces are remembered for: a request could be sent again; write 30m or less")]
    Signature(Period),
}

impl SyncRules {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SyncFault> {
        let sync = &settings.sync;
        sync.environment.parse::<Environment>().map_err(SyncFault::Environment)?;
        // The settings are checked before; what they allow and what is remembered must never part.
        if stamp::remembered_for(*sync.signature_ttl) >= bus::Nonces::REMEMBERED {
            return Err(SyncFault::Signature(sync.signature_ttl));
        }
        Ok(Self {
            command: sync.command.clone(),
            timeout_s: u32::try_from(sync.timeout.as_secs()).unwrap_or(u32::MAX),
            require_stamped: sync.require_stamped_signatures,
            signature_ttl: *sync.signature_ttl,
            immutable_refs_only: sync.immutable_refs_only,
        })
    }
}
