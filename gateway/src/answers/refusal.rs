//! Every "no" of the API: its status, its machine word, and what a person reads.
//!
//! The only place where these words stand. A text says what is wrong, why if that is not plain, and what to do next; it
//! never repeats a value that may be a secret. Nothing here decides.

use crate::auth::Scope;
use std::time::Duration;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldProblem {
    /// Dotted path, such as `git_auth.type`; empty for the body as a whole.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

impl FieldProblem {
    /// A problem of a field.
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    fn text(&self) -> String {
        if self.field.is_empty() { self.message.clone() } else { format!("{}: {}", self.field, self.message) }
    }
}

/// Which door a run was asked for at; each has its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// `/deploy/…`, as in the runner that Navvy replaced.
    Deploy,
    /// `/v1/…`.
    V1,
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoKey,
    BadKey,
    TooManyFailures {
        retry_after: Duration,
    },
    MissingScope(Scope),
    /// Signed with another secret, or over another body.
    BadSignature,
    /// It does not come from whom it says it comes from. In the words of the service that Navvy replaces.
    Untrusted,
    /// Nothing that came from this address of late was signed as it should be.
    Unheard {
        retry_after: Duration,
    },
    OriginNotAllowed,
    HostNotAllowed,
    RunNotFound(Door),
    KeyNotFound,
    LogNotFound,
    OrderNotFound,
    DeliveryNotFound,
    /// What is told once it is over is not told yet.
    NotOver,
    /// It was over so long ago that how it ended is not told any more.
    Gone,
    NoSuchPath,
    /// No repository is followed here.
    NoSource,
    MethodNotAllowed,
    /// The scheduler said no; its words.
    Command {
        not_found: bool,
        code: String,
        message: String,
        status: String,
    },
    /// At least one problem.
    BadInput(Vec<FieldProblem>),
    BodyTooLarge {
        limit: u64,
        /// What raises it.
        setting: &'static str,
    },
    /// Longer than a webhook's delivery may be.
    DeliveryTooLarge {
        limit: u64,
    },
    /// Longer than one message of the store may be.
    TooLargeToStore,
    NotJson,
    Encoded,
    BodyTooSlow,
    KeyReused,
    TooManyReaders {
        per_key: Option<u32>,
    },
    /// More is being received than this gateway holds at a time.
    Busy,
    /// The store cannot be reached, or does not answer.
    Unavailable,
    /// The list of runs is still being read after a start.
    Loading,
    /// No scheduler has published its key yet.
    NoScheduler,
    /// A fault of ours; the log tells what.
    Internal,
}

impl Refusal {
    /// A problem with one field.
    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::BadInput(vec![FieldProblem::new(field, message)])
    }

    /// HTTP status and machine word.
    pub(crate) fn code(&self) -> (u16, &str) {
        match self {
            Self::NoKey => (401, "no_key"),
            Self::BadKey => (401, "bad_key"),
            Self::TooManyFailures { .. } | Self::Unheard { .. } => (429, "too_many_failures"),
            Self::MissingScope(_) => (403, "missing_scope"),
            Self::BadSignature => (401, "bad_signature"),
            Self::Untrusted => (401, "bad_signature"),
            Self::OriginNotAllowed => (403, "origin_not_allowed"),
            Self::HostNotAllowed => (403, "host_not_allowed"),
            Self::RunNotFound(_) => (404, "run_not_found"),
            Self::KeyNotFound => (404, "key_not_found"),
            Self::LogNotFound => (404, "log_not_found"),
            Self::OrderNotFound => (404, "order_not_found"),
            Self::DeliveryNotFound => (404, "delivery_not_found"),
            Self::NotOver => (404, "not_over"),
            Self::Gone => (410, "gone"),
            Self::NoSuchPath => (404, "no_such_path"),
            Self::NoSource => (404, "no_source"),
            Self::MethodNotAllowed => (405, "method_not_allowed"),
            Self::Command { not_found: true, code, .. } => (404, code),
            Self::Command { not_found: false, code, .. } => (409, code),
            Self::BadInput(_) => (400, "bad_input"),
            Self::BodyTooLarge { .. } => (413, "body_too_large"),
            Self::DeliveryTooLarge { .. } => (413, "body_too_large"),
            Self::TooLargeToStore => (413, "too_large_to_store"),
            Self::NotJson => (415, "not_json"),
            Self::Encoded => (415, "content_encoding"),
            Self::BodyTooSlow => (408, "body_too_slow"),
            Self::KeyReused => (422, "idempotency_key_reused"),
            Self::TooManyReaders { .. } => (429, "too_many_readers"),
            Self::Busy => (503, "busy"),
            Self::Unavailable => (503, "unavailable"),
            Self::Loading => (503, "loading"),
            Self::NoScheduler => (503, "no_scheduler"),
            Self::Internal => (500, "internal"),
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::NoKey => "this needs a key: send `Authorization: Bearer KEY`".into(),
            Self::BadKey => "the key is not valid: it is unknown, revoked or expired; ask an administrator for a new one".into(),
            Self::TooManyFailures { retry_after } => {
                format!("too many requests with a bad key from this address: wait {} s, then use a valid one", retry_after.as_secs())
            }
            Self::Unheard { retry_after } => format!(
                "too many requests with a bad signature from this address: compare the webhook's secret, and send again in {} s",
                retry_after.as_secs()
            ),
            Self::MissingScope(scope) => format!("the key lacks the scope `{scope}`: ask an administrator for a key that has it"),
            Self::BadSignature => {
                "the signature does not fit the body: compare the webhook's secret with the gateway's, and sign the bytes that are sent"
                    .into()
            }
            Self::Untrusted => "Invalid signature".into(),
            Self::OriginNotAllowed => "this web page's origin may not call the API: an operator adds it to gateway.allowed_origins".into(),
            Self::HostNotAllowed => "anonymous access is for this machine only: call it as localhost or 127.0.0.1".into(),
            Self::RunNotFound(Door::Deploy) => "Deployment not found".into(),
            Self::RunNotFound(Door::V1) => "run not found".into(),
            Self::KeyNotFound => "key not found".into(),
            Self::LogNotFound => "there is no such job or attempt in this run: GET /v1/runs/ID/jobs lists them".into(),
            Self::OrderNotFound => "there is no such order in this run: GET /v1/runs/ID/jobs lists them".into(),
            Self::DeliveryNotFound => "delivery not found: GET /v1/deliveries lists those of the last 30 days".into(),
            Self::NotOver => "it is not over yet: ask again, or follow GET /v1/runs/ID/events to be told".into(),
            Self::Gone => "it was over more than a day ago, and this is kept for one day: GET /v1/runs/ID still tells how it ended".into(),
            Self::NoSuchPath => "there is nothing at this path: GET /openapi.json lists what there is".into(),
            Self::NoSource => "no repository is followed here: an operator adds it as [[sources]]".into(),
            Self::MethodNotAllowed => "this path does not know this method: the Allow header lists those it knows".into(),
            Self::Command { message, .. } => message.clone(),
            Self::BadInput(problems) => problems.first().map(FieldProblem::text).unwrap_or_default(),
            Self::BodyTooLarge { limit, setting } => {
                format!("the body is longer than {limit} bytes: an operator may raise {setting}")
            }
            Self::DeliveryTooLarge { limit } => format!("the delivery is longer than {limit} bytes, which no forge sends"),
            Self::TooLargeToStore => {
                "the request is too long to be stored: keep env_vars, git_auth and backend_config together below 512 KiB".into()
            }
            Self::NotJson => "the body must be JSON: send `Content-Type: application/json`".into(),
            Self::Encoded => "the body must not be compressed: send it without Content-Encoding".into(),
            Self::BodyTooSlow => "the body did not arrive in time".into(),
            Self::KeyReused => "this Idempotency-Key was used with another request: use a new key for a new request".into(),
            Self::TooManyReaders { per_key: Some(most) } => format!("this key has {most} live streams open already: close one first"),
            Self::TooManyReaders { per_key: None } => {
                "this gateway serves as many live streams as it may: try again, or use another gateway".into()
            }
            Self::Busy => "this gateway is receiving as much as it may at a time: send it again".into(),
            Self::Unavailable => {
                "the store cannot be reached just now; repeat the request (with an Idempotency-Key nothing is done twice)".into()
            }
            Self::Loading => "this gateway has just started and is still reading the list of runs: try again".into(),
            Self::NoScheduler => "no scheduler has ever started here, so secrets cannot be sealed: start one, then try again".into(),
            Self::Internal => "something went wrong in the gateway; its log tells what".into(),
        }
    }

    /// The field that is named, if one is.
    pub(crate) fn named_field(&self) -> Option<&str> {
        let Self::BadInput(problems) = self else { return None };
        problems.first().map(|problem| problem.field.as_str()).filter(|field| !field.is_empty())
    }

    /// After how long a repeat makes sense.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyFailures { retry_after } | Self::Unheard { retry_after } => Some(*retry_after),
            Self::Unavailable | Self::Busy | Self::NoScheduler => Some(Duration::from_secs(2)),
            Self::Loading => Some(Duration::from_secs(1)),
            Self::TooManyReaders { .. } => Some(Duration::from_secs(10)),
            _ => None,
        }
    }
}
