//! What goes out: refusals and their words, what people read about a run, and the way from an error to an answer.
//!
//! All text for people stands in [`refusal`] and [`report`]. An error of the store becomes an answer here: the caller is
//! told what to do, the log is told what happened.

pub(crate) mod refusal;
pub(crate) mod report;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bus::BusError;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use refusal::{Door, FieldProblem, Refusal};

/// The body of every refusal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What is wrong, and what to do.
    error: String,
    /// One word for programs.
    code: String,
    /// The field that is wrong; null when no single one is.
    field: Option<String>,
    /// The run's status, when the run was in the wrong one; else null.
    status: Option<String>,
    /// Every wrong field, when fields are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldBody>,
}

/// One wrong field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldBody {
    field: String,
    message: String,
}

impl From<&Refusal> for ErrorBody {
    fn from(refusal: &Refusal) -> Self {
        let errors = match refusal {
            Refusal::BadInput(problems) => {
                problems.iter().map(|p| FieldBody { field: p.field.clone(), message: p.message.clone() }).collect()
            }
            _ => Vec::new(),
        };
        let status = match refusal {
            Refusal::Command { status, .. } if !status.is_empty() => Some(status.clone()),
            _ => None,
        };
        let (_, code) = refusal.code();
        Self { error: refusal.text(), code: code.to_owned(), field: refusal.named_field().map(str::to_owned), status, errors }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, _) = self.code();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(ErrorBody::from(&self))).into_response();
        if let Some(after) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Prints an error and everything behind it, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<BusError> for Refusal {
    fn from(error: BusError) -> Self {
        let refusal = match &error {
            BusError::Unavailable { .. } | BusError::Timeout { .. } | BusError::Full { .. } => Self::Unavailable,
            BusError::TooLarge { .. } => Self::TooLargeToStore,
            BusError::Conflict { .. }
            | BusError::Denied { .. }
            | BusError::NotFound { .. }
            | BusError::Corrupt { .. }
            | BusError::Layout { .. }
            | BusError::OldServer { .. }
            | BusError::Refused { .. }
            | BusError::Invalid { .. } => Self::Internal,
        };
        if refusal == Self::Internal {
            tracing::error!(error = chain(&error), "a request failed");
        } else {
            tracing::warn!(error = chain(&error), "the store did not serve a request");
        }
        refusal
    }
}

#[cfg(test)]
mod tests;
