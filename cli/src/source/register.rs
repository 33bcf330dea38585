//! Registers a webhook at GitHub, once: the hooks that are there are looked through first.

use std::time::Duration;

use proto::address::is_loopback;
use proto::{Secret, git::GitUrl};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::{Value, json};

use super::hook::Hook;
use crate::exit::Exit;
use crate::problem::CliError;

const TIMEOUT: Duration = Duration::from_secs(20);
/// Hooks asked for at a time, the most GitHub gives. It keeps at most 20 of an event.
const PAGE: usize = 100;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registered {
    Made,
    Present,
}

impl Registered {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Present => "present",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Made => "the webhook was registered; GitHub sends a ping to it now",
            Self::Present => {
                "a webhook with this address is there already, and was left as it is: if its secret is another, enter the new one there"
            }
        }
    }
}

/// Registers the hook unless there is one with its address.
pub(super) async fn register(api: &str, token: &Secret, repository: &GitUrl, hook: &Hook, secret: &Secret) -> Result<Registered, CliError> {
    let hub = Hub::new(api, token, repository)?;
    if !hook.url.starts_with("https://") && !hook.url.starts_with("http://") {
        return Err(CliError::usage("the gateway's address is not known", "give --public-url, or set gateway.public_url"));
    }
    if hub.has(&hook.url).await? {
        return Ok(Registered::Present);
    }
    let config = json!({ "url": hook.url, "content_type": "json", "secret": secret.expose(), "insecure_ssl": "0" });
    let body = json!({ "name": "web", "active": true, "events": ["push"], "config": config });
    match hub.ask(Method::POST, "", Some(&body)).await? {
        (StatusCode::CREATED, _) => Ok(Registered::Made),
        // Somebody was quicker.
        (StatusCode::UNPROCESSABLE_ENTITY, _) if hub.has(&hook.url).await? => Ok(Registered::Present),
        (status, answer) => Err(refused(status, &answer)),
    }
}

struct Hub {
    client: Client,
    hooks: String,
    login: HeaderValue,
}

impl Hub {
    fn new(api: &str, token: &Secret, repository: &GitUrl) -> Result<Self, CliError> {
        let next = "write --api-url https://api.github.com, or https://HOST/api/v3";
        let url: Url = api.parse().map_err(|_| CliError::usage("the address of GitHub's API is none", next))?;
        if url.scheme() != "https" && !is_loopback(&url) {
            return Err(CliError::usage("a token does not travel over plain http", next));
        }
        let mut login = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| CliError::usage("the forge's token cannot be sent in a header", "check --forge-token-file"))?;
        login.set_sensitive(true);
        let name = repository.path().trim_matches('/');
        let name = name.strip_suffix(".git").unwrap_or(name);
        let legal = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !name.split_once('/').is_some_and(|(owner, name)| legal(owner) && legal(name) && name != "..") {
            return Err(CliError::usage("the repository is not OWNER/NAME at GitHub", "check --repository"));
        }
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("navvy/", env!("CARGO_PKG_VERSION")));
        let builder = if is_loopback(&url) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(unreachable)?;
        Ok(Self { client, hooks: format!("{}/repos/{name}/hooks", api.trim_end_matches('/')), login })
    }

    async fn has(&self, address: &str) -> Result<bool, CliError> {
        for page in 1.. {
            let (status, answer) = self.ask(Method::GET, &format!("?per_page={PAGE}&page={page}"), None).await?;
            let hooks = answer.as_array().filter(|_| status == StatusCode::OK).ok_or_else(|| refused(status, &answer))?;
            if hooks.iter().any(|hook| hook["config"]["url"] == address) {
                return Ok(true);
            }
            if hooks.len() < PAGE {
                break;
            }
        }
        Ok(false)
    }

    async fn ask(&self, method: Method, rest: &str, body: Option<&Value>) -> Result<(StatusCode, Value), CliError> {
        let request = self.client.request(method, format!("{}{rest}", self.hooks)).header(AUTHORIZATION, self.login.clone());
        let request = request.header("Accept", "application/vnd.github+json").header("X-GitHub-Api-Version", "2022-11-28");
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(unreachable)?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}

fn unreachable(source: reqwest::Error) -> CliError {
    CliError::Role {
        what: "GitHub cannot be reached".to_owned(),
        next: "nothing was registered, or it is found the next time: run the same again".to_owned(),
        exit: Exit::Unreachable,
        source: Some(Box::new(source.without_url())),
    }
}

fn refused(status: StatusCode, answer: &Value) -> CliError {
    let said = answer["message"].as_str().unwrap_or_default();
    CliError::Role {
        what: format!("GitHub refuses with {status}: {}", crate::output::ansi::plain(said)),
        next: "may the token administer the webhooks of this repository (fine-grained: \"Webhooks\", read and write)?".to_owned(),
        exit: Exit::Denied,
        source: None,
    }
}
