//! A route's query parameters, read as strictly as a body: what is not known is refused with its name.
//!
//! The types behind it hold texts only; what a text means is checked by whoever asked for it.

use crate::answers::Refusal;
use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

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

fn refusal(told: &str) -> Refusal {
    let named = |before: &str| told.split_once(before).and_then(|(_, rest)| rest.split_once('`')).map(|(name, _)| name);
    let printable = |name: &str| name.chars().take(80).flat_map(char::escape_debug).collect::<String>();
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

    #[tokio::test]
    async fn unknown_and_repeated_parameters_are_named() {
        assert_eq!(read("/x").await, Ok(None));
        assert_eq!(read("/x?after=0.1.5").await, Ok(Some("0.1.5".into())));
        assert_eq!(read("/x?token=canary").await, Err("token: is not known here".into()));
        assert_eq!(read("/x?after=1&after=2").await, Err("after: is there twice".into()));
    }
}
