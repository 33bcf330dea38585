//! Why a verb did not do what was asked: what is wrong, what to do next, and with which exit code the process ends.
//!
//! One enum for the whole crate, because every error ends in the same place: one text (or one JSON object) on stderr.
//! How it is printed is the output module's business.

use std::path::PathBuf;
use std::time::Duration;

use proto::RunId;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// The API's word for what can only be told at the end.
const NOT_OVER: &str = "not_over";

/// What stopped a verb.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line is wrong in a way that clap cannot see.
    #[error("{what}")]
    Usage {
        /// What is wrong and why.
        what: String,
        /// What to do.
        next: String,
    },
    /// A job of orders that no gateway would take.
    #[error("{name} is no valid job: {}", problems_in_words(problems.len()))]
    Job {
        /// Where it was read from.
        name: String,
        /// Everything that is wrong with it.
        problems: Vec<FieldProblem>,
    },
    /// Files of a repository that no worker would take.
    #[error("the repository's mapping cannot be used: {}", problems_in_words(mistakes.len() + more))]
    Mapping {
        /// What is wrong, in the order of the files.
        mistakes: Vec<FileMistake>,
        /// How much more, which is not listed.
        more: usize,
    },
    /// A file named on the command line or in the environment.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// `read`, `write`, `create` …
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No answer from the gateway.
    #[error("cannot reach the gateway at {url}")]
    Unreachable {
        /// Its address.
        url: String,
        /// What the client said.
        #[source]
        source: reqwest::Error,
    },
    /// The gateway answered with an error.
    #[error("{}", .0.message)]
    Answer(Box<GatewayAnswer>),
    /// The gateway's answer makes no sense.
    #[error("the gateway at {url} gave an answer that cannot be understood: {what}")]
    Strange {
        /// Its address.
        url: String,
        /// What was seen.
        what: String,
    },
    /// The run goes on, the waiting ends.
    #[error("run {run} is still {status} after {} s", waited.as_secs())]
    WaitTimeout {
        /// The run.
        run: RunId,
        /// Its status word.
        status: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The configuration is refused.
    #[error(transparent)]
    Settings(#[from] service::settings::SettingsError),
    /// A role or one of its surroundings stopped.
    #[error("{what}")]
    Role {
        /// What stopped and why it matters.
        what: String,
        /// What to do.
        next: String,
        /// How the process ends.
        exit: Exit,
        /// What was below.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The reader of stdout went away.
    #[error("stdout was closed by its reader")]
    StdoutClosed,
    /// stdout cannot be written for another reason (a full disk, say).
    #[error("cannot write to stdout")]
    Stdout(#[source] std::io::Error),
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FieldProblem {
    /// Where; empty for the request as a whole.
    #[serde(default)]
    pub(crate) field: String,
    /// What.
    pub(crate) message: String,
}

/// One thing that is wrong with a file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileMistake {
    pub(crate) file: String,
    /// From 1; 0 for the file as a whole.
    pub(crate) line: u32,
    /// From 1, in characters; 0 for the file as a whole.
    pub(crate) column: u32,
    pub(crate) message: String,
}

impl FileMistake {
    /// `file:line:column`, or the file.
    pub(crate) fn place(&self) -> String {
        match self.line {
            0 => self.file.clone(),
            line => format!("{}:{line}:{}", self.file, self.column),
        }
    }
}

/// An error answer of the gateway, as the API gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GatewayAnswer {
    /// HTTP status.
    pub(crate) http: u16,
    /// For people.
    pub(crate) message: String,
    /// Machine-readable word; empty when the answer had none.
    pub(crate) code: String,
    /// The field of the request that is wrong.
    pub(crate) field: Option<String>,
    /// The run's status, on a wrong-state refusal.
    pub(crate) status: Option<String>,
    /// Everything that is wrong with the request; `message` and `field` are of the first.
    pub(crate) problems: Vec<FieldProblem>,
}

impl CliError {
    /// A wrong command line.
    pub(crate) fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), next: next.into() }
    }

    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::Job { .. } | Self::Mapping { .. } => Exit::Usage,
            Self::File { .. } | Self::Stdout(_) => Exit::Io,
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Answer(answer) => answer.exit(),
            Self::Strange { .. } => Exit::Broken,
            Self::WaitTimeout { .. } => Exit::WaitTimeout,
            Self::Settings(_) => Exit::Configuration,
            Self::Role { exit, .. } => *exit,
            Self::StdoutClosed => Exit::StdoutClosed,
        }
    }

    /// A word for machines.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Usage { .. } => "usage",
            Self::Job { .. } => "bad_job",
            Self::Mapping { .. } => "bad_mapping",
            Self::File { .. } => "file",
            Self::Unreachable { .. } => "unreachable",
            Self::Answer(answer) if !answer.code.is_empty() => &answer.code,
            Self::Answer(_) | Self::Strange { .. } => "unexpected_answer",
            Self::WaitTimeout { .. } => "wait_timeout",
            Self::Settings(_) => "configuration",
            Self::Role { exit, .. } if *exit == Exit::Unreachable => "unreachable",
            Self::Role { .. } => "role_stopped",
            Self::StdoutClosed | Self::Stdout(_) => "stdout",
        }
    }

    /// Everything that is wrong with a request, where that is known one by one.
    pub(crate) fn problems(&self) -> Vec<FieldProblem> {
        match self {
            Self::Job { problems, .. } => problems.clone(),
            Self::Mapping { mistakes, .. } => {
                mistakes.iter().map(|mistake| FieldProblem { field: mistake.place(), message: mistake.message.clone() }).collect()
            }
            Self::Answer(answer) => answer.problems.clone(),
            Self::Usage { .. }
            | Self::File { .. }
            | Self::Unreachable { .. }
            | Self::Strange { .. }
            | Self::WaitTimeout { .. }
            | Self::Settings(_)
            | Self::Role { .. }
            | Self::StdoutClosed
            | Self::Stdout(_) => Vec::new(),
        }
    }

    /// What to do next; empty when the message already says it.
    pub(crate) fn next(&self) -> String {
        match self {
            Self::Usage { next, .. } | Self::Role { next, .. } => next.clone(),
            Self::Mapping { .. } => "docs/reference/mapping.md shows what may stand there".into(),
            Self::Job { .. } => "docs/reference/orders.md lists the fields of a job".into(),
            Self::File { .. } => "check the path and its permissions".into(),
            Self::Unreachable { .. } => "is it running, and is --url (or NAVVY_URL) its address? `navvy up` starts one here".into(),
            Self::Answer(answer) => answer.next(),
            Self::Strange { .. } => "is --url (or NAVVY_URL) really a Navvy gateway, and as new as this program?".into(),
            Self::WaitTimeout { run, .. } => {
                format!("look again with `navvy run {run}`; stop it with `navvy cancel {run}`")
            }
            Self::Settings(_) | Self::StdoutClosed | Self::Stdout(_) => String::new(),
        }
    }
}

impl GatewayAnswer {
    fn exit(&self) -> Exit {
        match self.http {
            404 if self.code == NOT_OVER => Exit::WaitTimeout,
            400 | 413 | 415 => Exit::Usage,
            401 | 403 => Exit::Denied,
            404 | 409 | 410 | 422 => Exit::Refused,
            429 | 502..=504 => Exit::Unreachable,
            _ => Exit::Broken,
        }
    }

    fn next(&self) -> String {
        match self.http {
            401 => "set NAVVY_TOKEN or NAVVY_TOKEN_FILE (`navvy up` keeps the admin token in DIR/admin-token)".into(),
            403 => "use a key with that scope: `navvy keys create NAME --scope SCOPE`".into(),
            404 if self.code == NOT_OVER => "ask again, or wait with `navvy run ID --wait`".into(),
            404 => "`navvy runs` lists the runs there are".into(),
            409 => "`navvy run ID` shows where the run stands".into(),
            429 | 503 => "nothing was lost; try again in a moment, and look at `navvy doctor` on the gateway".into(),
            500..=599 => "look at the gateway's log".into(),
            _ => String::new(),
        }
    }
}

/// `1 problem`, `3 problems`.
pub(crate) fn problems_in_words(count: usize) -> String {
    if count == 1 { "1 problem".into() } else { format!("{count} problems") }
}

/// The chain of causes below an error, outermost first, as one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Some libraries repeat the cause in their own text.
        if texts.last().is_none_or(|before| !before.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    texts.join(": ")
}
