//! Asks Dokploy's API: bounded, never along a redirect, and patient only where asking twice does no harm.

use super::{breaker::Breakers, wire::Refusal};
use crate::sync::floor::Clock;
use proto::{Secret, address::is_loopback};
use reqwest::{
    Client, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect::Policy,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{fmt, sync::Arc, time::Duration};
use url::Url;

/// How long one question waits for its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often something harmless is asked again.
const RETRIES: u32 = 2;
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 16 << 20;

/// Why there is no answer, or no good one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Too many failures in a row: it was not asked at all.
    #[error("Dokploy failed again and again and is not asked for another {} s", .0.as_secs().max(1))]
    LeftAlone(Duration),
    /// No answer, or one that says that nobody could answer. Whether something was done is not known.
    #[error("{operation}: {why}")]
    NoAnswer { operation: &'static str, why: String },
    /// The key is not accepted.
    #[error("{operation}: Dokploy refuses the API key ({status})")]
    KeyRefused { operation: &'static str, status: u16 },
    /// Refused; nothing was done.
    #[error("{operation}: Dokploy answers {status}: {message}")]
    Refused { operation: &'static str, status: u16, message: String },
    /// An answer of another shape.
    #[error("{operation}: the answer has another shape than expected (line {line}, column {column})")]
    Garbled { operation: &'static str, line: usize, column: usize },
}

/// An address or a key that cannot be used. Names no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadApi(pub &'static str);

/// One Dokploy.
#[derive(Clone)]
pub struct Api {
    base: Url,
    client: Client,
    breakers: Arc<Breakers>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// What a question looks like on the wire.
enum Question<'q> {
    Get(&'q [(&'static str, &'q str)]),
    Post(&'q Value),
}

impl Api {
    /// `base` is such as `https://cloud.example.com/api`.
    ///
    /// # Errors
    /// The address is none that a key may be sent to, or the key is none.
    pub fn new(base: &str, key: &Secret, breakers: Arc<Breakers>, clock: Arc<dyn Clock>) -> Result<Self, BadApi> {
        let base = Url::parse(base.trim_end_matches('/')).map_err(|_| BadApi("the address of Dokploy is no URL"))?;
        let loopback = is_loopback(&base);
        let plain = base.username().is_empty() && base.password().is_none() && base.query().is_none() && base.fragment().is_none();
        if !plain || !(base.scheme() == "https" || (base.scheme() == "http" && loopback)) {
            return Err(BadApi("the address of Dokploy must begin with https:// (http:// only on this machine), without user and query"));
        }
        let mut key = HeaderValue::from_str(key.expose()).map_err(|_| BadApi("the key of Dokploy holds characters that no key has"))?;
        key.set_sensitive(true);
        let headers = HeaderMap::from_iter([("x-api-key".parse().map_err(|_| BadApi("no header"))?, key)]);
        let builder = Client::builder().redirect(Policy::none()).timeout(TIMEOUT).default_headers(headers);
        let builder = if loopback { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|_| BadApi("this machine makes no HTTP client"))?;
        Ok(Self { base, client, breakers, clock })
    }

    /// Reads. Asked again if nobody could answer.
    pub(super) async fn get<T: DeserializeOwned>(&self, operation: &'static str, query: &[(&'static str, &str)]) -> Result<T, ApiError> {
        self.ask(operation, &Question::Get(query), RETRIES).await
    }

    /// Changes something. Never asked again: nobody knows whether the first time counted.
    pub(super) async fn post<T: DeserializeOwned>(&self, operation: &'static str, body: &Value) -> Result<T, ApiError> {
        self.ask(operation, &Question::Post(body), 0).await
    }

    /// Sets something to a value, which may be done twice.
    pub(super) async fn put<T: DeserializeOwned>(&self, operation: &'static str, body: &Value) -> Result<T, ApiError> {
        self.ask(operation, &Question::Post(body), RETRIES).await
    }

    /// The turn of this worker to make a project or an environment.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.breakers.turn().await
    }

    async fn ask<T: DeserializeOwned>(&self, operation: &'static str, question: &Question<'_>, retries: u32) -> Result<T, ApiError> {
        let (mut tried, mut before) = (0, None);
        let body = loop {
            if let Err(time) = self.breakers.may_ask(self.base.as_str(), self.clock.now()) {
                // One that was asked and did not answer is not one that was left alone, and why it did not is worth knowing.
                return Err(before.unwrap_or(ApiError::LeftAlone(time)));
            }
            match self.once(operation, question).await {
                Ok(body) => break body,
                Err((error, true)) if tried < retries => {
                    tracing::debug!(operation, "asking Dokploy again"); // What it says may hold secrets.
                    tried += 1;
                    before = Some(error);
                    self.clock.pause(Duration::from_secs(1 << tried)).await;
                }
                Err((error, _)) => return Err(error),
            }
        };
        // Some operations answer with nothing at all.
        let body = if body.trim_ascii().is_empty() { b"{}".as_slice() } else { &body };
        let garbled = |error: serde_json::Error| ApiError::Garbled { operation, line: error.line(), column: error.column() };
        match serde_json::from_slice(body) {
            Ok(answer) => Ok(answer),
            // `true`, where nothing more is expected.
            Err(_) if serde_json::from_slice::<bool>(body).is_ok() => serde_json::from_str("{}").map_err(garbled),
            Err(error) => Err(garbled(error)),
        }
    }

    /// The body of a good answer, or an error and whether it is one that may pass by itself.
    async fn once(&self, operation: &'static str, question: &Question<'_>) -> Result<Vec<u8>, (ApiError, bool)> {
        let address = self.base.as_str();
        let answered = send(self.request(operation, question)).await;
        let failed = match &answered {
            Ok((status, _)) => status.is_server_error(),
            Err(_) => true,
        };
        self.breakers.note(address, !failed, self.clock.now());
        let (status, body) = answered.map_err(|why| (ApiError::NoAnswer { operation, why }, true))?;
        if status.is_success() {
            return Ok(body);
        }
        let message = serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.message).unwrap_or_default();
        // Whole: it is cut where its secrets have been taken out.
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (ApiError::KeyRefused { operation, status: status.as_u16() }, false),
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                (ApiError::NoAnswer { operation, why: format!("it answers {status}") }, true)
            }
            status if status.is_server_error() => (ApiError::NoAnswer { operation, why: format!("it answers {status} {message}") }, false),
            status => (ApiError::Refused { operation, status: status.as_u16(), message }, false),
        })
    }

    fn request(&self, operation: &str, question: &Question<'_>) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(operation);
        }
        match question {
            Question::Get(query) => {
                if !query.is_empty() {
                    url.query_pairs_mut().extend_pairs(*query);
                }
                self.client.get(url)
            }
            Question::Post(body) => self.client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string()),
        }
    }
}

async fn send(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), String> {
    let mut response = request.send().await.map_err(chain)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(chain)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err(format!("the answer is longer than {MAX_ANSWER} bytes"));
        }
    }
    Ok((response.status(), body))
}

/// An error and what it came from, without the address.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(one) = source {
        text = format!("{text}: {one}");
        source = one.source();
    }
    text
}
