//! A forge as a source sees it: it tells of pushes, signed as GitHub signs them. Its repositories are real ones (see `git`).

use anyhow::Context as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;

/// The secret of every test's source: 32 bytes at least.
pub const SECRET: &str = "test-webhook-secret-0123456789abcdef";
/// What a forge gives for "there is none".
pub const ZERO: &str = "0000000000000000000000000000000000000000";

/// A forge that knows one repository.
#[derive(Debug, Clone)]
pub struct Forge {
    http: reqwest::Client,
    /// Where it delivers to.
    pub url: String,
    /// `owner/name`.
    pub full_name: String,
    pub secret: String,
}

/// What was answered to a delivery.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Answer {
    /// The run that the delivery became.
    pub fn run(&self) -> anyhow::Result<String> {
        Ok(self.body["run_id"].as_str().with_context(|| format!("a run in {} {}", self.status, self.body))?.to_owned())
    }
}

impl Forge {
    pub fn new(url: &str, full_name: &str) -> Self {
        // A connection for each delivery: one that was kept may be closed by the gateway in the very moment it is used again.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client without special wishes");
        Self { http, url: url.to_owned(), full_name: full_name.to_owned(), secret: SECRET.to_owned() }
    }

    /// Tells of a push to `main`.
    pub async fn pushed(&self, before: &str, after: &str, files: &[&str]) -> anyhow::Result<Answer> {
        self.deliver("push", &self.push("refs/heads/main", before, after, files)).await
    }

    /// The payload of a push.
    pub fn push(&self, reference: &str, before: &str, after: &str, files: &[&str]) -> Value {
        json!({
            "ref": reference,
            "before": before,
            "after": after,
            "created": before == ZERO,
            "deleted": after == ZERO,
            "forced": false,
            "repository": {"id": 4711, "full_name": self.full_name, "clone_url": format!("https://forge.invalid/{}.git", self.full_name)},
            "pusher": {"name": "ann"},
            "sender": {"login": "ann"},
            "commits": [{"id": after, "message": "change", "added": [], "modified": files, "removed": []}],
            "head_commit": {"id": after, "message": "change", "added": [], "modified": files, "removed": []},
        })
    }

    /// Delivers an event under a new delivery id.
    pub async fn deliver(&self, event: &str, payload: &Value) -> anyhow::Result<Answer> {
        self.deliver_as(&uuid::Uuid::new_v4().to_string(), event, &serde_json::to_vec(payload)?).await
    }

    /// The same under this delivery id; the body goes out as it is.
    pub async fn deliver_as(&self, delivery: &str, event: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let request = self.http.post(&self.url).header("content-type", "application/json").header("x-github-event", event);
        let request = request.header("x-github-delivery", delivery).header("x-hub-signature-256", sign(&self.secret, body));
        answer(request.body(body.to_vec()).send().await?).await
    }

    /// Posts a body to another path of the same gateway, signed as the callers of the replaced service sign.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let base = reqwest::Url::parse(&self.url)?.join(path)?;
        let body = serde_json::to_vec(body)?;
        let request =
            self.http.post(base).header("content-type", "application/json").header("x-hub-signature-256", sign(&self.secret, &body));
        answer(request.body(body).send().await?).await
    }
}

/// The value of `X-Hub-Signature-256`.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

async fn answer(response: reqwest::Response) -> anyhow::Result<Answer> {
    let status = response.status();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).with_context(|| format!("answered {status}: {text}"))?;
    Ok(Answer { status, body })
}
