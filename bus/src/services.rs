//! SERVICES: how services and sources stand, as the schedulers derive it from the runs' logs. Losing it loses nothing but the
//! memory of what was synced when.

use crate::bucket::{Bucket, value_of};
use crate::error::BusError;
use crate::link::Link;
use crate::locks::Held;
use proto::SourceId;
use proto::subject;
use proto::sync::{Environment, ServiceId, ServiceState, SourceState};

/// The states.
#[derive(Debug, Clone)]
pub struct Services {
    bucket: Bucket,
}

impl Services {
    pub(crate) fn new(link: Link) -> Self {
        Self { bucket: Bucket::new(link, subject::SERVICES) }
    }

    /// How a service stands, as the leader has it; `None`: it was never synced.
    pub async fn service(&self, environment: &Environment, service: &ServiceId) -> Result<Held<Option<ServiceState>>, BusError> {
        let entry = self.bucket.get(&subject::service_key(environment, service)).await?;
        Ok(Held { value: entry.value, revision: entry.revision })
    }

    /// Writes how a service stands. [`BusError::Conflict`]: somebody else did meanwhile.
    pub async fn put_service(&self, state: &ServiceState, revision: u64) -> Result<(), BusError> {
        let key = subject::service_key(&state.environment, &state.service);
        self.bucket.put_if(&key, state, revision).await.map(|_| ())
    }

    /// What is known of a source, as the leader has it; `None`: nothing yet.
    pub async fn source(&self, source: &SourceId) -> Result<Held<Option<SourceState>>, BusError> {
        let entry = self.bucket.get(&subject::source_key(source)).await?;
        Ok(Held { value: entry.value, revision: entry.revision })
    }

    /// Writes what is known of a source. [`BusError::Conflict`]: somebody else did meanwhile.
    pub async fn put_source(&self, state: &SourceState, revision: u64) -> Result<(), BusError> {
        self.bucket.put_if(&subject::source_key(&state.source), state, revision).await.map(|_| ())
    }

    /// Every service. In a cluster it may miss what was written this instant.
    pub async fn list(&self) -> Result<Vec<ServiceState>, BusError> {
        let mut found = Vec::new();
        for stored in self.bucket.all().await? {
            if !self.bucket.key(&stored.subject).starts_with("service.") {
                continue;
            }
            match value_of::<ServiceState>(&stored) {
                Ok(state) => found.extend(state),
                Err(error) => tracing::warn!(%error, "the state of a service that cannot be read"),
            }
        }
        Ok(found)
    }
}
