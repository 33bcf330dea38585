//! Registers a webhook at GitHub, once: the hooks that are there are looked through first, before anything else is made.

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
/// More pages than any repository has hooks: whoever still gives full ones then is no GitHub.
const MOST_PAGES: usize = 20;

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Registered {
    Made,
    Present(There),
}

/// A webhook with the address that is there already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct There {
    /// What keeps it from working, each as the end of a sentence.
    problems: Vec<&'static str>,
}

impl Registered {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Present(_) => "present",
        }
    }

    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Made => "the webhook was registered; GitHub sends a ping to it now",
            Self::Present(_) => {
                "a webhook with this address is there already, and was left as it is: if its secret is another, enter the new one there"
            }
        }
    }

    /// What keeps it from working.
    pub(super) fn problems(&self) -> &[&'static str] {
        match self {
            Self::Made => &[],
            Self::Present(there) => &there.problems,
        }
    }
}

/// GitHub's webhooks of one repository.
pub(super) struct Hub {
    client: Client,
    hooks: String,
    login: HeaderValue,
}

impl Hub {
    /// Asks nothing yet, and refuses what could not be asked.
    pub(super) fn new(api: &str, token: &Secret, repository: &GitUrl, hook: &Hook) -> Result<Self, CliError> {
        if !hook.url.starts_with("https://") && !hook.url.starts_with("http://") || hook.is_unknown() {
            return Err(CliError::usage("the gateway's address is not known", "give --public-url, or set gateway.public_url"));
        }
        let next = "write --api-url https://api.github.com, or https://HOST/api/v3";
        let url: Url = api.parse().map_err(|_| CliError::usage("the address of GitHub's API is none", next))?;
        if url.scheme() != "https" && !is_loopback(&url) {
            return Err(CliError::usage("a token does not travel over plain http", next));
        }
        let of_repository = url.host_str().is_some_and(|host| host == repository.host() || host == format!("api.{}", repository.host()));
        if !of_repository && !is_loopback(&url) {
            let what = format!("the repository is at {}, and GitHub's API at {}", repository.host(), url.host_str().unwrap_or_default());
            return Err(CliError::usage(what, "a repository of the same name there is another one: check --repository and --api-url"));
        }
        let mut login = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| CliError::usage("the forge's token cannot be sent in a header", "check --forge-token-file"))?;
        login.set_sensitive(true);
        let name = repository.path().trim_matches('/');
        let name = name.strip_suffix(".git").unwrap_or(name);
        let legal = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        let dots = |part: &str| part == "." || part == "..";
        if !name.split_once('/').is_some_and(|(owner, name)| legal(owner) && legal(name) && !dots(owner) && !dots(name)) {
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

    /// The hook with an address.
    pub(super) async fn find(&self, address: &str) -> Result<Option<There>, CliError> {
        for page in 1..=MOST_PAGES {
            let (status, answer) = self.ask(Method::GET, &format!("?per_page={PAGE}&page={page}"), None).await?;
            let hooks = answer.as_array().filter(|_| status == StatusCode::OK).ok_or_else(|| refused(status, &answer))?;
            if let Some(hook) = hooks.iter().find(|hook| hook["config"]["url"].as_str().is_some_and(|url| same(url, address))) {
                return Ok(Some(There { problems: problems(hook) }));
            }
            if hooks.len() < PAGE {
                return Ok(None);
            }
        }
        Err(refused(StatusCode::OK, &json!({ "message": "it lists webhooks without end" })))
    }

    /// Registers the hook unless one is `there`.
    pub(super) async fn register(&self, hook: &Hook, there: Option<There>, secret: &Secret) -> Result<Registered, CliError> {
        if let Some(there) = there {
            return Ok(Registered::Present(there));
        }
        let config = json!({ "url": hook.url, "content_type": "json", "secret": secret.expose(), "insecure_ssl": "0" });
        let body = json!({ "name": "web", "active": true, "events": ["push"], "config": config });
        match self.ask(Method::POST, "", Some(&body)).await? {
            (StatusCode::CREATED, _) => Ok(Registered::Made),
            (StatusCode::UNPROCESSABLE_ENTITY, answer) => {
                // Somebody was quicker; or GitHub does not like the address.
                self.find(&hook.url).await?.map(Registered::Present).ok_or_else(|| refused(StatusCode::UNPROCESSABLE_ENTITY, &answer))
            }
            (status, answer) => Err(refused(status, &answer)),
        }
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

/// Whether two addresses are one: a gateway takes both. Else a second hook would send every push twice.
fn same(one: &str, other: &str) -> bool {
    let normal = |text: &str| {
        let mut url: Url = text.parse().ok()?;
        url.set_fragment(None);
        Some(url.as_str().trim_end_matches('/').to_owned())
    };
    one == other || normal(one).is_some_and(|one| normal(other).as_ref() == Some(&one))
}

/// What keeps a hook from working.
fn problems(hook: &Value) -> Vec<&'static str> {
    let pushes = hook["events"].as_array().is_some_and(|events| events.iter().any(|event| event == "push" || event == "*"));
    let insecure = hook["config"]["insecure_ssl"] == "1" || hook["config"]["insecure_ssl"] == 1;
    [
        (hook["active"] == false, "is not active: tick \"Active\" at GitHub"),
        (hook["config"]["content_type"] != "json", "does not send application/json, and is refused: change its content type at GitHub"),
        (!pushes, "does not send pushes: tick the push event at GitHub"),
        (insecure, "does not check the gateway's certificate: enable SSL verification at GitHub"),
    ]
    .into_iter()
    .filter_map(|(is, problem)| is.then_some(problem))
    .collect()
}

fn refused(status: StatusCode, answer: &Value) -> CliError {
    let said = answer["message"].as_str().unwrap_or_default();
    let details = answer["errors"].as_array().into_iter().flatten().filter_map(|error| error["message"].as_str());
    let said: Vec<&str> = [said].into_iter().chain(details).collect();
    let limited = said.iter().any(|said| said.contains("rate limit"));
    let (exit, next) = match status.as_u16() {
        401 => (Exit::Denied, "the token is not valid, or no longer: make a new one and write it into --forge-token-file"),
        403 | 429 if limited || status == StatusCode::TOO_MANY_REQUESTS => {
            (Exit::Unreachable, "wait as long as GitHub says, and run the same again")
        }
        404 => (
            Exit::Denied,
            "there is no such repository, or the token may not administer its webhooks (fine-grained: \"Webhooks\", read and write): check --repository too",
        ),
        422 => (Exit::Denied, "GitHub does not take this webhook: check --public-url, which it must be able to reach"),
        500.. => (Exit::Unreachable, "run the same again later: what is there by then is found"),
        _ => (Exit::Denied, "may the token administer the webhooks of this repository (fine-grained: \"Webhooks\", read and write)?"),
    };
    CliError::Role {
        what: format!("GitHub refuses with {status}: {}", crate::output::ansi::plain(&said.join(": "))),
        next: next.to_owned(),
        exit,
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_a_gateway_takes_for_one_are_one() {
        let ours = "https://navvy.example/hooks/platform";
        for (there, is) in [
            (ours, true),
            ("https://navvy.example/hooks/platform/", true),
            ("https://NAVVY.example:443/hooks/platform", true),
            ("https://navvy.example/hooks/platform#x", true),
            ("https://navvy.example/hooks/Platform", false),
            ("https://navvy.example/hooks/platform2", false),
            ("http://navvy.example/hooks/platform", false),
            ("https://navvy.example/webhook", false),
            ("no address", false),
        ] {
            assert_eq!(same(there, ours), is, "{there}");
        }
    }

    #[test]
    fn a_hook_that_could_not_work_is_told() {
        let good = json!({"active": true, "events": ["push"], "config": {"content_type": "json", "insecure_ssl": "0"}});
        assert_eq!(problems(&good), [""; 0]);
        assert_eq!(problems(&json!({"active": true, "events": ["*"], "config": {"content_type": "json"}})), [""; 0]);
        let bad = json!({"active": false, "events": ["pull_request"], "config": {"content_type": "form", "insecure_ssl": "1"}});
        assert_eq!(problems(&bad).len(), 4);
    }
}
