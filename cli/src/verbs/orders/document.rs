//! The file of a job: the job itself as JSON, or the envelope in which the replaced order engine took it.
//!
//! The gateway's route takes the job alone, so an envelope is opened here, and what stood beside the job goes into it.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::orders::{BadJson, Envelope, JobRequest};
use proto::Secret;
use serde_json::{Map, Value};

use crate::files;
use crate::problem::CliError;

/// What of an envelope counts more than the same field of its job.
const BESIDE_THE_JOB: [&str; 2] = ["run_id", "trace_id"];

/// A job that could be read.
#[derive(Debug)]
pub(super) struct Document {
    /// For people: the file, or `stdin`.
    pub(super) name: String,
    /// The job's JSON, as it is sent.
    pub(super) json: Secret,
    pub(super) job: JobRequest,
}

/// Reads a file, or stdin.
pub(super) fn open(path: &Path) -> Result<Document, CliError> {
    let name = if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() };
    let given = files::job(path)?;
    let (json, job) = job_in(given).map_err(|why| CliError::usage(format!("{name}: {why}"), NEXT))?;
    Ok(Document { name, json, job })
}

const NEXT: &str = "a job is a JSON object without comments: docs/reference/orders.md shows one";

/// The job in a text, and what of it is sent.
fn job_in(given: Secret) -> Result<(Secret, JobRequest), BadDocument> {
    let envelope = Envelope::read(given.expose().as_bytes())?;
    if !envelope.has_job() {
        let job = JobRequest::read(given.expose().as_bytes())?;
        return Ok((given, job));
    }
    // `base64` breaks lines.
    let encoded: String = envelope.job().ok_or(BadDocument::NoText)?.split_ascii_whitespace().collect();
    let json = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(BadDocument::NotBase64)?;
    let job = JobRequest::read(json.as_bytes()).map_err(BadDocument::Inner)?.in_envelope(envelope);
    Ok((Secret::new(with_what_stood_beside(given.expose(), json)?), job))
}

/// The job's JSON with the fields of its envelope that count more.
fn with_what_stood_beside(envelope: &str, json: String) -> Result<String, BadDocument> {
    let outer: Map<String, Value> = serde_json::from_str(envelope).map_err(|_| BadDocument::NoText)?;
    let beside: Vec<_> = outer.into_iter().filter(|(name, value)| BESIDE_THE_JOB.contains(&name.as_str()) && !value.is_null()).collect();
    if beside.is_empty() {
        return Ok(json);
    }
    let mut inner: Map<String, Value> = serde_json::from_str(&json).map_err(|_| BadDocument::NotBase64)?;
    inner.extend(beside);
    Ok(Value::Object(inner).to_string())
}

/// Why a file holds no job.
#[derive(Debug, thiserror::Error)]
enum BadDocument {
    #[error(transparent)]
    Json(#[from] BadJson),
    #[error("the job in job_parameters_b64 cannot be read: {0}")]
    Inner(BadJson),
    #[error("job_parameters_b64 must be a text in base64")]
    NoText,
    #[error("job_parameters_b64 is not base64 of a text: encode the job's JSON with it")]
    NotBase64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RUN_ID: &str = "0192F0C1-7E3A-7ABC-8DEF-012345678900";

    fn read(text: &str) -> Result<(Secret, JobRequest), String> {
        job_in(Secret::new(text)).map_err(|why| why.to_string())
    }

    #[test]
    fn a_job_is_sent_as_it_stands() {
        let text = "{ \"orders\": [],\n \"username\": \"ann\", \"run_id\": \"x\" }";
        assert_eq!(read(text).unwrap().0.expose(), text);
    }

    #[test]
    fn an_envelope_is_opened_and_what_stood_beside_counts_more() {
        let job = json!({"orders": [], "trace_id": "of-the-job", "timeout": 600.0}).to_string();
        let wrapped = STANDARD.encode(&job);
        let broken = format!("{}\n{}", &wrapped[..20], &wrapped[20..]);
        let (sent, _) = read(&json!({"job_parameters_b64": broken, "done_endpt": "x", "trace_id": null}).to_string()).unwrap();
        assert_eq!(sent.expose(), job);
        let envelope = json!({"job_parameters_b64": wrapped, "trace_id": "of-the-envelope", "run_id": RUN_ID});
        let (sent, job) = read(&envelope.to_string()).unwrap();
        let sent: Value = serde_json::from_str(sent.expose()).unwrap();
        assert_eq!(sent, json!({"orders": [], "trace_id": "of-the-envelope", "timeout": 600.0, "run_id": RUN_ID}));
        assert_eq!((job.trace_id(), job.run_id()), (Some("of-the-envelope"), Some(RUN_ID.to_lowercase())));
    }

    #[test]
    fn what_is_no_job_says_why_and_is_not_quoted() {
        for (text, why) in [
            ("", "ends too early"),
            ("// hunter2\n{}", "not JSON (line 1"),
            ("[]", "must be an object"),
            (r#"{"orders": [], "orders": []}"#, "`orders` is there twice"),
            (r#"{"job_parameters_b64": 7}"#, "must be a text in base64"),
            (r#"{"job_parameters_b64": "hunter2!"}"#, "is not base64"),
            (r#"{"job_parameters_b64": "aHVudGVyMg=="}"#, "the job in job_parameters_b64 cannot be read: this is not JSON"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(why) && !told.contains("hunter2"), "{text}: {told}");
        }
    }
}
