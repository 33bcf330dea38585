//! What is asked for: said until it is answered, and then once more.

use super::world::Followed;
use crate::oracle::Promises;
use anyhow::Context as _;
use proto::view::RunView;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use system_tests::{
    client::Client,
    forge::{Forge, sign},
};

/// How long one answer is waited for.
const ANSWER: Duration = Duration::from_secs(30);

/// One wish, and what was answered.
#[derive(Debug)]
pub(crate) struct Asked {
    how: How,
    /// Delivery id, idempotency key, or a name for it.
    pub(crate) key: String,
    pub(crate) environment: &'static str,
    /// The commit that is to be synced.
    pub(crate) commit: String,
    /// What must be synced for it, and nothing else.
    pub(crate) services: BTreeSet<String>,
    /// It was said, whatever came of it.
    pub(crate) said: bool,
    pub(crate) run: Option<String>,
    /// What the answer calls it: a delivery, or a deployment.
    answered_as: Option<String>,
    pub(crate) view: Option<RunView>,
}

#[derive(Debug)]
enum How {
    Delivery { source: &'static str, body: Vec<u8> },
    Redelivery { of: String },
    Version { body: Value },
    Release,
}

impl Asked {
    fn new(how: How, key: String, environment: &'static str, commit: String, services: &[&str]) -> Self {
        let services = services.iter().map(|service| (*service).to_owned()).collect();
        Self { how, key, environment, commit, services, said: false, run: None, answered_as: None, view: None }
    }

    /// A push that the forge tells of.
    pub(crate) fn push(followed: &Followed, key: String, (before, after): (String, String), services: &[&str]) -> anyhow::Result<Self> {
        let payload = followed.forge("").push("refs/heads/main", &before, &after, &[]);
        let how = How::Delivery { source: followed.source, body: serde_json::to_vec(&payload)? };
        Ok(Self::new(how, key, "staging", after, services))
    }

    /// A push that was answered, done once more of where the branch is by now.
    pub(crate) fn again(&self, key: String, commit: String) -> anyhow::Result<Self> {
        let of = self.answered_as.clone().context("a delivery that was answered")?;
        Ok(Self { services: self.services.clone(), ..Self::new(How::Redelivery { of }, key, "staging", commit, &[]) })
    }

    /// A version in production.
    pub(crate) fn version(key: String, commit: String, services: &[&str]) -> Self {
        let names: Vec<String> = services.iter().map(|service| format!("platform/{service}")).collect();
        let body = json!({ "env": "production", "ref": commit, "services": names, "triggered_by": "crash" });
        Self::new(How::Version { body }, key, "production", commit, services)
    }

    /// A release of where the branch is.
    pub(crate) fn release(key: String, commit: String, services: &[&str]) -> Self {
        Self::new(How::Release, key, "staging", commit, services)
    }

    pub(crate) fn is_release(&self) -> bool {
        matches!(self.how, How::Release)
    }

    /// Says it. What is answered is taken by its word.
    pub(crate) async fn say(&mut self, client: &Client, first: &Followed, promises: &mut Promises) -> anyhow::Result<()> {
        self.said = true;
        let body = tokio::time::timeout(ANSWER, self.send(client, first)).await??;
        let run = body["run_id"].as_str().with_context(|| format!("a run in {body}"))?.to_owned();
        promises.answered(&self.key, &run);
        self.run = Some(run);
        let name = match self.how {
            How::Delivery { .. } | How::Redelivery { .. } => body["delivery"].as_str(),
            How::Version { .. } => body["deployment_id"].as_str(),
            How::Release => None,
        };
        let name = name.map(str::to_owned);
        anyhow::ensure!(self.answered_as.is_none() || self.answered_as == name, "once called {:?}, now {name:?}", self.answered_as);
        self.answered_as = name;
        Ok(())
    }

    async fn send(&self, client: &Client, first: &Followed) -> anyhow::Result<Value> {
        let (status, body) = match &self.how {
            How::Delivery { source, body } => {
                let forge = Forge::new(&format!("{}/hooks/{source}", client.url), "");
                let answer = forge.deliver_as(&self.key, "push", body).await?;
                (answer.status, answer.body)
            }
            How::Version { body } => {
                let answer = stamped(&format!("{}/deploy", client.url), &self.key, body, first)?.send().await?;
                (answer.status(), answer.json().await?)
            }
            How::Redelivery { of } => self.post(client, &format!("/v1/deliveries/{of}/redeliver"), &json!({})).await?,
            How::Release => self.post(client, "/v1/releases", &json!({ "kind": "staging" })).await?,
        };
        anyhow::ensure!(status == StatusCode::ACCEPTED || status == StatusCode::OK, "{status}: {body}");
        Ok(body)
    }

    async fn post(&self, client: &Client, path: &str, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
        let request = reqwest::Client::new().post(format!("{}{path}", client.url)).bearer_auth(&client.token);
        let answer = request.header("idempotency-key", &self.key).json(body).send().await?;
        Ok((answer.status(), answer.json().await?))
    }

    /// What the API keeps of it, held against its run.
    pub(crate) async fn record(&self, client: &Client) -> anyhow::Result<Option<String>> {
        let (Some(name), Some(run)) = (&self.answered_as, &self.run) else { return Ok(None) };
        let record = match self.how {
            How::Delivery { .. } | How::Redelivery { .. } => client.get(&format!("/v1/deliveries/{name}")).await?,
            How::Version { .. } => client.get(&format!("/deploy/{name}/status")).await?,
            How::Release => return Ok(None),
        };
        Ok((record["run_id"] != run.as_str()).then(|| format!("{} is run {run}, and its record says {record}", self.key)))
    }
}

/// A request that is signed over time, nonce and body: each try has a nonce of its own.
fn stamped(url: &str, key: &str, body: &Value, first: &Followed) -> anyhow::Result<reqwest::RequestBuilder> {
    let at = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let (seconds, nonce) = (at.as_secs().to_string(), format!("{key}-{}", at.as_nanos()));
    let body = serde_json::to_vec(body)?;
    let signature = sign(&first.forge("").secret, &[format!("{seconds}.{nonce}.").as_bytes(), &body].concat());
    let request = reqwest::Client::new().post(url).header("content-type", "application/json").header("x-hub-signature-256", signature);
    Ok(request.header("x-iac-timestamp", seconds).header("x-iac-nonce", nonce).body(body))
}
