//! The vocabulary of the shell action: a run of orders (shell commands) with dependencies, as the replaced order engine
//! knew it. What stays secret is in [`OrderBundle`]; everything else travels and is shown in the clear.
//!
//! Values here are already valid; the rules that make them so are in `domain::orders`.

mod graph;
mod location;

pub use graph::{BadGraph, Graph, OrderNode};
pub use location::{BadLocation, Location, Provider};

use crate::{JobNo, RunId, git::GitUrl, path::RepoPath, secret::Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Schema version of `result.json`.
pub const RESULT_SCHEMA: &str = "v1";

/// A run of orders without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersSpec {
    /// Groups what belongs together for whoever submitted it: 8 to 64 characters of `[A-Za-z0-9_-]`.
    pub trace_id: String,
    pub username: String,
    pub flow_label: String,
    /// Where the comment goes; absent: no comment.
    #[serde(default)]
    pub pull_request: Option<PullRequest>,
    /// What the comment is found again by.
    pub search_tag: String,
    /// Time limit of the whole run in seconds, counted from its acceptance.
    pub job_timeout_s: u32,
    /// How many orders of this run may be out at a time.
    pub max_parallel: u32,
    /// 0 to 9; of what waits for a free place, higher goes first.
    pub priority: u8,
    /// Where the end of the run is told, each sealed so that only gateways can read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callbacks: Vec<String>,
    /// The first order in each page of sealed bundles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub page_starts: Vec<u32>,
    /// The orders and what each needs. Empty in a view.
    #[serde(default, skip_serializing_if = "Graph::is_empty")]
    pub graph: Graph,
}

impl OrdersSpec {
    /// `<username>:<trace_id>-<flow_label>`.
    pub fn flow_id(&self) -> String {
        format!("{}:{}-{}", self.username, self.trace_id, self.flow_label)
    }

    /// The page of sealed bundles that holds an order's.
    pub fn page_of(&self, order: JobNo) -> Option<u32> {
        let after = self.page_starts.partition_point(|first| *first <= order.0);
        after.checked_sub(1).map(|page| page as u32)
    }

    /// The same without the graph, as a view shows it. Field by field: a view is made for almost every decision, and must not
    /// copy ten thousand orders to leave them out.
    #[must_use]
    pub fn without_graph(&self) -> Self {
        Self {
            trace_id: self.trace_id.clone(),
            username: self.username.clone(),
            flow_label: self.flow_label.clone(),
            pull_request: self.pull_request.clone(),
            search_tag: self.search_tag.clone(),
            job_timeout_s: self.job_timeout_s,
            max_parallel: self.max_parallel,
            priority: self.priority,
            callbacks: self.callbacks.clone(),
            page_starts: Vec::new(),
            graph: Graph::default(),
        }
    }
}

/// A pull request (or issue) of a forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// `owner/name`.
    pub repo: String,
    pub number: u64,
}

/// Number of an order as people read it: 1-based, four digits at least (`0001`).
pub fn order_num(no: JobNo) -> String {
    format!("{:04}", u64::from(no.0) + 1)
}

/// What a worker may know about the order it runs besides its bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellSpec {
    pub run: RunId,
    pub no: JobNo,
    pub name: String,
    pub trace_id: String,
    pub flow_id: String,
    /// The order's own time limit in seconds.
    pub timeout_s: u32,
}

/// Everything secret of one order. Sealed by the gateway in pages, opened by the scheduler only to seal one order's to one
/// attempt's key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBundle {
    /// 32 random bytes in hex, the same for the whole run.
    pub run_key: Secret,
    /// Run in this order, each by `sh -c`.
    pub cmds: Vec<String>,
    #[serde(default)]
    pub env_vars: BTreeMap<String, Secret>,
    #[serde(default)]
    pub source: CodeSource,
    /// Credentials fetched into the environment before the commands start; later ones win.
    #[serde(default)]
    pub ssm_paths: Vec<Location>,
    /// The same, after `ssm_paths`.
    #[serde(default)]
    pub secret_manager_paths: Vec<Location>,
    /// Age recipient: the execution bundle is stored, encrypted to it.
    #[serde(default)]
    pub sops_key: Option<String>,
}

impl std::fmt::Debug for OrderBundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderBundle").field("cmds", &self.cmds.len()).field("env_vars", &self.env_vars.keys()).finish_non_exhaustive()
    }
}

/// Where an order's code comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum CodeSource {
    /// Commands only, in an empty folder.
    #[default]
    None,
    Git(Box<GitSource>),
    /// A zip archive: `s3://bucket/key.zip`, `https://…` or the absolute path of a file on the worker.
    Zip {
        location: String,
    },
}

/// A commit of a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitSource {
    pub url: GitUrl,
    /// Tried when there is no token for the first address, or it does not let us in, and there is a key.
    #[serde(default)]
    pub ssh_url: Option<GitUrl>,
    /// Working directory of the commands; only this folder is given to the order, without `.git`.
    #[serde(default)]
    pub folder: RepoPath,
    /// Full or abbreviated id, or another reference; absent: the head of the default branch when the order starts.
    #[serde(default)]
    pub commit: Option<String>,
    #[serde(default)]
    pub token: Option<Location>,
    #[serde(default)]
    pub ssh_key: Option<Location>,
}

/// Something that an order told while it ran: a JSON file that a command dropped into its events folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    /// At most 64 characters of `[A-Za-z0-9_.-]`.
    pub event_type: String,
    pub status: String,
    /// The rest of what was told, at most [`OrderEvent::MAX_BYTES`] as JSON.
    #[serde(default)]
    pub data: serde_json::Value,
}

impl OrderEvent {
    /// Largest event, in bytes of JSON.
    pub const MAX_BYTES: usize = 8 * 1024;
    /// Most events of one order; more are counted and said in its log.
    pub const MAX_PER_ORDER: usize = 64;
}

/// What an order that succeeded brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderResult {
    /// How many commands were run.
    pub commands: u32,
}

/// How the orders of a run stand, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCounts {
    pub total: u32,
    /// Waiting for others.
    pub blocked: u32,
    /// Waiting for a place.
    pub ready: u32,
    pub queued: u32,
    pub running: u32,
    pub unknown: u32,
    pub succeeded: u32,
    /// Failed by themselves, or because one that they need did.
    pub failed: u32,
    pub timed_out: u32,
    pub cancelled: u32,
}

/// The done marker: nothing about what was done, only that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneMarker {
    /// `succeeded`, `failed`, `timed_out` or `cancelled`.
    pub status: String,
    pub summary: DoneSummary,
}

/// How many orders ended how. Cancelled ones are in the total of nobody, as the replaced engine knew no cancel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneSummary {
    pub succeeded: u32,
    pub failed: u32,
    pub timed_out: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cancelled: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// `result.json` of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultFile {
    pub schema_version: String,
    /// `succeeded`, `failed` or `timed_out`.
    pub status: String,
    /// The end of the masked log.
    pub log: String,
}
