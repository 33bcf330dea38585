//! How a worker stays known to Vault: the login by AppRole, the renewal of what it gave, and whether its token is good.

use crate::access::VaultLogin;
use crate::document::Node;
use crate::error::Cause;
use crate::http::{Answer, chance};
use crate::lease::{Due, Lease};
use crate::local::read_private;
use crate::vault::{Vault, understood, usable};
use proto::Secret;
use reqwest::StatusCode;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Notify};
use url::Url;

/// How long a look at the token is believed.
const BELIEVED: Duration = Duration::from_mins(5);
/// How long it is believed that there is something wrong with it.
const DOUBTED: Duration = Duration::from_secs(30);

/// What is kept between two requests.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Of the last login: a secret id may be good for few logins. Held over a login: many orders that start together log in once.
    token: Mutex<Option<Kept>>,
    changed: Notify,
    /// When the token was looked at last, and what was found.
    looked: Mutex<Option<(Instant, Result<(), Cause>)>>,
}

#[derive(Debug, Clone)]
struct Kept {
    token: Secret,
    lease: Lease,
    granted: Instant,
}

/// Where a token comes from: what a refusal of it may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Of a file: somebody else renews it.
    File,
    /// Of a login just now: it is good.
    Login,
    /// Of an earlier login: it may have ended.
    Kept,
}

/// How a renewal ended.
enum Renewal {
    Granted(Lease),
    Refused,
}

impl Vault {
    /// A token, and where it comes from.
    pub(crate) async fn token(&self) -> Result<(Secret, Origin), Cause> {
        let (role_id, secret_id_file) = match self.login_with() {
            VaultLogin::Token { file } => return Ok((usable(read_private(file)?)?, Origin::File)),
            VaultLogin::AppRole { role_id, secret_id_file } => (role_id, secret_id_file),
        };
        let mut kept = self.session().token.lock().await;
        if let Some(kept) = &*kept {
            return Ok((kept.token.clone(), Origin::Kept));
        }
        let fresh = self.log_in(role_id, secret_id_file).await?;
        let token = fresh.token.clone();
        *kept = Some(fresh);
        self.session().changed.notify_one();
        Ok((token, Origin::Login))
    }

    /// The next request logs in anew, unless somebody else has meanwhile.
    pub(crate) async fn forget(&self, token: &Secret) {
        self.session().token.lock().await.take_if(|now| now.token == *token);
    }

    /// Whether Vault knows this token still. Every token may ask that of itself, by the policy `default`; one that is without
    /// that policy counts as ended.
    pub(crate) async fn is_alive(&self, token: &Secret) -> Result<bool, Cause> {
        let url = self.look_url();
        let answer = self.ask_with(token, &|| self.client().get(url.clone())).await?;
        match answer.status {
            StatusCode::OK => Ok(true),
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Ok(false),
            status => Err(Cause::malformed(format!("Vault answered {status} when it was asked whether the token is good"))),
        }
    }

    fn look_url(&self) -> Url {
        self.url(&["v1", "auth", "token", "lookup-self"])
    }

    async fn log_in(&self, role_id: &str, secret_id_file: &Path) -> Result<Kept, Cause> {
        let secret_id = read_private(secret_id_file)?;
        let body = serde_json::json!({ "role_id": role_id, "secret_id": secret_id.expose() });
        let url = self.url(&["v1", "auth", "approle", "login"]);
        let answer = self.ask(|| self.request(self.client().post(url.clone())).json(&body)).await?;
        if answer.status != StatusCode::OK {
            return Err(Cause::denied(format!("Vault refused the AppRole login with {}: check role id and secret id", answer.status)));
        }
        let (document, lease) = granted(&answer)?;
        let token = document.get("auth").and_then(|auth| auth.get("client_token")).and_then(Node::text);
        let token = usable(Secret::new(token.ok_or_else(|| Cause::malformed("Vault's answer to the login has no token"))?))?;
        Ok(Kept { token, lease, granted: Instant::now() })
    }

    async fn renew(&self, kept: &Kept) -> Result<Renewal, Cause> {
        let url = self.url(&["v1", "auth", "token", "renew-self"]);
        let request = || self.request(self.client().post(url.clone())).header("X-Vault-Token", kept.token.expose());
        let answer = self.ask(|| request().json(&serde_json::json!({}))).await?;
        match answer.status {
            StatusCode::OK => {
                let (_, lease) = granted(&answer)?;
                Ok(Renewal::Granted(kept.lease.renewed(lease.seconds, lease.renewable)))
            }
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Ok(Renewal::Refused),
            status => Err(Cause::malformed(format!("Vault answered the renewal with {status}"))),
        }
    }

    /// Keeps the token of an AppRole alive for ever, from the first login on. A token in a file is its agent's to renew.
    pub(crate) async fn keep_alive(&self) {
        let VaultLogin::AppRole { role_id, secret_id_file } = self.login_with() else { return std::future::pending().await };
        let mut failures = 0;
        loop {
            let kept = self.session().token.lock().await.clone();
            let Some((kept, (due, wait))) = kept.and_then(|kept| {
                let (age, chance) = (kept.granted.elapsed(), chance());
                let next = if failures == 0 { kept.lease.next(chance) } else { Some(kept.lease.after_silence(failures, age, chance)) };
                Some((kept, next?))
            }) else {
                self.session().changed.notified().await;
                failures = 0;
                continue;
            };
            self.wait(wait).await;
            let done = match due {
                Due::Renew => self.renew_and_keep(&kept, role_id, secret_id_file).await,
                Due::Login => self.log_in_and_keep(&kept, role_id, secret_id_file).await,
            };
            failures = match done {
                Ok(()) => 0,
                Err(cause) => {
                    tracing::warn!(%cause, "the token for Vault could not be kept alive; trying again");
                    failures.saturating_add(1)
                }
            };
        }
    }

    async fn renew_and_keep(&self, kept: &Kept, role_id: &str, secret_id_file: &Path) -> Result<(), Cause> {
        match self.renew(kept).await? {
            Renewal::Granted(lease) => {
                let renewed = Kept { lease, granted: Instant::now(), ..kept.clone() };
                self.replace(kept, renewed).await;
                Ok(())
            }
            Renewal::Refused => self.log_in_and_keep(kept, role_id, secret_id_file).await,
        }
    }

    /// The old token stays in use until there is a new one.
    async fn log_in_and_keep(&self, kept: &Kept, role_id: &str, secret_id_file: &Path) -> Result<(), Cause> {
        let fresh = self.log_in(role_id, secret_id_file).await?;
        self.replace(kept, fresh).await;
        Ok(())
    }

    /// Unless a request has logged in anew meanwhile.
    async fn replace(&self, old: &Kept, new: Kept) {
        let mut kept = self.session().token.lock().await;
        if kept.as_ref().is_some_and(|now| now.token == old.token) {
            *kept = Some(new);
        }
    }

    /// Whether Vault takes our token. Asked at most every five minutes; after a no, every half minute.
    pub(crate) async fn check(&self) -> Result<(), Cause> {
        let mut looked = self.session().looked.lock().await;
        if let Some((at, found)) = &*looked
            && at.elapsed() < if found.is_ok() { BELIEVED } else { DOUBTED }
        {
            return found.clone();
        }
        let url = self.look_url();
        let found = self.authorised(|| self.client().get(url.clone())).await.and_then(understood).map(drop);
        *looked = Some((Instant::now(), found.clone()));
        found
    }
}

/// What an answer about a token grants.
fn granted(answer: &Answer) -> Result<(Node, Lease), Cause> {
    let document = Node::parse(&answer.body).map_err(|text| Cause::malformed(format!("Vault's answer about the token is {text}")))?;
    let auth = |name: &str| document.get("auth").and_then(|auth| auth.get(name)).and_then(Node::as_variable);
    let seconds = auth("lease_duration").and_then(|text| text.parse().ok()).unwrap_or_default();
    let renewable = auth("renewable").is_some_and(|text| text == "true");
    Ok((document, Lease::of_login(seconds, renewable)))
}
