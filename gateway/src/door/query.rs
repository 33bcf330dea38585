//! A route's query parameters, read as strictly as a body: what is not known is refused with its name.
//!
//! The types behind it hold texts only; what a text means is checked by whoever asked for it.

use crate::answers::Refusal;
use axum::{
    extract::{FromRequestParts, Query, Request, State},
    http::{Uri, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The parameters of a request.
#[derive(Debug, Clone)]
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let Query(params) = Query::try_from_uri(&parts.uri).map_err(|rejection| refusal(&rejection.body_text()))?;
        Ok(Self(params))
    }
}

/// Lets a request through whose parameters are all among those that its route reads, whether it has a type for them or none.
pub(crate) async fn only_known(State(known): State<Arc<[&'static str]>>, request: Request, next: Next) -> Response {
    match unknown(request.uri(), &known) {
        Some(name) => Refusal::field(printable(&name), "is not known here").into_response(),
        None => next.run(request).await,
    }
}

fn unknown(uri: &Uri, known: &[&str]) -> Option<String> {
    // What cannot be read at all is refused where it is read.
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    pairs.into_iter().map(|(name, _)| name).find(|name| !known.contains(&name.as_str()))
}

fn printable(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}

fn refusal(told: &str) -> Refusal {
    let named = |before: &str| told.split_once(before).and_then(|(_, rest)| rest.split_once('`')).map(|(name, _)| name);
    match (named("unknown field `"), named("duplicate field `")) {
        (Some(name), _) => Refusal::field(printable(name), "is not known here"),
        (None, Some(name)) => Refusal::field(printable(name), "is there twice"),
        (None, None) => Refusal::field("", "the query cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        after: Option<String>,
    }

    async fn read(uri: &str) -> Result<Option<String>, String> {
        let (mut parts, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
        Params::<Sample>::from_request_parts(&mut parts, &()).await.map(|params| params.0.after).map_err(|refusal| refusal.text())
    }

    #[test]
    fn a_route_knows_its_parameters() {
        let asked = |uri: &str| unknown(&uri.parse().unwrap(), &["limit"]);
        assert_eq!(asked("/x"), None);
        assert_eq!(asked("/x?"), None);
        assert_eq!(asked("/x?limit=1&limit=2"), None);
        assert_eq!(asked("/x?limit=1&tok%65n=a"), Some("token".into()));
    }

    #[tokio::test]
    async fn unknown_and_repeated_parameters_are_named() {
        assert_eq!(read("/x").await, Ok(None));
        assert_eq!(read("/x?after=0.1.5").await, Ok(Some("0.1.5".into())));
        assert_eq!(read("/x?token=canary").await, Err("token: is not known here".into()));
        assert_eq!(read("/x?after=1&after=2").await, Err("after: is there twice".into()));
    }
}
