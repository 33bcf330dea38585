//! What stands before every route: who calls, and may they?
//!
//! The route's [`Access`] comes from the table of routes; a handler finds its caller as [`Who`].

use super::{Access, Principal, authorize};
use crate::{answers::Refusal, app::App, door::peer::client_ip, orders};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::request::Parts,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::sync::Arc;

/// The caller of a route that needs a key.
#[derive(Debug, Clone)]
pub(crate) struct Who(pub(crate) Principal);

/// What a route's guard needs.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) app: Arc<App>,
    pub(crate) access: Access,
}

/// Lets a request through to its handler, or not.
pub(crate) async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    if matches!(guard.access, Access::Open | Access::Signature) {
        return next.run(request).await;
    }
    let app = &guard.app;
    let client = client_ip(request.extensions(), request.headers(), &app.limits.trusted_proxies);
    let caller = match app.auth.caller(request.headers(), client).await {
        Ok(caller) => caller,
        Err(refusal) => return refused(guard.access, refusal),
    };
    if let Err(refusal) = authorize(caller.as_ref(), guard.access, app.loopback) {
        return refused(guard.access, refusal);
    }
    if let Some(caller) = caller {
        tracing::Span::current().record("by", caller.name());
        request.extensions_mut().insert(Who(caller));
    }
    next.run(request).await
}

/// A refusal in the form that the route's clients read.
fn refused(access: Access, refusal: Refusal) -> Response {
    match access {
        Access::KeyOrProof => orders::webhook_refused(&refusal),
        Access::Open | Access::OpenOnLoopback | Access::AnyKey | Access::KeyOrSignature | Access::Signature | Access::Needs(_) => {
            refusal.into_response()
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or(Refusal::NoKey)
    }
}
