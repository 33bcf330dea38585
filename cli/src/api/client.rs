//! One HTTP client for all verbs: address, key, timeouts, and how an error answer is read.

use std::time::Duration;

use proto::{JobNo, RunId, Secret, address::is_loopback};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::exit::Exit;
use crate::problem::{CliError, GatewayAnswer};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take. The gateway bounds its own work at 30 s.
const ANSWER: Duration = Duration::from_secs(40);
/// A live stream that is silent for longer is taken for dead: heartbeats come every 15 s.
const STREAM_SILENCE: Duration = Duration::from_mins(1);

/// A client of one gateway.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    streams: reqwest::Client,
    url: Url,
}

/// Which part of a list, and which of its items.
#[derive(Debug, Default, Clone)]
pub(crate) struct Page(Vec<(&'static str, String)>);

impl Page {
    /// Adds a query parameter when there is a value.
    pub(crate) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.0.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

impl Client {
    /// A client that sends `token`, if any, with every request to `url`.
    pub(crate) fn new(url: &Url, token: Option<&Secret>) -> Result<Self, CliError> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| CliError::usage("the API key cannot be sent in a header", "check the key"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let build = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("navvy/", env!("CARGO_PKG_VERSION")))
                .default_headers(headers.clone())
                // A redirect would carry the key somewhere else; the API has none.
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT);
            if is_loopback(url) { builder.no_proxy() } else { builder }
        };
        let failed = |source| CliError::Role {
            what: "cannot prepare the HTTP client".into(),
            next: "are the system's certificates installed (package ca-certificates)?".into(),
            exit: Exit::Broken,
            source: Some(Box::new(source)),
        };
        Ok(Self {
            http: build().timeout(ANSWER).build().map_err(failed)?,
            streams: build().read_timeout(STREAM_SILENCE).build().map_err(failed)?,
            url: url.clone(),
        })
    }

    /// The gateway's address, for people.
    pub(crate) fn address(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// `GET`, read as it is.
    pub(crate) async fn get(&self, path: &str, page: &Page) -> Result<Value, CliError> {
        let mut url = self.at(path);
        if !page.0.is_empty() {
            url.query_pairs_mut().extend_pairs(&page.0);
        }
        self.answer(self.http.get(url)).await
    }

    /// `POST` with a JSON body, once: nobody knows what a repeat would do. See [`Client::submit`].
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.answer(self.http.post(self.at(path)).json(body)).await
    }

    /// `POST` with an idempotency key, tried up to three times when the gateway does not answer or cannot serve:
    /// the key makes a repeat get the first answer.
    pub(crate) async fn submit(&self, path: &str, body: &Value, idempotency_key: &str) -> Result<Value, CliError> {
        self.submit_text(path, &body.to_string(), idempotency_key).await
    }

    /// The same with JSON that is sent as it was given.
    pub(crate) async fn submit_text(&self, path: &str, json: &str, idempotency_key: &str) -> Result<Value, CliError> {
        let mut pause = Duration::from_millis(300);
        let mut tries = 1;
        loop {
            let request = self.http.post(self.at(path)).header("Idempotency-Key", idempotency_key);
            let request = request.header(CONTENT_TYPE, "application/json").body(json.to_owned());
            match self.answer(request).await {
                Err(error) if error.exit() == Exit::Unreachable && tries < 3 => {
                    tokio::time::sleep(pause).await;
                    pause *= 3;
                    tries += 1;
                }
                settled => return settled,
            }
        }
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), CliError> {
        let answer = self.send(self.http.request(Method::DELETE, self.at(path))).await?;
        self.success(answer).await.map(drop)
    }

    /// The live stream of a run's output, or of one job's, resumed after `after`.
    pub(crate) async fn open_logs(&self, run: RunId, job: Option<JobNo>, follow: bool, after: Option<&str>) -> Result<Response, CliError> {
        let mut url = self.at(&format!("v1/runs/{run}/logs"));
        if !follow {
            url.query_pairs_mut().append_pair("follow", "0");
        }
        if let Some(job) = job {
            url.query_pairs_mut().append_pair("job", &job.to_string());
        }
        let mut request = self.streams.get(url).header("Accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        let answer = self.send(request).await?;
        self.success(answer).await
    }

    /// An answer of the API, read as `T`.
    pub(crate) fn read<T: DeserializeOwned>(&self, answer: Value) -> Result<T, CliError> {
        serde_json::from_value(answer).map_err(|error| self.strange(error.to_string()))
    }

    /// That the gateway's answer makes no sense.
    pub(crate) fn strange(&self, what: impl Into<String>) -> CliError {
        CliError::Strange { url: self.address().to_owned(), what: what.into() }
    }

    /// That the connection failed.
    pub(crate) fn unreachable(&self, source: reqwest::Error) -> CliError {
        CliError::Unreachable { url: self.address().to_owned(), source: source.without_url() }
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}/{path}"));
        url
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        request.send().await.map_err(|error| self.unreachable(error))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, CliError> {
        let answer = self.send(request).await?;
        let bytes = self.success(answer).await?.bytes().await.map_err(|error| self.unreachable(error))?;
        serde_json::from_slice(&bytes).map_err(|error| self.strange(format!("no JSON: {error}")))
    }

    /// The answer itself when it is a success, else its error.
    async fn success(&self, answer: Response) -> Result<Response, CliError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        if status.is_redirection() {
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
            return Err(self.strange(format!("it redirects to {to}; redirects are not followed, set --url to that")));
        }
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|s| s.to_str().ok()).map(str::to_owned);
        let body = answer.bytes().await.unwrap_or_default();
        Err(CliError::Answer(Box::new(read_error(status, &body, retry_after.as_deref()))))
    }
}

/// The error object of the API; an answer without one (of a proxy, say) is told by its status.
fn read_error(status: StatusCode, body: &[u8], retry_after: Option<&str>) -> GatewayAnswer {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let mut message = text("error").unwrap_or_else(|| format!("the gateway answered {status}"));
    if let Some(seconds) = retry_after {
        message = format!("{message} (try again in {seconds} s)");
    }
    let problems = body.get("errors").cloned().and_then(|errors| serde_json::from_value(errors).ok()).unwrap_or_default();
    let (code, field, status_word) = (text("code").unwrap_or_default(), text("field"), text("status"));
    GatewayAnswer { http: status.as_u16(), message, code, field, status: status_word, problems }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_the_apis_object_is_told_by_its_status() {
        let answer = read_error(StatusCode::BAD_GATEWAY, b"<html>", None);
        assert_eq!((answer.http, answer.message.as_str()), (502, "the gateway answered 502 Bad Gateway"));
        let answer = read_error(StatusCode::CONFLICT, br#"{"error":"no","code":"wrong_state","field":null,"status":"failed"}"#, Some("5"));
        assert_eq!(answer.message, "no (try again in 5 s)");
        assert_eq!((answer.code.as_str(), answer.status.as_deref(), answer.field), ("wrong_state", Some("failed"), None));
    }

    #[test]
    fn a_path_of_the_address_is_a_prefix() {
        let client = Client::new(&Url::parse("https://x.example/navvy/").unwrap(), None).unwrap();
        assert_eq!(client.at("v1/runs").as_str(), "https://x.example/navvy/v1/runs");
        assert_eq!(client.address(), "https://x.example/navvy");
    }
}
