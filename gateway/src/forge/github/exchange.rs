//! One request to GitHub and its answer: headers, limits of time and size, and nothing followed anywhere else.

use super::{BadGitHub, refusal};
use crate::{answers::chain, forge::ForgeError};
use proto::address::is_loopback;
use reqwest::{
    Client, Method, Response, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK},
    redirect::Policy,
};
use serde::de::DeserializeOwned;
use service::settings::{self, Secret};

/// Largest answer: a page of a hundred comments of the greatest length.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// Largest answer that is read for its error message.
const MAX_REFUSAL: usize = 64 * 1024;
/// The version of the API that this code was written for.
const API_VERSION: &str = "2022-11-28";
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-github-api-version");

/// Where GitHub is, and what we show it.
#[derive(Debug)]
pub(super) struct Exchange {
    client: Client,
    /// Ends with a slash.
    base: Url,
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Exchange {
    /// `token` is shown with every request.
    pub(super) fn new(settings: &settings::GitHub, token: &Secret) -> Result<Self, BadGitHub> {
        let base: Url = format!("{}/", settings.api_url.trim_end_matches('/')).parse().map_err(|_| BadGitHub::Address)?;
        let mut login = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| BadGitHub::Token)?;
        login.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, login),
            (ACCEPT, HeaderValue::from_static("application/vnd.github+json")),
            (VERSION_HEADER, HeaderValue::from_static(API_VERSION)),
        ]);
        let builder = Client::builder()
            .user_agent(concat!("navvy/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            // A redirect would carry the text, and perhaps the token, to whom nobody named.
            .redirect(Policy::none())
            .timeout(settings.timeout.duration());
        let builder = if is_loopback(&base) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| BadGitHub::Client(error.to_string()))?;
        Ok(Self { client, base })
    }

    /// Where it is.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Sends a request to `path`, which begins without a slash.
    pub(super) async fn send(&self, method: Method, path: &str, json: Option<Vec<u8>>) -> Result<Answer, ForgeError> {
        let url = self.base.join(path).map_err(|error| ForgeError::Refused(error.to_string()))?;
        let request = self.client.request(method, url);
        let request = match json {
            Some(json) => request.header(CONTENT_TYPE, "application/json").body(json),
            None => request,
        };
        let response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            let body = whole(response, MAX_ANSWER).await?;
            return Ok(Answer { headers, body });
        }
        // The status alone says enough when the rest of a refusal does not arrive.
        let body = whole(response, MAX_REFUSAL).await.unwrap_or_default();
        Err(refusal::read(status, &headers, &body, resource(path)))
    }
}

impl Answer {
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ForgeError> {
        let strange = |error: serde_json::Error| ForgeError::Unavailable(format!("its answer cannot be read: {error}"));
        serde_json::from_slice(&self.body).map_err(strange)
    }

    /// Whether there is a next page; `None` when the answer has no Link header at all.
    pub(super) fn has_next(&self) -> Option<bool> {
        let link = self.headers.get(LINK)?.to_str().ok()?;
        Some(link.split(',').any(|part| part.contains("rel=\"next\"")))
    }
}

/// The path without its query, as it may be shown.
fn resource(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

async fn whole(mut response: Response, limit: usize) -> Result<Vec<u8>, ForgeError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > limit {
            return Err(ForgeError::Unavailable(format!("its answer is larger than {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What the client says, with its causes and without the address.
fn unreachable(error: reqwest::Error) -> ForgeError {
    ForgeError::Unavailable(chain(&error.without_url()))
}
