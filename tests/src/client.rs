//! The HTTP API as a user sees it.

use crate::eventually;
use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// A user with a token.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    pub url: String,
    pub token: String,
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub id: Option<String>,
    pub data: String,
}

impl Client {
    pub fn new(url: &str, token: &str) -> Self {
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(5)).build().expect("a client without special wishes");
        Self { http, url: url.to_owned(), token: token.to_owned() }
    }

    /// A request; the answer whatever it is.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Response> {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token).timeout(Duration::from_secs(30));
        let request = if let Some(body) = body { request.json(body) } else { request };
        Ok(request.send().await?)
    }

    /// A request with an idempotency key.
    pub async fn deploy_once(&self, key: &str, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
        let request = self.http.post(format!("{}/deploy", self.url)).bearer_auth(&self.token).header("idempotency-key", key);
        let response = request.json(body).send().await?;
        Ok((response.status(), response.json().await?))
    }

    /// Status code and JSON body.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<(StatusCode, Value)> {
        let response = self.send(method, path, body).await?;
        let status = response.status();
        let text = response.text().await?;
        let value = serde_json::from_str(&text).with_context(|| format!("{path} answered {status}: {text}"))?;
        Ok((status, value))
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, body) = self.call(Method::GET, path, None).await?;
        anyhow::ensure!(status.is_success(), "GET {path}: {status} {body}");
        Ok(body)
    }

    /// Submits a deployment; its id.
    pub async fn deploy(&self, body: &Value) -> anyhow::Result<String> {
        let (status, answer) = self.call(Method::POST, "/deploy", Some(body)).await?;
        anyhow::ensure!(status == StatusCode::ACCEPTED, "POST /deploy: {status} {answer}");
        Ok(answer["deployment_id"].as_str().context("an id")?.to_owned())
    }

    /// Submits a job of orders; the id of its run.
    pub async fn submit(&self, job: &Value) -> anyhow::Result<String> {
        let (status, answer) = self.call(Method::POST, "/v1/orders", Some(job)).await?;
        anyhow::ensure!(status == StatusCode::ACCEPTED, "POST /v1/orders: {status} {answer}");
        Ok(answer["run_id"].as_str().context("an id")?.to_owned())
    }

    /// Waits until the run is over, however it ends.
    pub async fn ended(&self, id: &str) -> anyhow::Result<Value> {
        eventually(&format!("run {id} to end"), || async {
            // A gateway that is being restarted is waited for.
            let Ok(run) = self.get(&format!("/v1/runs/{id}")).await else { return Ok(None) };
            Ok(run["ended_at"].is_string().then_some(run))
        })
        .await
    }

    pub async fn status(&self, id: &str) -> anyhow::Result<Value> {
        self.get(&format!("/deploy/{id}/status")).await
    }

    /// `approve`, `reject`, `cancel`.
    pub async fn say(&self, id: &str, verb: &str, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
        self.call(Method::POST, &format!("/deploy/{id}/{verb}"), Some(body)).await
    }

    pub async fn approve(&self, id: &str) -> anyhow::Result<()> {
        let (status, answer) = self.say(id, "approve", &json!({})).await?;
        anyhow::ensure!(status.is_success(), "approve: {status} {answer}");
        Ok(())
    }

    /// Settles an unknown run, as soon as that is allowed: a worker that was lost may start what it had the word for, for
    /// as long as that word lives.
    pub async fn settle(&self, id: &str, found: &Value) -> anyhow::Result<()> {
        eventually("the run to be settled", || async {
            let (code, answer) = self.call(Method::POST, &format!("/v1/runs/{id}/resolve"), Some(found)).await?;
            let too_soon = code == StatusCode::CONFLICT && answer["code"] == "too_soon" && answer["status"] == "unknown";
            anyhow::ensure!(code.is_success() || too_soon, "{code} {answer}");
            Ok(code.is_success().then_some(()))
        })
        .await
    }

    /// Waits until the run has this status; fails at once when it ends in another.
    pub async fn wait_for(&self, id: &str, wanted: &str) -> anyhow::Result<Value> {
        eventually(&format!("run {id} to be {wanted}"), || async {
            // A gateway that is being restarted is waited for.
            let Ok(status) = self.status(id).await else { return Ok(None) };
            let now = status["status"].as_str().unwrap_or_default().to_owned();
            if now == wanted {
                return Ok(Some(status));
            }
            if ["success", "failed", "cancelled"].contains(&now.as_str()) {
                bail!("run {id} ended as {now}, not {wanted}: {status:#}");
            }
            Ok(None)
        })
        .await
    }

    /// Waits until the run, still running, is in this phase (or past it as `then` says).
    pub async fn wait_for_phase(&self, id: &str, phase: &str) -> anyhow::Result<()> {
        eventually(&format!("run {id} to enter {phase}"), || async {
            let Ok(status) = self.status(id).await else { return Ok(None) };
            if status["phase"] == phase {
                return Ok(Some(()));
            }
            anyhow::ensure!(status["ended_at"].is_null(), "run {id} ended before {phase}: {status:#}");
            Ok(None)
        })
        .await
    }

    /// Reads a run's log stream from `after` on until its end, or until `enough` says so.
    pub async fn events(&self, id: &str, after: Option<&str>, mut enough: impl FnMut(&Event) -> bool) -> anyhow::Result<Vec<Event>> {
        let mut request = self.http.get(format!("{}/deploy/{id}/logs", self.url)).bearer_auth(&self.token);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await?;
        anyhow::ensure!(response.status().is_success(), "logs: {}", response.status());
        let mut bytes = response.bytes_stream();
        let mut buffer = String::new();
        let mut events = Vec::new();
        while let Some(chunk) = bytes.next().await {
            buffer.push_str(std::str::from_utf8(&chunk?)?);
            while let Some(end) = buffer.find("\n\n") {
                let block: String = buffer.drain(..end + 2).collect();
                if let Some(event) = parse(&block) {
                    let last = event.name == "end" || enough(&event);
                    events.push(event);
                    if last {
                        return Ok(events);
                    }
                }
            }
        }
        Ok(events)
    }

    /// The lines of a run's whole log.
    pub async fn log(&self, id: &str) -> anyhow::Result<Vec<String>> {
        let events = self.events(id, None, |_| false).await?;
        Ok(events.into_iter().filter(|event| event.name == "log").map(|event| event.data).collect())
    }
}

fn parse(block: &str) -> Option<Event> {
    let (mut name, mut id, mut data) = (String::new(), None, Vec::new());
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "id" => id = Some(value.to_owned()),
            "data" => data.push(value),
            _ => {}
        }
    }
    (!name.is_empty()).then(|| Event { name, id, data: data.join("\n") })
}
