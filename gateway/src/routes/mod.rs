//! Every route there is: its path, who may use it, and how it is documented, in one table.
//!
//! The router and the API's document are both made from [`mod@table`], so there is no route without an access and none that the
//! document does not know.

mod document;
mod syncs_table;
mod table;

use crate::{
    answers::Refusal,
    app::App,
    auth::{
        Access,
        layer::{Guard, guard},
    },
    door,
};
use axum::{
    Json, Router,
    extract::State,
    http::{Method, StatusCode},
    middleware,
    response::IntoResponse as _,
};
use std::sync::{Arc, LazyLock};
use utoipa::openapi::OpenApi;

pub(crate) use document::Doc;
use table::table;

static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(|| document::of(table()));

/// The router over an app.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for route in table() {
        let guard_state = Guard { app: Arc::clone(app), access: route.access };
        let mut handler = route.handler;
        // Who needs no key is a probe or a scraper, and may come with parameters of its own.
        if matches!(route.access, Access::Needs(_) | Access::AnyKey | Access::KeyOrSignature) {
            let known: Arc<[&'static str]> = route.doc.queries.into();
            handler = handler.route_layer(middleware::from_fn_with_state(known, door::query::only_known));
        }
        // Added last, so asked first: a stranger learns nothing about parameters.
        router = router.route(route.path, handler.route_layer(middleware::from_fn_with_state(guard_state, guard)));
    }
    router
        .fallback(|| async { Refusal::NoSuchPath })
        .method_not_allowed_fallback(|method: Method| async move {
            // The router adds the Allow header to both.
            if method == Method::OPTIONS { StatusCode::NO_CONTENT.into_response() } else { Refusal::MethodNotAllowed.into_response() }
        })
        .layer(middleware::from_fn_with_state(Arc::clone(app), door::shell))
        .with_state(Arc::clone(app))
}

/// `GET /openapi.json`.
async fn openapi(State(_app): State<Arc<App>>) -> Json<&'static OpenApi> {
    Json(&DOCUMENT)
}

#[cfg(test)]
mod tests;
