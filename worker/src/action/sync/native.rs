//! The executors that deploy by themselves, on an attempt's stage.

use super::perform::{failed, told};
use crate::{
    attempt::stage::Stage,
    sync::{
        PHASE, compose,
        dokploy::{self, Api},
        environment::{DOKPLOY_API_KEY, DOKPLOY_URL, INTERNAL_DOMAIN, Variables, missing},
        floor::{Floor, Patience, Pressing},
        made::{self, Made},
        secrets::Secrets,
        ssh::Host,
    },
};
use proto::{
    Secret,
    message::{AttemptOutcome, Failure, StopMode},
    sync::{ComposeTarget, DokployTarget, Native, ServiceSync},
};
use service::settings;
use std::path::Path;

impl Floor for Stage {
    fn narrate(&mut self, line: &str) {
        Stage::narrate(self, line);
    }

    fn learn(&mut self, name: &str, secret: &str) {
        if let Err(error) = self.learn_secrets(vec![(name.to_owned(), secret.to_owned())]) {
            tracing::error!(attempt = %self.folder.id, %error, "a secret cannot be masked");
        }
    }

    fn mask(&self, text: &str) -> String {
        self.masked(text)
    }

    fn mask_beginning(&self, text: &str) -> String {
        self.masked_beginning(text)
    }

    fn pressing(&self) -> Pressing {
        let timed_out = self.left().is_zero();
        match self.stop.wish().mode {
            Some(StopMode::Kill) => Pressing::Kill { timed_out },
            Some(StopMode::Interrupt) => Pressing::Stop { timed_out },
            None if timed_out => Pressing::Stop { timed_out },
            None => Pressing::Not,
        }
    }

    async fn start_effects(&mut self) -> Result<(), String> {
        Stage::start_effects(self).await
    }
}

/// A compose service of Dokploy.
pub(super) async fn by_dokploy(
    stage: &mut Stage,
    sync: &ServiceSync,
    target: &DokployTarget,
    variables: &Variables,
    checkout: &Path,
) -> AttemptOutcome {
    let crew = stage.crew.clone();
    let settings = &crew.settings.worker.sync;
    let ready = async {
        let api = api(stage, variables)?;
        let made = service(stage, sync, &target.native, variables, checkout).await?;
        // Only a service with a data folder needs the host.
        let host = made.data.as_ref().map(|_| host(stage, None)).transpose()?;
        Ok((api, made, host))
    };
    let (api, made, host) = match ready.await {
        Ok(ready) => ready,
        Err(outcome) => return outcome,
    };
    let order = dokploy::Order {
        sync,
        target,
        made: &made,
        variables,
        api: &api,
        clock: &*crew.clock,
        patience: patience(settings),
        secrets: Secrets { keeper: &crew.supplies.keeper, mount: &settings.vault_mount },
        host: host.as_ref(),
    };
    let outcome = dokploy::perform(stage, &order).await;
    told(stage, outcome)
}

/// `docker compose` on a host.
pub(super) async fn by_compose(
    stage: &mut Stage,
    sync: &ServiceSync,
    target: &ComposeTarget,
    variables: &Variables,
    checkout: &Path,
) -> AttemptOutcome {
    let crew = stage.crew.clone();
    let settings = &crew.settings.worker.sync;
    let ready = async {
        let host = host(stage, target.host.as_deref())?;
        Ok((host, service(stage, sync, &target.native, variables, checkout).await?))
    };
    let (host, made) = match ready.await {
        Ok(ready) => ready,
        Err(outcome) => return outcome,
    };
    let order = compose::Order {
        sync,
        target,
        made: &made,
        variables,
        checkout,
        host: &host,
        dir: &settings.compose_dir,
        secrets: Secrets { keeper: &crew.supplies.keeper, mount: &settings.vault_mount },
        clock: &*crew.clock,
        patience: patience(settings),
    };
    let outcome = compose::perform(stage, &order).await;
    told(stage, outcome)
}

fn patience(settings: &settings::WorkerSync) -> Patience {
    Patience { timeout: settings.verify_timeout.duration(), interval: settings.verify_interval.duration() }
}

fn api(stage: &mut Stage, variables: &Variables) -> Result<Api, AttemptOutcome> {
    // Without its domain a service would be deployed under another identity, with names that lead nowhere.
    let lacking = variables.missing([DOKPLOY_API_KEY, INTERNAL_DOMAIN]);
    let (Some(key), Some(domain), true) = (variables.get(DOKPLOY_API_KEY), variables.get(INTERNAL_DOMAIN), lacking.is_empty()) else {
        return Err(failed(stage, missing(&lacking)));
    };
    let base =
        variables.get(DOKPLOY_URL).map_or_else(|| format!("https://cloud.{}/api", domain.expose()), |url| Secret::expose(url).to_owned());
    let crew = stage.crew.clone();
    Api::new(&base, key, crew.breakers.clone(), crew.clock.clone()).map_err(|error| {
        let failure = Failure {
            kind: "dokploy_auth_failed".to_owned(),
            phase: PHASE.to_owned(),
            message: format!("{error}; nothing was touched"),
            next_action: "Correct DOKPLOY_URL (worker.sync.dokploy_url) or DOKPLOY_API_KEY of this worker.".to_owned(),
        };
        failed(stage, failure)
    })
}

fn host(stage: &mut Stage, named: Option<&str>) -> Result<Host, AttemptOutcome> {
    let crew = stage.crew.clone();
    Host::of(&crew.settings.worker.sync, named, &crew.terraform.search_path).map_err(|error| {
        let failure = Failure {
            kind: "host".to_owned(),
            phase: PHASE.to_owned(),
            message: format!("there is no host to deploy to: {error}; nothing was touched"),
            next_action: "Set worker.sync.ssh_hosts, ssh_key_file and ssh_known_hosts_file, or correct the host in the mapping.".to_owned(),
        };
        failed(stage, failure)
    })
}

async fn service(
    stage: &mut Stage,
    sync: &ServiceSync,
    native: &Native,
    variables: &Variables,
    checkout: &Path,
) -> Result<Made, AttemptOutcome> {
    let (checkout, sync, native, variables) = (checkout.to_owned(), sync.clone(), native.clone(), variables.clone());
    let read = tokio::task::spawn_blocking(move || made::read(&checkout, &sync, &native, &variables));
    let made = match stage.unless_stopped(read).await? {
        Ok(read) => read.map_err(|failure| failed(stage, failure))?,
        Err(error) => return Err(AttemptOutcome::NotStarted { reason: format!("the service could not be read: {error}") }),
    };
    for note in &made.notes {
        stage.narrate(&format!("⚠ {note}"));
    }
    Ok(made)
}
