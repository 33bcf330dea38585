//! A job as it arrives: the fields of both generations of the replaced engine, and ours. Fields that nobody knows are
//! ignored, as there; a known one that is there twice is not, because two readers could believe two different ones.
//!
//! Reading is bounded by the text itself: it is looked through once, and what is nested too deeply or has too many values
//! is refused before anything is built from it.

use super::given::{Given, Shape, Tags, Texts, Variables, object};
use proto::RunId;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess},
};
use std::fmt;

/// Deepest nesting. A job needs five levels.
const MAX_DEPTH: u32 = 64;
/// Most values in one job: memory follows their number more than their length.
const MAX_VALUES: usize = 1_000_000;
/// Orders that are kept to be looked at; the rest is only counted.
pub(super) const MOST_ORDERS: usize = 20_000;

/// Why a text is no job at all. What is wrong inside of a job is a [`super::Problem`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadJson {
    #[error("this is not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error("the JSON ends too early (line {line}, column {column})")]
    TooEarly { line: usize, column: usize },
    #[error("the JSON has a number that is too large (line {line}, column {column})")]
    HugeNumber { line: usize, column: usize },
    #[error("the JSON is nested too deeply: more than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the JSON has more than {MAX_VALUES} values: split the job")]
    TooManyValues,
    #[error("the field `{0}` is there twice")]
    Twice(String),
    #[error("the JSON must be an object")]
    NotAnObject,
}

/// A job. It is not printed: commands and addresses may hold secrets.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct JobRequest {
    pub(super) run_id: Given<String>,
    pub(super) trace_id: Given<String>,
    pub(super) git_repo: Given<String>,
    pub(super) pr_number: Given<i64>,
    pub(super) issue_number: Given<i64>,
    pub(super) git_token_location: Given<String>,
    pub(super) git_ssh_key_location: Given<String>,
    pub(super) git_provider: Given<String>,
    pub(super) commit_hash: Given<String>,
    pub(super) username: Given<String>,
    pub(super) flow_label: Given<String>,
    pub(super) pr_comment_search_tag: Given<String>,
    pub(super) presign_expiry: Given<i64>,
    pub(super) job_timeout: Given<i64>,
    pub(super) max_parallel: Given<i64>,
    pub(super) priority: Given<i64>,
    pub(super) callbacks: Given<Texts>,
    pub(super) orders: Given<Orders>,
}

/// An order of a job. `callback_url` is not here: only the engine may set one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct OrderRequest {
    pub(super) cmds: Given<Texts>,
    pub(super) timeout: Given<i64>,
    pub(super) order_name: Given<String>,
    pub(super) queue_id: Given<String>,
    pub(super) dependencies: Given<Texts>,
    pub(super) must_succeed: Given<bool>,
    pub(super) git_repo: Given<String>,
    pub(super) git_folder: Given<String>,
    pub(super) commit_hash: Given<String>,
    pub(super) s3_location: Given<String>,
    pub(super) env_vars: Given<Variables>,
    pub(super) ssm_paths: Given<Texts>,
    pub(super) secret_manager_paths: Given<Texts>,
    pub(super) sops_key: Given<String>,
    pub(super) use_lambda: Given<bool>,
    pub(super) execution_target: Given<String>,
    pub(super) ssm_targets: Given<SsmTargets>,
}

/// Which machines an order is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct SsmTargets {
    pub(super) instance_ids: Given<Texts>,
    pub(super) tags: Given<Tags>,
}

/// The orders of a job.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    pub(super) kept: Vec<Given<OrderRequest>>,
    pub(super) count: usize,
}

impl Shape for JobRequest {
    fn object<'de, A: MapAccess<'de>>(entries: A) -> Result<Option<Self>, A::Error> {
        object(entries)
    }
}

impl Shape for OrderRequest {
    fn object<'de, A: MapAccess<'de>>(entries: A) -> Result<Option<Self>, A::Error> {
        object(entries)
    }
}

impl Shape for SsmTargets {
    fn object<'de, A: MapAccess<'de>>(entries: A) -> Result<Option<Self>, A::Error> {
        object(entries)
    }
}

impl Shape for Orders {
    fn list<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Option<Self>, A::Error> {
        let mut orders = Self::default();
        while orders.count < MOST_ORDERS
            && let Some(order) = items.next_element()?
        {
            orders.kept.push(order);
            orders.count += 1;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            orders.count += 1;
        }
        Ok(Some(orders))
    }
}

impl JobRequest {
    /// The job in a JSON text.
    pub fn read(json: &[u8]) -> Result<Self, BadJson> {
        read_object(json)
    }

    /// The same job with what stood beside it in its envelope, which counts more.
    #[must_use]
    pub fn in_envelope(self, envelope: Envelope) -> Self {
        let (run_id, trace_id) = (envelope.run_id.or(self.run_id), envelope.trace_id.or(self.trace_id));
        Self { run_id, trace_id, ..self }
    }

    /// What makes a repeat the same job again: a UUID in lower case, if a valid one was given.
    pub fn run_id(&self) -> Option<String> {
        let Given::Value(text) = &self.run_id else { return None };
        canonical_uuid(text)
    }

    /// The job's own trace id, if a valid one was given.
    pub fn trace_id(&self) -> Option<&str> {
        let Given::Value(text) = &self.trace_id else { return None };
        Some(text.as_str()).filter(|text| is_trace_id(text))
    }
}

/// What groups legs of the same work.
pub(super) fn is_trace_id(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl fmt::Debug for JobRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let orders = if let Given::Value(orders) = &self.orders { orders.count } else { 0 };
        f.debug_struct("JobRequest").field("orders", &orders).finish_non_exhaustive()
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("has_job", &self.has_job()).finish_non_exhaustive()
    }
}

/// The text of a hyphenated UUID in its one spelling.
pub(super) fn canonical_uuid(text: &str) -> Option<String> {
    text.parse::<RunId>().ok().map(|id| id.to_string())
}

/// The body of the replaced engine's only route: a job in base64, and what may stand beside it. `done_endpt` may too, but
/// nobody but the engine says where its markers go.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Envelope {
    job_parameters_b64: Given<String>,
    trace_id: Given<String>,
    run_id: Given<String>,
}

impl Shape for Envelope {
    fn object<'de, A: MapAccess<'de>>(entries: A) -> Result<Option<Self>, A::Error> {
        object(entries)
    }
}

impl Envelope {
    /// The envelope in a JSON text.
    pub fn read(json: &[u8]) -> Result<Self, BadJson> {
        read_object(json)
    }

    /// Whether it is one: other objects come to the same address.
    pub fn has_job(&self) -> bool {
        match self.job_parameters_b64 {
            Given::Absent => false,
            Given::Value(_) | Given::Wrong(_) => true,
        }
    }

    /// The job in base64, if there is a text.
    pub fn job(&self) -> Option<&str> {
        match &self.job_parameters_b64 {
            Given::Value(text) if !text.is_empty() => Some(text),
            Given::Value(_) | Given::Absent | Given::Wrong(_) => None,
        }
    }
}

fn read_object<T: DeserializeOwned + Shape>(json: &[u8]) -> Result<T, BadJson> {
    look_through(json)?;
    match serde_json::from_slice::<Given<T>>(json) {
        Ok(Given::Value(value)) => Ok(value),
        Ok(Given::Absent | Given::Wrong(_)) => Err(BadJson::NotAnObject),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &serde_json::Error) -> BadJson {
    let (line, column) = (error.line(), error.column());
    let told = error.to_string();
    if let Some((field, _)) = told.strip_prefix("duplicate field `").and_then(|rest| rest.split_once('`')) {
        return BadJson::Twice(field.to_owned());
    }
    match error.classify() {
        serde_json::error::Category::Eof => BadJson::TooEarly { line, column },
        _ if told.starts_with("number out of range") => BadJson::HugeNumber { line, column },
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Data => {
            BadJson::NotJson { line, column }
        }
    }
}

/// Counts levels and values without building anything. Of a text that is no JSON the counts mean nothing, and do no harm.
fn look_through(json: &[u8]) -> Result<(), BadJson> {
    let (mut depth, mut values, mut in_text, mut escaped) = (0_u32, 0_usize, false, false);
    for byte in json {
        if in_text {
            let ends = !escaped && *byte == b'"';
            escaped = !escaped && *byte == b'\\';
            in_text = !ends;
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                depth += 1;
                values += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(BadJson::TooDeep);
        }
        if values > MAX_VALUES {
            return Err(BadJson::TooManyValues);
        }
    }
    Ok(())
}
