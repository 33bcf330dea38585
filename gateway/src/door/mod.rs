//! The door: what every request passes before and after its handler.
//!
//! Here: spans and metrics, security headers, CORS, plain paths, bodies. Not here: who may do what (see `auth`).

pub(crate) mod body;
mod cors;
pub(crate) mod json;
mod path;
pub(crate) mod peer;
pub(crate) mod query;

use crate::{answers::Refusal, app::App};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::{sync::Arc, time::Instant};
use tracing::{Instrument as _, Span, field::Empty};

pub(crate) use cors::Origins;

/// Said with every answer. There is nothing to be embedded, guessed at, or kept.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Names that mean this machine.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Wraps every request.
pub(crate) async fn shell(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let span = span(method.as_str(), route, request.headers());
    let mut response = answer(&app, request, next).instrument(span.clone()).await;
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(name, value);
    }
    span.record("status", response.status().as_u16());
    app.gateway_metrics.request(route, method.as_str(), response.status().as_u16(), began.elapsed());
    response
}

async fn answer(app: &App, request: Request, next: Next) -> Response {
    let caller = app.origins.caller(request.headers());
    let preflight = cors::is_preflight(request.method(), request.headers());
    let mut response = match check(app, &request, &caller) {
        Err(refusal) => refusal.into_response(),
        Ok(()) if preflight => StatusCode::NO_CONTENT.into_response(),
        Ok(()) => next.run(request).await,
    };
    cors::mark(&caller, preflight, response.headers_mut());
    response
}

fn check(app: &App, request: &Request, caller: &cors::Caller) -> Result<(), Refusal> {
    if !path::is_plain(request.uri().path()) {
        return Err(Refusal::NoSuchPath);
    }
    // Without a key, only the name under which a page was loaded tells a page of ours from one that had its own name
    // pointed at this machine (DNS rebinding).
    if app.auth.is_anonymous() && !is_own_name(request.headers()) {
        return Err(Refusal::HostNotAllowed);
    }
    if cors::changes(request.method()) && *caller == cors::Caller::Stranger {
        return Err(Refusal::OriginNotAllowed);
    }
    Ok(())
}

fn is_own_name(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = if host.ends_with(']') { host } else { host.rsplit_once(':').map_or(host, |(name, _)| name) };
    OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// The request's span: a child of the caller's, if the caller has one.
fn span(method: &str, route: Option<&str>, headers: &HeaderMap) -> Span {
    let route = route.unwrap_or("unmatched");
    let span = tracing::info_span!(
        "http request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        method,
        route,
        by = Empty,
        run = Empty,
        status = Empty
    );
    let parent = service::telemetry::extract(|name| headers.get(name)?.to_str().ok().map(str::to_owned));
    if let Some(parent) = parent {
        service::telemetry::set_parent(&span, &parent);
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_three_names() {
        for (host, own) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("evil.example", false),
            ("localhost.evil.example:8080", false),
            ("127.0.0.1.nip.io", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            assert_eq!(is_own_name(&headers), own, "{host}");
        }
        assert!(!is_own_name(&HeaderMap::new()));
    }
}
