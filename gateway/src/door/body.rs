//! Reads a request's body: bounded in size and time, JSON only, never decompressed.

use super::{json, peer::client_ip};
use crate::{answers::Refusal, app::App, hooks::Held};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) bytes: u64,
    /// The setting that says so.
    pub(crate) setting: &'static str,
}

impl Bound {
    pub(crate) fn of_most_routes(app: &App) -> Self {
        Self { bytes: app.limits.body_bytes, setting: "gateway.body_limit_bytes" }
    }

    pub(crate) fn exceeded(self) -> Refusal {
        Refusal::BodyTooLarge { limit: self.bytes, setting: self.setting }
    }
}

/// The body's bytes, whatever they are.
pub(crate) async fn read(app: &App, request: Request) -> Result<Bytes, Refusal> {
    read_within(app, request, Bound::of_most_routes(app)).await
}

async fn read_within(app: &App, request: Request, bound: Bound) -> Result<Bytes, Refusal> {
    let (parts, body) = request.into_parts();
    plain(&parts.headers)?;
    bounded(&parts.headers, body, bound, app.limits.request_timeout).await
}

/// The bytes of a body that says it is JSON, or of one that is empty; for routes with a bound and a reader of their own.
pub(crate) async fn json_or_nothing(app: &App, request: Request, bound: Bound) -> Result<Bytes, Refusal> {
    let is_json = is_json(request.headers());
    let bytes = read_within(app, request, bound).await?;
    if is_json || bytes.is_empty() { Ok(bytes) } else { Err(Refusal::NotJson) }
}

/// A body of somebody who has proved nothing yet: it takes room that such senders share, so that a few slow ones keep nobody out.
pub(crate) async fn unproven(app: &App, request: Request, bound: Bound) -> Result<Held<'_>, Refusal> {
    let (parts, body) = request.into_parts();
    plain(&parts.headers)?;
    let from = client_ip(&parts.extensions, &parts.headers, &app.limits.trusted_proxies);
    let longest = usize::try_from(bound.bytes).unwrap_or(usize::MAX);
    app.room.read_within(&parts.headers, body, (from, app.limits.request_timeout), (longest, bound.exceeded())).await
}

/// A JSON body, together with its bytes.
pub(crate) async fn json<T: DeserializeOwned>(app: &App, request: Request) -> Result<(T, Bytes), Refusal> {
    let is_json = is_json(request.headers());
    let bytes = read(app, request).await?;
    if !is_json {
        return Err(Refusal::NotJson);
    }
    Ok((json::strict(&bytes)?, bytes))
}

/// A JSON body that may be left out.
pub(crate) async fn optional_json<T: DeserializeOwned + Default>(app: &App, request: Request) -> Result<T, Refusal> {
    let is_json = is_json(request.headers());
    let bytes = read(app, request).await?;
    match bytes.is_empty() {
        true => Ok(T::default()),
        false if is_json => json::strict(&bytes),
        false => Err(Refusal::NotJson),
    }
}

/// A compressed body could be a thousand times its size.
pub(crate) fn plain(headers: &HeaderMap) -> Result<(), Refusal> {
    let encoded = headers.get_all(header::CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded { Err(Refusal::Encoded) } else { Ok(()) }
}

/// Whether a body says that it is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    let json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    // JSON is UTF-8; another charset would be another text.
    json && parts.all(|part| !part.to_ascii_lowercase().starts_with("charset=") || part.eq_ignore_ascii_case("charset=utf-8"))
}

async fn bounded(headers: &HeaderMap, body: Body, bound: Bound, patience: Duration) -> Result<Bytes, Refusal> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bound.bytes) {
        return Err(bound.exceeded());
    }
    tokio::time::timeout(patience, collect(body, bound)).await.map_err(|_| Refusal::BodyTooSlow)?
}

/// A body without an announced length is counted as it comes.
async fn collect(body: Body, bound: Bound) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::field("", "the body did not arrive whole"))?;
        if (all.len() + chunk.len()) as u64 > bound.bytes {
            return Err(bound.exceeded());
        }
        all.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_json_in_utf_8_is_json() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json; charset=latin1", false),
            ("text/json", false),
            ("application/jsonp", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            assert_eq!(is_json(&headers(header::CONTENT_TYPE, value)), json, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn a_compressed_body_is_refused_unread() {
        for (value, fine) in [("identity", true), ("gzip", false), ("br", false), ("identity, gzip", false)] {
            assert_eq!(plain(&headers(header::CONTENT_ENCODING, value)).is_ok(), fine, "{value}");
        }
    }

    #[tokio::test]
    async fn the_limit_holds_with_and_without_an_announced_length() {
        let patience = Duration::from_mins(1);
        let bound = Bound { bytes: 8, setting: "x" };
        for (length, fine) in [(8, true), (9, false), (0, true)] {
            let chunks = (0..length).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"x")));
            let body = Body::from_stream(futures_util::stream::iter(chunks.collect::<Vec<_>>()));
            let read = bounded(&HeaderMap::new(), body, bound, patience).await;
            assert_eq!(read.is_ok(), fine, "{length}");
        }
        let announced = headers(header::CONTENT_LENGTH, "9");
        assert_eq!(bounded(&announced, Body::empty(), bound, patience).await, Err(Refusal::BodyTooLarge { limit: 8, setting: "x" }));
        let slow = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(bounded(&HeaderMap::new(), slow, bound, Duration::ZERO).await, Err(Refusal::BodyTooSlow));
    }
}
