//! The private registry: one request for a token, once an attempt. Where the token then stands is `cli_config`'s part.

use proto::{Secret, address::is_loopback};
use reqwest::redirect::Policy;
use serde::Deserialize;
use std::fmt;
use std::time::Duration;
use url::Url;

/// How long the registry may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest answer, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// What the replaced runner wrote instead of a token it did not get.
const NO_AUTH: &str = "no-auth";

/// A registry's address that may not be used. Found when the worker starts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRegistry {
    #[error("the registry's address `{address}` is not valid ({why}): use https://HOST[:PORT]")]
    Address { address: String, why: String },
    #[error("the registry's address `{0}` must begin with https:// (http:// only on this machine, or where an operator lists the host)")]
    Plain(String),
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoToken {
    #[error("{0} cannot be reached")]
    Unreachable(String, #[source] reqwest::Error),
    #[error("{0} answered {1}")]
    Status(String, reqwest::StatusCode),
    #[error("{0} did not answer with a token")]
    Answer(String),
}

/// Where the registry is, and how much it matters.
#[derive(Clone)]
pub struct Registry {
    url: Url,
    required: bool,
    client: reqwest::Client,
}

/// What goes into the tool's configuration.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Access {
    /// Host with its port, as terraform names it.
    pub(super) host: String,
    /// Without a slash at the end.
    pub(super) url: String,
    pub(super) token: Secret,
}

#[derive(Deserialize)]
struct Answer {
    token: Secret,
}

impl Registry {
    /// `address` as in `worker.registry_host`; without a scheme https is meant. `plain_hosts` are hosts (`HOST` or
    /// `HOST:PORT`) that may be spoken to without TLS. `required`: no token, no job.
    pub fn new(address: &str, required: bool, plain_hosts: &[String]) -> Result<Self, BadRegistry> {
        let bad = |why: &str| BadRegistry::Address { address: address.to_owned(), why: why.to_owned() };
        let full = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
        let url = Url::parse(&full).map_err(|error| bad(&error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadRegistry::Address { address: "***".to_owned(), why: "it carries a login".to_owned() });
        }
        if url.query().is_some() || url.fragment().is_some() || url.host().is_none() {
            return Err(bad("it must be a host and perhaps a path"));
        }
        let host = host_of(&url);
        let loopback = is_loopback(&url);
        let plain_allowed = loopback || plain_hosts.iter().any(|listed| listed.eq_ignore_ascii_case(&host));
        match url.scheme() {
            "https" => {}
            "http" if plain_allowed => {}
            _ => return Err(BadRegistry::Plain(address.to_owned())),
        }
        // A redirect could hand the request to somebody else, whose token we would then believe.
        let builder = reqwest::Client::builder().redirect(Policy::none()).timeout(LIMIT);
        let builder = if loopback { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| bad(&error.to_string()))?;
        Ok(Self { url, required, client })
    }

    /// The address without a slash at the end.
    pub(super) fn address(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    pub(super) fn required(&self) -> bool {
        self.required
    }

    /// Access with a token, asked for now.
    pub(super) async fn access(&self) -> Result<Access, NoToken> {
        Ok(self.with(self.token().await?))
    }

    /// Access without one.
    pub(super) fn anonymous(&self) -> Access {
        self.with(Secret::new(NO_AUTH))
    }

    fn with(&self, token: Secret) -> Access {
        Access { host: host_of(&self.url), url: self.address().to_owned(), token }
    }

    async fn token(&self) -> Result<Secret, NoToken> {
        let address = format!("{}/api/internal/registry-token", self.address());
        let unreachable = |error: reqwest::Error| NoToken::Unreachable(address.clone(), error.without_url());
        let mut response = self.client.get(&address).send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(NoToken::Status(address, response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(NoToken::Answer(address));
            }
        }
        let answer: Option<Answer> = serde_json::from_slice(&body).ok();
        answer.map(|answer| answer.token).filter(is_usable).ok_or(NoToken::Answer(address))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("address", &self.address()).field("required", &self.required).finish_non_exhaustive()
    }
}

/// Visible ASCII, and nothing that the configuration's language would read as more than a character.
fn is_usable(token: &Secret) -> bool {
    let text = token.expose();
    (1..=8192).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains("${") && !text.contains("%{")
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_near_or_listed() {
        let listed = ["plain.example:8080".to_owned()];
        for (address, host) in [
            ("https://registry.example.com", Some("registry.example.com")),
            ("registry.example.com/", Some("registry.example.com")),
            ("https://registry.example.com:8443/base/", Some("registry.example.com:8443")),
            ("http://127.0.0.1:9000", Some("127.0.0.1:9000")),
            ("http://plain.example:8080", Some("plain.example:8080")),
            ("http://plain.example", None),
            ("http://registry.example.com", None),
            ("https://user:pw@registry.example.com", None),
            ("https://registry.example.com/?x", None),
            ("ftp://registry.example.com", None),
            ("", None),
        ] {
            let found = Registry::new(address, false, &listed);
            assert_eq!(found.as_ref().ok().map(|registry| registry.anonymous().host).as_deref(), host, "{address}");
            assert!(!format!("{found:?}").contains("pw"));
        }
    }

    #[test]
    fn a_token_is_visible_text_and_nothing_more() {
        for (token, usable) in
            [("abc.DEF-1_2~3+/=", true), ("a\"b\\c", true), ("", false), ("a b", false), ("a\nb", false), ("${x}", false), ("ü", false)]
        {
            assert_eq!(is_usable(&Secret::new(token)), usable, "{token:?}");
        }
    }
}
