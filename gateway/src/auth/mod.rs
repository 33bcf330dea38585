//! Who calls, and what they may do.
//!
//! A caller is known by a bearer token: the administrator's, or an API key whose digest stands in the bucket KEYS. The
//! rules are in [`scope`], the form of a key in `key_text`, the records in [`keyring`]. A key that cannot be checked is
//! no key: the answer is then 503, never a yes.

pub(crate) mod key_text;
pub(crate) mod keyring;
pub(crate) mod layer;
pub(crate) mod scope;
pub(crate) mod throttle;

use crate::answers::Refusal;
use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use key_text::{KeyText, same_secret};
use keyring::{KeyRecord, Keyring};
use proto::Secret;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use throttle::Failures;

pub(crate) use layer::Who;
pub(crate) use scope::{Access, Scope, authorize};

/// The name under which the administrator's actions are recorded. No key may have it.
pub(crate) const ADMIN: &str = "admin";
/// The name of whoever calls without a key where that is allowed.
pub(crate) const ANONYMOUS: &str = "anonymous";
/// How long the store may take to say whether a key is good.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A known caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    name: String,
    scopes: Vec<Scope>,
    /// Absent for the administrator and the anonymous.
    key_id: Option<String>,
}

impl Principal {
    /// Whoever shows the administrator's token.
    pub(crate) fn admin() -> Self {
        Self { name: ADMIN.to_owned(), scopes: Scope::ALL.to_vec(), key_id: None }
    }

    /// Anybody, where the settings allow it.
    fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), ..Self::admin() }
    }

    /// Whoever shows an API key.
    pub(crate) fn key(id: &str, name: &str, scopes: &[Scope]) -> Self {
        Self { name: name.to_owned(), scopes: scopes.to_vec(), key_id: Some(id.to_owned()) }
    }

    /// For records: who did it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The API key's id.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The rights.
    pub(crate) fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Whether the rights include this one.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|mine| mine.includes(scope))
    }
}

/// How a caller who was let in stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As before.
    Good,
    /// The key was revoked, has expired, or lost a right.
    Gone,
    /// The store does not say.
    Unknown,
}

/// Tells who calls.
#[derive(Debug)]
pub(crate) struct Auth {
    admin_token: Secret,
    anonymous: bool,
    pub(crate) keyring: Keyring,
    failures: Failures,
}

impl Auth {
    /// With `anonymous`, whoever shows no token is an administrator.
    pub(crate) fn new(admin_token: Secret, anonymous: bool, keyring: Keyring) -> Self {
        Self { admin_token, anonymous, keyring, failures: Failures::default() }
    }

    /// What only gateways know; for deriving, never for showing.
    pub(crate) fn secret(&self) -> &Secret {
        &self.admin_token
    }

    /// Whether calls without a key are let in.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Who calls from `client`; `None` for a caller without a token.
    pub(crate) async fn caller(&self, headers: &HeaderMap, client: Option<IpAddr>) -> Result<Option<Principal>, Refusal> {
        let mut tokens = headers.get_all(header::AUTHORIZATION).iter();
        let Some(token) = tokens.next() else {
            return Ok(self.anonymous.then(Principal::anonymous));
        };
        // Whatever stands before this gateway may look at the other one: two callers in one request are none.
        if tokens.next().is_some() {
            return Err(Refusal::field("Authorization", "must be sent once: this request has several"));
        }
        let token = token.to_str().ok().and_then(bearer);
        if token.is_some_and(|token| same_secret(token, self.admin_token.expose())) {
            return Ok(Some(Principal::admin()));
        }
        let blocked = client.and_then(|client| self.failures.blocked(client, Instant::now()));
        let key = token.and_then(KeyText::parse);
        // A client that has failed too often is not worth a look into the store; keys seen lately still open.
        let found = match &key {
            Some(key) if blocked.is_some() => self.keyring.remembered(key.id()),
            Some(key) => tokio::time::timeout(PATIENCE, self.keyring.find(key.id())).await.map_err(|_| Refusal::Unavailable)??,
            None => None,
        };
        if let Some(record) = found.filter(|record| key.is_some_and(|key| key.matches(&record.digest)) && record.is_valid(Timestamp::now()))
        {
            self.keyring.used(&record).await;
            return Ok(Some(record.principal()));
        }
        Err(self.failed(client, blocked))
    }

    fn failed(&self, client: Option<IpAddr>, blocked: Option<Duration>) -> Refusal {
        if let Some(retry_after) = blocked {
            return Refusal::TooManyFailures { retry_after };
        }
        if client.is_some_and(|client| self.failures.count(client, Instant::now())) {
            tracing::warn!(client = ?client, "too many requests with a bad key; this client is refused for a while");
        }
        Refusal::BadKey
    }

    /// How a caller who was let in stands now; no older than half a minute.
    pub(crate) async fn standing(&self, caller: &Principal) -> Standing {
        let Some(id) = caller.key_id() else { return Standing::Good };
        match tokio::time::timeout(PATIENCE, self.keyring.find(id)).await {
            Ok(Ok(Some(record))) if record.is_valid(Timestamp::now()) && record.principal() == *caller => Standing::Good,
            Ok(Ok(_)) => Standing::Gone,
            Ok(Err(_)) | Err(_) => Standing::Unknown,
        }
    }
}

impl KeyRecord {
    fn principal(&self) -> Principal {
        Principal::key(&self.id, &self.name, &self.scopes)
    }
}

/// The token of `Bearer TOKEN`.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_a_token() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Basic YWJj", None),
            ("abc", None),
            ("", None),
        ] {
            assert_eq!(bearer(value), token, "{value:?}");
        }
    }

    #[test]
    fn the_scope_admin_includes_the_others_and_read_the_end_of_a_run() {
        let (admin, reader) = (Principal::key("1", "a", &[Scope::Admin]), Principal::key("2", "r", &[Scope::Read]));
        for scope in Scope::ALL {
            assert!(admin.has(scope));
            assert_eq!(reader.has(scope), scope == Scope::Read || scope == Scope::Done);
        }
    }
}
