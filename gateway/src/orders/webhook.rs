//! `POST /webhook`: a job in base64 in a JSON object, and the answers of the engine that is replaced.
//!
//! Its clients read `status`, then `error` or `errors`; every refusal has this form here, ours too. Bodies that are no jobs
//! belong to forges, whose events will come to the same address.

use super::{
    Asked, Desk, Intake, Receipt,
    prepare::{Rejected, prepare},
};
use crate::{
    answers::Refusal,
    deploy::{Admitted, identity},
};
use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use domain::orders::{BadJson, Envelope, JobRequest, Problem};
use proto::RunId;
use serde::Serialize;
use utoipa::ToSchema;

/// Base64 as programs write it, with or without padding.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// The answer to an accepted job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookBody {
    /// `ok`.
    status: &'static str,
    /// The run, whatever `run_id` was sent: that one only makes a repeat the same run.
    #[schema(value_type = String, format = "uuid")]
    run_id: RunId,
    trace_id: String,
    /// `<username>:<trace_id>-<flow_label>`.
    flow_id: String,
    /// Where the end is told.
    done_endpt: String,
    pr_search_tag: String,
    /// Always null: the comment comes after the answer.
    init_pr_comment: Option<u64>,
}

/// The answer to a refused one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookErrorBody {
    /// `error`.
    status: &'static str,
    /// What is wrong, if it is not the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Everything that is wrong with the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    run_id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// Takes a job in, and answers.
pub(crate) async fn answer<F, A>(desk: &Desk<'_>, asked: &Asked<'_>, take_in: F) -> Response
where
    F: FnOnce(Intake) -> A + Send,
    A: Future<Output = Result<Admitted, Refusal>> + Send,
{
    let prepared = job(asked.body).and_then(|job| prepare(desk, asked, job).map_err(|rejected| Box::new(told(rejected))));
    let intake = match prepared {
        Ok(intake) => intake,
        Err(response) => return *response,
    };
    let receipt = Receipt::of(&intake);
    match take_in(intake).await {
        Ok(admitted) => accepted(admitted, receipt, desk.public_url),
        Err(refusal) => refused(&refusal),
    }
}

/// Whether a body is a job at all. What is not belongs to somebody else, or to nobody.
pub(crate) fn is_job(body: &[u8]) -> bool {
    Envelope::read(body).is_ok_and(|envelope| envelope.has_job())
}

/// A signed event of a forge, while nothing here takes those.
pub(crate) fn event_not_taken() -> Response {
    error(StatusCode::NOT_FOUND, "this is no job (there is no job_parameters_b64), and events of a forge are not taken here")
}

/// A refusal in the form that is expected here.
pub(crate) fn refused(refusal: &Refusal) -> Response {
    let mut response = refusal.clone().into_response();
    let body = WebhookErrorBody { error: Some(refusal.text()), ..WebhookErrorBody::empty() };
    let headers = std::mem::take(response.headers_mut());
    let mut ours = (response.status(), Json(body)).into_response();
    for kept in [header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
        if let Some(value) = headers.get(&kept) {
            ours.headers_mut().insert(kept, value.clone());
        }
    }
    ours
}

/// For every method but POST.
pub(crate) fn method_not_allowed(method: &Method) -> Response {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, format!("Method {method} not allowed"));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The job in a body.
fn job(body: &[u8]) -> Result<JobRequest, Box<Response>> {
    let bad = |what: &str, why: BadJson| Box::new(error(StatusCode::BAD_REQUEST, format!("{what}: {why}")));
    // Nothing at all is an envelope without a job.
    let envelope = if body.is_empty() { Ok(Envelope::default()) } else { Envelope::read(body) };
    let envelope = envelope.map_err(|why| bad("the body cannot be read", why))?;
    let Some(text) = envelope.job() else {
        let told = if envelope.has_job() { "job_parameters_b64 must be a text in base64" } else { "Missing job_parameters_b64" };
        return Err(Box::new(error(StatusCode::BAD_REQUEST, told)));
    };
    // `base64` breaks lines.
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let json = BASE64
        .decode(text)
        .map_err(|_| Box::new(error(StatusCode::BAD_REQUEST, "job_parameters_b64 is not base64: encode the job's JSON with it")))?;
    let job = JobRequest::read(&json).map_err(|why| bad("the job in job_parameters_b64 cannot be read", why))?;
    Ok(job.in_envelope(envelope))
}

fn told(rejected: Rejected) -> Response {
    match rejected {
        Rejected::Request(refusal) => refused(&refusal),
        Rejected::Job { problems, run, trace_id } => {
            let errors = problems.into_iter().map(|Problem { text, .. }| text).collect();
            let body = WebhookErrorBody { errors, run_id: Some(run), trace_id: Some(trace_id), ..WebhookErrorBody::empty() };
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    }
}

fn accepted(admitted: Admitted, receipt: Receipt, public_url: &str) -> Response {
    let body = WebhookBody {
        status: "ok",
        run_id: admitted.run,
        trace_id: receipt.trace_id,
        flow_id: receipt.flow_id,
        done_endpt: format!("{public_url}/v1/runs/{}/done", admitted.run),
        pr_search_tag: receipt.search_tag,
        init_pr_comment: None,
    };
    let mut response = (StatusCode::OK, Json(body)).into_response();
    if admitted.replayed {
        response.headers_mut().insert(identity::REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

fn error(status: StatusCode, text: impl Into<String>) -> Response {
    (status, Json(WebhookErrorBody { error: Some(text.into()), ..WebhookErrorBody::empty() })).into_response()
}

impl WebhookErrorBody {
    fn empty() -> Self {
        Self { status: "error", error: None, errors: Vec::new(), run_id: None, trace_id: None }
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
