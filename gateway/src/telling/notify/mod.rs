//! The hooks of the settings: who is told what becomes of runs, besides those that a run names itself.
//!
//! Which events a run shows is told by [`event`], what is said of one by [`message`], and how each receiver wants it by
//! [`format`]. Each event of a run is told to each hook once, by the same means as callbacks.

mod event;
mod format;
mod message;

use super::{
    callback::{Callback, Method},
    deliver::{self, Delivery},
    follow::{Next, Telling},
};
use crate::sources::{FileFault, Watched};
use bus::{BusError, Held, Notices};
use jiff::Timestamp;
use proto::{
    Secret, SourceId,
    ids::BadId,
    message::RunSpec,
    subject,
    sync::{BadSyncName, Environment},
    view::RunView,
};
use serde::{Deserialize, Serialize};
use service::settings::{self, NotifyFormat, Settings, event_matches};
use tokio::sync::OnceCell;

/// Why a hook cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotifyFault {
    #[error("notify `{id}`: this file cannot be used")]
    File {
        id: String,
        #[source]
        source: FileFault,
    },
    #[error("notify `{id}`: the address {why}")]
    Address { id: String, why: String },
    #[error("notify `{id}`: a source's id cannot be read")]
    Source {
        id: String,
        #[source]
        source: BadId,
    },
    #[error("notify `{id}`: the name of an environment cannot be read")]
    Environment {
        id: String,
        #[source]
        source: BadSyncName,
    },
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Hook {
    id: String,
    address: Watched<Callback>,
    secret: Option<Watched<Secret>>,
    format: NotifyFormat,
    events: Vec<String>,
    sources: Vec<SourceId>,
    environments: Vec<Environment>,
    /// Since when it is told.
    since: OnceCell<Timestamp>,
}

/// What NOTICES keep of a hook itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    since: Option<Timestamp>,
}

/// The hooks of the settings. Every file they name is read.
pub(crate) fn hooks(settings: &Settings) -> Result<Vec<Hook>, NotifyFault> {
    settings.notify.iter().map(|of| Hook::new(of, &settings.gateway.callback_hosts)).collect()
}

impl Hook {
    fn new(of: &settings::Notify, hosts: &[String]) -> Result<Self, NotifyFault> {
        let id = || of.id.clone();
        let address = match (&of.url, &of.url_file) {
            (Some(url), _) => address(url.expose(), hosts).map(Watched::fixed).map_err(|why| NotifyFault::Address { id: id(), why })?,
            (None, Some(path)) => {
                let hosts = hosts.to_vec();
                Watched::open(path, move |text| address(text, &hosts)).map_err(|source| NotifyFault::File { id: id(), source })?
            }
            // The settings are checked before.
            (None, None) => return Err(NotifyFault::Address { id: id(), why: "is missing".to_owned() }),
        };
        let secret = of.secret_file.as_ref().map(|path| Watched::open(path, secret)).transpose();
        Ok(Self {
            secret: secret.map_err(|source| NotifyFault::File { id: id(), source })?,
            address,
            format: of.format,
            events: of.events.clone(),
            sources: of
                .sources
                .iter()
                .map(|id| id.parse())
                .collect::<Result<_, _>>()
                .map_err(|source| NotifyFault::Source { id: id(), source })?,
            environments: of
                .environments
                .iter()
                .map(|name| name.parse())
                .collect::<Result<_, _>>()
                .map_err(|source| NotifyFault::Environment { id: id(), source })?,
            since: OnceCell::new(),
            id: id(),
        })
    }

    /// Whether it is told anything of such a run.
    pub(super) fn concerns(&self, spec: &RunSpec) -> bool {
        match spec {
            RunSpec::Sync(spec) => {
                let source = self.sources.is_empty() || self.sources.contains(&spec.source);
                source && (self.environments.is_empty() || self.environments.contains(&spec.environment))
            }
            RunSpec::Terraform(_) | RunSpec::Orders(_) => self.sources.is_empty() && self.environments.is_empty(),
            RunSpec::Probe(_) => false,
        }
    }

    fn wants(&self, event: &str) -> bool {
        self.events.iter().any(|pattern| event_matches(pattern, event))
    }

    /// Tells what a run shows now and was not told yet.
    pub(super) async fn tell(&self, telling: &Telling, view: &RunView) -> Result<Next, BusError> {
        let events: Vec<&'static str> = event::shown(view).into_iter().filter(|event| self.wants(event)).collect();
        if !self.concerns(&view.spec) || events.is_empty() || view.ended_at.is_some_and(|ended| Some(&ended) < self.since.get()) {
            return Ok(Next::Settled);
        }
        let since = *self.since.get_or_try_init(|| since(telling.app.bus.notices(), &self.id)).await?;
        if view.ended_at.is_some_and(|ended| ended < since) {
            return Ok(Next::Settled);
        }
        let what = format!("notify:{}", self.id);
        let mut next = Next::Settled;
        for event in events {
            let key = subject::notified_key(view.id, &self.id, event);
            next = next.min(telling.once(view, &key, &what, self.send(telling, view, event)).await?);
        }
        Ok(next)
    }

    async fn send(&self, telling: &Telling, view: &RunView, event: &'static str) -> Delivery {
        let callback = self.address.now();
        // The id is the same however often it is sent: receivers know a repeat by it.
        let id = format!("{}.{}.{event}", view.id, self.id);
        let said = message::of(view, event, &telling.public_url);
        let secret = self.secret.as_ref().map(Watched::now);
        match format::body(self.format, &said, &format::Signing { id: &id, secret: secret.as_deref(), at: Timestamp::now() }) {
            Ok(format::Body { headers, content, bytes }) => deliver::send(&telling.client, &callback, &headers, content, bytes).await,
            Err(why) => Delivery::Never(why.to_string()),
        }
    }
}

/// What was over before a hook was there is not told: else a new hook would hear of a day's runs at once. The first gateway
/// that sees a hook says so for all.
async fn since(notices: Notices, id: &str) -> Result<Timestamp, BusError> {
    let key = subject::notify_key(id);
    loop {
        let mut held: Held<Known> = notices.get(&key).await?;
        if let Some(since) = held.value.since {
            return Ok(since);
        }
        let now = Timestamp::now();
        held.value.since = Some(now);
        match notices.change(&key, &held).await {
            Ok(_) => return Ok(now),
            Err(BusError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

fn address(text: &str, hosts: &[String]) -> Result<Callback, String> {
    Callback::parse(Method::Post, text.trim(), hosts).map_err(|bad| bad.to_string())
}

fn secret(text: &str) -> Result<Secret, String> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    if line.len() < 16 || line.contains(char::is_whitespace) {
        return Err("is no good: a secret is one line of at least 16 characters without blanks".to_owned());
    }
    Ok(Secret::new(line))
}

#[cfg(test)]
mod tests;
