//! What is to be there: names in Dokploy, the host name, and the source.

use crate::sync::{
    environment::{INTERNAL_DOMAIN, Variables},
    made::Made,
};
use proto::sync::{DokployTarget, ServiceSync};
use serde_json::{Value, json};
use services::environment::host_name;

/// The names of a service in Dokploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) project: String,
    pub(super) environment: String,
    pub(super) compose: String,
    /// Of its containers.
    pub(super) app: String,
    /// The host name it is to have.
    pub(super) host: Option<String>,
}

impl Names {
    pub(super) fn of(sync: &ServiceSync, target: &DokployTarget, variables: &Variables) -> Self {
        let service = &sync.service.service;
        let project = target.project.clone().unwrap_or_else(|| service.project().to_owned());
        let compose = target.name.clone().unwrap_or_else(|| service.name().to_owned());
        let internal = variables.get(INTERNAL_DOMAIN);
        let host = target.domain.as_ref().zip(internal).map(|(domain, internal)| host_name(domain, &sync.environment, internal.expose()));
        let app = format!("{project}-{compose}{}", sync.environment.suffix());
        let app: String = app.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).take(48).collect();
        Self { app, environment: sync.environment.to_string(), project, compose, host }
    }
}

/// The body of `compose.update`: everything that decides what is deployed. Nobody but us triggers a deployment.
pub(super) fn update(compose_id: &str, made: &Made, env: &str) -> Value {
    json!({
        "composeId": compose_id,
        "composeType": "docker-compose",
        "sourceType": "raw",
        "composeFile": made.compose,
        "env": env,
        "autoDeploy": false,
    })
}
