//! The sequence: read, compare, and only then change.

use super::{
    client::{Api, ApiError},
    failures::{appeared, kind, no_place, nothing_deployed, unreadable, vanished},
    plan::{self, Names},
    remote::{self, NoPlace, Place},
    verify::{Asked, verify},
    wire::{ComposeMade, EnvironmentMade, Ignored},
};
use crate::sync::{
    env_text::{self, Lines},
    environment::Variables,
    floor::{Clock, Floor, Patience, failed, shown, unless_pressed},
    guard,
    kept::{self, DEPLOYED},
    made::Made,
    secrets::Secrets,
    ssh::Host,
};
use proto::{
    message::{AttemptOutcome, JobResult},
    sync::{DokployTarget, Domain, PAUSED, ServiceSync, SyncAction, SyncResult},
};
use serde_json::json;
use services::{
    backoff::REMOTE_UNREADABLE,
    hash::{Gate, VARIABLE},
};
use std::collections::BTreeSet;

/// One service to bring up to date.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub sync: &'a ServiceSync,
    pub target: &'a DokployTarget,
    pub made: &'a Made,
    pub variables: &'a Variables,
    pub api: &'a Api,
    pub clock: &'a dyn Clock,
    pub patience: Patience,
    pub secrets: Secrets<'a>,
    /// Where data folders are made.
    pub host: Option<&'a Host>,
}

/// Does all of it.
pub async fn perform(floor: &mut impl Floor, order: &Order<'_>) -> AttemptOutcome {
    match Sequence::begin(floor, order).await {
        Ok(result) => AttemptOutcome::Succeeded { result: JobResult::Sync(result) },
        Err(outcome) => outcome,
    }
}

/// What is known on the way.
struct Sequence<'a, 'o> {
    order: &'a Order<'o>,
    names: Names,
    place: Place,
    before: Lines,
}

impl<'a, 'o> Sequence<'a, 'o> {
    async fn begin(floor: &mut impl Floor, order: &'a Order<'o>) -> Result<SyncResult, AttemptOutcome> {
        only_its_compose_file(floor, order.made)?;
        let names = Names::of(order.sync, order.target, order.variables);
        // A secret that is missing gets its next version, which is known before it is made.
        let expected = order.secrets.look(floor, order.made).await?;
        let local = order.made.hashes(&expected);
        let (place, env) = read(floor, order, &names).await?;
        let before = kept::read(floor, &env);
        let gate = kept::gate(&before, &local);
        if let (Gate::Unchanged { by }, false) = (&gate, order.sync.force) {
            if by.is_legacy() {
                adopt(floor, order, &place, &env, &local.v2).await;
            }
            let details = format!("nothing has changed: {} is deployed already, as {by} says", order.sync.service.service);
            return Ok(SyncResult { action: SyncAction::Skipped, details, hash: Some(local.v2), untouched: false });
        }
        kept::can_log_in(floor, order.made, &before)?;
        unless_pressed(floor)?;
        floor.start_effects().await.map_err(|reason| AttemptOutcome::NotStarted { reason })?;
        let versions = order.secrets.ensure(floor, order.made).await?;
        let identity = order.made.hashes(&versions).v2;
        if let (Some(data), Some(host)) = (&order.made.data, order.host) {
            host.make_folder(floor, data).await?;
        }
        let action = if gate == Gate::Absent { SyncAction::Created } else { SyncAction::Updated };
        let mut sequence = Self { order, names, place, before };
        let compose_id = sequence.make_place(floor).await?;
        failpoint::failpoint!("worker.dokploy.made");
        let note = sequence.deploy(floor, &compose_id, &identity).await?;
        let why = kept::reason(&gate, order.sync.force);
        let details = floor.mask(&format!("{} at {}: {why}{note}", action.as_str(), order.sync.commit));
        Ok(SyncResult { action, details, hash: Some(identity), untouched: false })
    }

    /// The compose service, made with all that it stands in if it is not there.
    async fn make_place(&mut self, floor: &mut impl Floor) -> Result<String, AttemptOutcome> {
        if let Some(compose_id) = &self.place.compose {
            return Ok(compose_id.clone());
        }
        let (api, names) = (self.order.api, &self.names);
        if self.place.environment.is_none() {
            self.place = make_environment(floor, api, names).await?;
            if self.place.compose.is_some() {
                return Err(appeared(floor));
            }
        }
        let body = json!({
            "name": names.compose,
            "environmentId": self.place.environment,
            "composeType": "docker-compose",
            "appName": names.app,
        });
        floor.narrate(&format!("Making the compose service {} in Dokploy", names.compose));
        let made = api.post::<ComposeMade>("compose.create", &body).await.map_err(|error| nothing_deployed(floor, &error))?;
        Ok(made.compose_id)
    }

    /// Stores what is to be deployed, deploys it, and sees that it is. Answers what is worth adding.
    async fn deploy(&self, floor: &mut impl Floor, compose_id: &str, identity: &str) -> Result<&'static str, AttemptOutcome> {
        let api = self.order.api;
        self.store(floor, compose_id, identity, false).await?;
        failpoint::failpoint!("worker.dokploy.stored");
        self.deploy_once(floor, compose_id, identity, "compose.deploy").await?;
        if let (Some(domain), Some(host)) = (&self.order.target.domain, &self.names.host)
            && self.make_domain(floor, compose_id, domain, host).await?
        {
            // Only a deployment puts a domain into the compose file that runs.
            self.deploy_once(floor, compose_id, identity, "compose.redeploy").await?;
        }
        failpoint::failpoint!("worker.dokploy.verified");
        let env = self.variables(floor, identity, true)?;
        match api.put::<Ignored>("compose.update", &json!({ "composeId": compose_id, "env": env, "autoDeploy": false })).await {
            Ok(_) => Ok(""),
            Err(error) => {
                floor.narrate(&format!(
                    "⚠ it is deployed, but Dokploy does not keep that it is: {}",
                    shown(&error.to_string(), |text| floor.mask(text))
                ));
                Ok("; Dokploy did not keep that it is deployed, so that the next sync deploys it once more")
            }
        }
    }

    async fn store(&self, floor: &mut impl Floor, compose_id: &str, identity: &str, deployed: bool) -> Result<(), AttemptOutcome> {
        let env = self.variables(floor, identity, deployed)?;
        let body = plan::update(compose_id, self.order.made, &env);
        // What `compose.create` was given is not kept reliably, so everything is set here.
        let stored = self.order.api.put::<Ignored>("compose.update", &body).await;
        stored.map(drop).map_err(|error| nothing_deployed(floor, &error))
    }

    fn variables(&self, floor: &impl Floor, identity: &str, deployed: bool) -> Result<String, AttemptOutcome> {
        let text = kept::variables(self.order.made, &self.before, self.order.sync.commit.as_str(), identity, deployed);
        text.map_err(|error| failed(floor, "service", &error.to_string(), "Write the value without them in the mapping."))
    }

    async fn deploy_once(
        &self,
        floor: &mut impl Floor,
        compose_id: &str,
        identity: &str,
        operation: &'static str,
    ) -> Result<(), AttemptOutcome> {
        let Order { api, sync, .. } = self.order;
        let known = remote::deployments(api, compose_id).await.map_err(|error| nothing_deployed(floor, &error))?;
        let before: BTreeSet<String> = known.into_iter().map(|deployment| deployment.id).collect();
        let title = format!("Navvy run {} {operation} {}", sync.run, sync.commit);
        let body = json!({ "composeId": compose_id, "title": title, "description": format!("identity {identity}") });
        floor.narrate(&format!("Deploying {} at {}", sync.service.service, sync.commit));
        let lost = match api.post::<Ignored>(operation, &body).await {
            Ok(_) => None,
            // It may have counted: only reading back can tell.
            Err(error @ (ApiError::NoAnswer { .. } | ApiError::Garbled { .. })) => Some(error.to_string()),
            Err(error @ (ApiError::LeftAlone(_) | ApiError::KeyRefused { .. } | ApiError::Refused { .. })) => {
                return Err(nothing_deployed(floor, &error));
            }
        };
        failpoint::failpoint!("worker.dokploy.asked");
        let asked = Asked { compose_id, made: self.order.made, identity, title: &title, before: &before, lost };
        verify(floor, api, self.order.clock, self.order.patience, &asked).await
    }

    /// Gives the service its host name; whether it had to.
    async fn make_domain(&self, floor: &mut impl Floor, compose_id: &str, domain: &Domain, host: &str) -> Result<bool, AttemptOutcome> {
        let api = self.order.api;
        let told = |floor: &mut _, error: &ApiError| {
            let message = format!("it is deployed, but its domain {host} is not set up: {error}");
            failed(floor, kind(error), &message, "Run the sync again when Dokploy is well.")
        };
        let there = match remote::read(api, compose_id).await {
            Ok(compose) => compose.domains.iter().any(|domain| domain.host == host),
            Err(error) => return Err(told(floor, &error)),
        };
        if there {
            return Ok(false);
        }
        let body = json!({
            "host": host, "path": "/", "port": domain.port, "https": true, "certificateType": "letsencrypt",
            "composeId": compose_id, "serviceName": domain.service, "domainType": "compose",
        });
        floor.narrate(&format!("Making the domain {host} in Dokploy"));
        match api.post::<Ignored>("domain.create", &body).await {
            Ok(_) => Ok(true),
            Err(error) => Err(told(floor, &error)),
        }
    }
}

/// The environment, made with its project where they are not there. Services that are new at the same time stand in the same
/// one, so another may have made it since it was looked.
async fn make_environment(floor: &mut impl Floor, api: &Api, names: &Names) -> Result<Place, AttemptOutcome> {
    let _turn = api.turn().await;
    let mut place = remote::find(api, names).await.map_err(|error| no_place(floor, &error, "nothing was deployed"))?;
    if place.project.is_none() {
        floor.narrate(&format!("Making the project {} in Dokploy", names.project));
        let made = api.post::<Ignored>("project.create", &json!({ "name": names.project })).await;
        made.map_err(|error| nothing_deployed(floor, &error))?;
        // It brings an environment along, which may be ours.
        place = remote::find(api, names).await.map_err(|error| no_place(floor, &error, "nothing was deployed"))?;
    }
    let project_id = place.project.clone().ok_or_else(|| vanished(floor, "project"))?;
    if place.environment.is_none() {
        let body = json!({ "projectId": project_id, "name": names.environment });
        let made = api.post::<EnvironmentMade>("environment.create", &body).await.map_err(|error| nothing_deployed(floor, &error))?;
        place.environment = Some(made.environment_id);
    }
    Ok(place)
}

/// Reads what is there. What cannot be read is not deployed over: a Dokploy that fails under load must not be given more
/// to do. Who forces it takes that on himself, unless something would be lost.
async fn read(floor: &mut impl Floor, order: &Order<'_>, names: &Names) -> Result<(Place, String), AttemptOutcome> {
    let place = remote::find(order.api, names).await.map_err(|error| match &error {
        NoPlace::Api(error @ ApiError::LeftAlone(_)) => left_alone(floor, error),
        NoPlace::Api(_) | NoPlace::Ambiguous { .. } => no_place(floor, &error, "nothing was touched"),
    })?;
    let Some(compose_id) = &place.compose else { return Ok((place, String::new())) };
    match remote::read(order.api, compose_id).await {
        Ok(compose) => Ok((place, compose.env.unwrap_or_default())),
        Err(error) if order.sync.force && kind(&error) == REMOTE_UNREADABLE => {
            floor.narrate(&format!(
                "⚠ what is deployed cannot be read ({}); going on, because it is forced",
                shown(&error.to_string(), |text| floor.mask(text))
            ));
            Ok((place, String::new()))
        }
        Err(error @ ApiError::LeftAlone(_)) => Err(left_alone(floor, &error)),
        Err(error) => Err(unreadable(floor, &error)),
    }
}

/// Nothing was asked and nothing begun: that says nothing about the service, and is put off.
fn left_alone(floor: &impl Floor, error: &ApiError) -> AttemptOutcome {
    failed(floor, PAUSED, &format!("{error}; nothing was touched"), guard::PUT_OFF)
}

/// Stores our identity beside a service that the replaced one has deployed as it would be now. Its old hash sees less than ours:
/// no secret's version and few files. Nothing is deployed; if it cannot be stored, the next sync tries again.
async fn adopt(floor: &mut impl Floor, order: &Order<'_>, place: &Place, env: &str, identity: &str) {
    let Some(compose_id) = &place.compose else { return };
    let why = match floor.start_effects().await {
        Ok(()) => {
            let env = env_text::with(env, &[(VARIABLE, identity), (DEPLOYED, identity)]);
            match order.api.put::<Ignored>("compose.update", &json!({ "composeId": compose_id, "env": env })).await {
                Ok(_) => return floor.narrate("Stored the full identity beside the service, in place of its old hash"),
                Err(error) => error.to_string(),
            }
        }
        Err(reason) => reason,
    };
    floor.narrate(&format!("⚠ the full identity is not stored beside the service yet: {}", shown(&why, |text| floor.mask(text))));
}

fn only_its_compose_file(floor: &impl Floor, made: &Made) -> Result<(), AttemptOutcome> {
    if made.files.is_empty() {
        return Ok(());
    }
    let mut named: Vec<&str> = made.files.iter().take(3).map(proto::path::RepoPath::as_str).collect();
    if made.files.len() > named.len() {
        named.push("…");
    }
    let message = format!(
        "the service needs files of the repository besides its compose file ({}), and Dokploy takes none at an exact commit; nothing was touched",
        named.join(", ")
    );
    Err(failed(floor, "service", &message, "Sync it with the executor `compose` or `command`, or take the files into an image."))
}
