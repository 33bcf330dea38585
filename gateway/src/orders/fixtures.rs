//! A desk, jobs and answers for the tests of this room.

use super::{
    Asked, Desk, Intake,
    prepare::{Rejected, prepare},
};
use crate::deploy::identity;
use axum::{
    http::{HeaderMap, HeaderValue},
    response::Response,
};
use bytes::Bytes;
use domain::orders::{GitBase, GitRules, JobRequest, Limits, Pools, Rules};
use proto::{PoolName, Secret, git::AllowedHosts};
use serde_json::{Value, json};

/// Everything that an [`Asked`] and a [`Desk`] point to.
pub(super) struct Fixture {
    pub(super) rules: Rules,
    pub(super) secret: Secret,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Default for Fixture {
    fn default() -> Self {
        let pool = PoolName::default();
        Self {
            rules: Rules {
                limits: Limits::default(),
                pools: Pools { short: pool.clone(), long: pool.clone(), known: [pool].into() },
                git: GitRules { base: GitBase::parse("https://github.com").unwrap(), hosts: AllowedHosts::default() },
            },
            secret: Secret::new("of the gateways"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

impl Fixture {
    /// With an Idempotency-Key.
    pub(super) fn key(mut self, key: &'static str) -> Self {
        self.headers.insert(identity::HEADER, HeaderValue::from_static(key));
        self
    }

    pub(super) fn desk(&self) -> Desk<'_> {
        Desk { rules: &self.rules, secret: &self.secret, shards: 4, public_url: "https://navvy.example" }
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { by: "ci", headers: &self.headers, body: &self.body }
    }

    pub(super) fn prepare(&self, job: &Value) -> Result<Intake, Rejected> {
        let body = Bytes::from(job.to_string());
        prepare(&self.desk(), &Asked { body: &body, ..self.asked() }, JobRequest::read(&body).unwrap())
    }
}

pub(super) fn order() -> Value {
    json!({"cmds": ["make"], "timeout": 60})
}

pub(super) fn job(orders: &Value) -> Value {
    json!({"git_repo": "acme/infra", "git_token_location": "/ci/token", "username": "ann", "orders": orders})
}

/// Status and body.
pub(super) async fn body_of(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}
