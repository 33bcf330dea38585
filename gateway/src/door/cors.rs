//! Which web pages may call: an exact list of origins, and the gateway's own.
//!
//! Pure. Without a match no CORS header is sent at all. A request that changes something and comes from a page that is
//! not listed is refused, whatever the browser would do with the answer.

use axum::http::{HeaderMap, HeaderValue, Method, header};

/// What a page's script may send.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, idempotency-key, last-event-id");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE, OPTIONS");
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("idempotency-replayed, retry-after");
/// Ten minutes.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that may call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins(Vec<String>);

/// What an `Origin` header says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// No browser, or the gateway's own page.
    Own,
    /// A page on the list; the value to be echoed.
    Listed(HeaderValue),
    /// Any other page.
    Stranger,
}

impl Origins {
    /// Exact origins: `scheme://host` or `scheme://host:port`.
    pub(crate) fn new(origins: &[String]) -> Self {
        Self(origins.to_vec())
    }

    /// Where the request comes from.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Caller {
        let Some(origin) = headers.get(header::ORIGIN) else { return Caller::Own };
        let Ok(text) = origin.to_str() else { return Caller::Stranger };
        if self.0.iter().any(|listed| listed == text) {
            return Caller::Listed(origin.clone());
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let own = host.is_some_and(|host| text.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host)));
        if own { Caller::Own } else { Caller::Stranger }
    }
}

/// Whether a request with this method may have an effect.
pub(crate) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether this is a browser asking before the real request.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds what the browser needs to let the page see the answer.
pub(crate) fn mark(caller: &Caller, preflight: bool, headers: &mut HeaderMap) {
    // Always, or a cache hands one origin's answer to another.
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Caller::Listed(origin) = caller else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    if preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(origin: Option<&str>) -> Caller {
        let origins = Origins::new(&["https://ui.example".into(), "http://localhost:5173".into()]);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("navvy.example:8080"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        origins.caller(&headers)
    }

    #[test]
    fn only_exact_origins_are_listed() {
        for (origin, listed) in [("https://ui.example", true), ("http://localhost:5173", true)] {
            assert_eq!(matches!(caller(Some(origin)), Caller::Listed(_)), listed, "{origin}");
        }
        for stranger in [
            "null",
            "https://ui.example.evil",
            "http://ui.example",
            "https://ui.example:444",
            "https://UI.example",
            "*",
            "https://navvy.example",
        ] {
            assert_eq!(caller(Some(stranger)), Caller::Stranger, "{stranger}");
        }
        assert_eq!(caller(None), Caller::Own);
        assert_eq!(caller(Some("http://navvy.example:8080")), Caller::Own);
    }

    #[test]
    fn a_stranger_gets_no_header_but_vary() {
        for (origin, preflight, count) in [
            (Some("https://evil.example"), true, 1),
            (None, false, 1),
            (Some("https://ui.example"), false, 3),
            (Some("https://ui.example"), true, 6),
        ] {
            let mut headers = HeaderMap::new();
            mark(&caller(origin), preflight, &mut headers);
            assert_eq!(headers.len(), count, "{origin:?} {preflight}");
        }
    }

    #[test]
    fn what_may_change_something_is_told_by_its_method() {
        for (method, expected) in [
            (Method::GET, false),
            (Method::HEAD, false),
            (Method::OPTIONS, false),
            (Method::POST, true),
            (Method::DELETE, true),
            (Method::TRACE, true),
        ] {
            assert_eq!(changes(&method), expected, "{method}");
        }
    }
}
