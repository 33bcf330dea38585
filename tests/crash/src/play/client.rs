//! A client that does not give up: it repeats what was not answered, and takes every answer by its word.

use crate::{lane::Lane, oracle::Promises};
use anyhow::Context as _;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use system_tests::client::Client;

/// Between two tries to say the same thing.
const SAY_AGAIN: Duration = Duration::from_secs(2);

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    AwaitingApproval,
    Success,
    Failed,
    Cancelled,
    Unknown,
}

/// A run from its client's side.
#[derive(Debug)]
pub(crate) struct Cast {
    label: &'static str,
    key: String,
    request: Value,
    pub(crate) id: Option<String>,
    /// What was last seen of it, for a message.
    pub(crate) shown: String,
    pub(crate) settled_since: Option<Instant>,
    said: Option<Instant>,
}

impl Cast {
    pub(crate) fn new(lane: &Lane, dir: &Path, label: &'static str, auto_approve: bool) -> anyhow::Result<Self> {
        let request = lane.request(dir, label, auto_approve)?;
        let key = format!("{}-{label}", dir.file_name().and_then(|name| name.to_str()).context("a readable name")?);
        Ok(Self { label, key, request, id: None, shown: "not submitted".to_owned(), settled_since: None, said: None })
    }

    /// Submits it if that has not been answered yet, else looks where it stands. `None`: nobody said.
    pub(crate) async fn look(&mut self, client: &Client, promises: &mut Promises) -> Option<Status> {
        let Some(id) = &self.id else {
            self.submit(client, promises).await;
            return None;
        };
        let run = client.get(&format!("/v1/runs/{id}")).await.ok()?;
        let status = match run["status"].as_str()? {
            "running" => Status::Running,
            "awaiting_approval" => Status::AwaitingApproval,
            "success" => Status::Success,
            "failed" => Status::Failed,
            "cancelled" => Status::Cancelled,
            "unknown" => Status::Unknown,
            _ => return None,
        };
        self.shown =
            format!("{id} {status:?}, failure {}, evidence {}, waiting for {}", run["failure"], run["evidence"], run["waiting_for"]);
        match status {
            Status::Running | Status::AwaitingApproval => self.settled_since = None,
            Status::Success | Status::Failed | Status::Cancelled | Status::Unknown => {
                self.settled_since.get_or_insert_with(Instant::now);
            }
        }
        Some(status)
    }

    async fn submit(&mut self, client: &Client, promises: &mut Promises) {
        match client.deploy_once(&self.key, &self.request).await {
            Ok((StatusCode::ACCEPTED, answer)) => {
                let id = answer["deployment_id"].as_str().unwrap_or("no id").to_owned();
                promises.answered(&self.key, &id);
                self.id = Some(id);
            }
            Ok((status, answer)) => self.shown = format!("refused with {status}: {answer}"),
            Err(error) => self.shown = format!("not answered: {error}"),
        }
    }

    /// The same request once more.
    pub(crate) async fn repeat(&self, client: &Client, promises: &mut Promises) -> anyhow::Result<()> {
        let (status, answer) = client.deploy_once(&self.key, &self.request).await?;
        anyhow::ensure!(status == StatusCode::ACCEPTED, "the repeated request was refused with {status}: {answer}");
        promises.answered(&self.key, answer["deployment_id"].as_str().unwrap_or("no id"));
        Ok(())
    }

    pub(crate) async fn approve(&mut self, client: &Client) {
        self.say(client, "approve", json!({})).await;
    }

    /// Said by force, it interrupts the first time and kills the second.
    pub(crate) async fn cancel(&mut self, client: &Client, force: bool) {
        self.say(client, "cancel", json!({"force": force})).await;
    }

    /// Says it, and again after a while if the run still stands where it stood: the answer may have been lost.
    async fn say(&mut self, client: &Client, verb: &str, words: Value) {
        let Some(id) = &self.id else { return };
        if self.said.is_some_and(|said| said.elapsed() < SAY_AGAIN) {
            return;
        }
        self.said = Some(Instant::now());
        // Whatever the answer is, the run shows what became of it.
        let _ = client.say(id, verb, &words).await;
    }

    /// Whether its tool says that it holds.
    pub(crate) fn is_holding(&self, dir: &Path) -> bool {
        self.holding(dir).exists()
    }

    fn holding(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.holding", self.label))
    }

    /// A person has looked.
    pub(crate) async fn resolve(&self, client: &Client) -> anyhow::Result<()> {
        let id = self.id.as_ref().context("a run that is unknown has an id")?;
        let found = json!({"as": "failed", "reason": "looked at it"});
        client.settle(id, &found).await?;
        client.wait_for(id, "failed").await?;
        Ok(())
    }
}
