//! Runs as the gateway gives them, for the golden files.

use proto::view::JobView;
use serde_json::{Value, json};

use crate::api::Run;

pub(super) const ID: &str = "0192f0c1-7e3a-7abc-8def-012345678900";
const COMMIT: &str = "3f2a9c0d1e4b5a6978877665544332211000ffee";

/// What every run has.
pub(super) fn base() -> Value {
    json!({
        "id": ID,
        "status": "running",
        "phase": "initializing",
        "spec": {
            "action": "terraform", "tool": "terraform", "git_url": "https://git.example/acme/infra.git",
            "git_ref": "main", "path": "network", "workspace": "default", "timeout_minutes": 60,
            "auto_approve": false, "destroy": false
        },
        "pool": "default",
        "by": "admin",
        "accepted_at": "2026-11-21T03:50:00Z",
        "outputs": ""
    })
}

/// The run with some fields replaced.
pub(super) fn with(fields: &Value) -> Run {
    let mut run = base();
    for (name, value) in fields.as_object().unwrap() {
        run[name] = value.clone();
    }
    serde_json::from_value(run).unwrap()
}

fn plan() -> Value {
    json!({
        "adds": 1, "changes": 1, "destroys": 1, "replacements": 1, "output_changes": 1,
        "resources": [
            {"address": "aws_vpc.main", "action": "create", "attributes": [
                {"name": "cidr", "before": "", "after": "\"10.0.0.0/16\""},
                {"name": "id", "before": "null", "after": "(known after apply)"}
            ]},
            {"address": "aws_db.main", "action": "update", "attributes": [
                {"name": "password", "before": "(sensitive)", "after": "(sensitive)"},
                {"name": "size", "before": "1", "after": "2"}
            ]},
            {"address": "aws_instance.web[0]", "action": "replace", "replace_because": ["ami"], "attributes": [
                {"name": "ami", "before": "\"a\"", "after": "\"b\u{1b}]0;evil\u{7}\""}
            ]},
            {"address": "aws_eip.old", "action": "delete"}
        ],
        "resources_omitted": 3
    })
}

fn attempt(n: u32, status: &str, started: Option<&str>, ended: Option<&str>) -> Value {
    json!({"n": n, "worker": "up-1", "queued_at": "2026-11-21T03:50:00Z", "started_at": started, "ended_at": ended,
           "status": status, "phase": "plan"})
}

fn jobs(statuses: [(&str, Value); 3]) -> Value {
    let names = ["plan", "approval", "apply"];
    let actions = ["terraform", "approval", "terraform"];
    let all = statuses.into_iter().enumerate().map(|(n, (status, attempts))| {
        let needs: Vec<usize> = n.checked_sub(1).into_iter().collect();
        json!({"n": n, "name": names[n], "action": actions[n], "status": status, "needs": needs, "attempts": attempts})
    });
    all.collect()
}

pub(super) fn in_line() -> Run {
    with(&json!({
        "waiting_for": {"for": "lock", "keys": ["git.example/acme/infra/network/default"],
                        "held_by": "0192f0c1-7e3a-7abc-8def-012345678901", "position": 2},
        "jobs": jobs([("queued", json!([])), ("blocked", json!([])), ("blocked", json!([]))])
    }))
}

pub(super) fn awaiting_approval() -> Run {
    let planned = attempt(2, "succeeded", Some("2026-11-21T03:50:20Z"), Some("2026-11-21T03:50:23.5Z"));
    let lost = attempt(1, "lost", Some("2026-11-21T03:50:01Z"), Some("2026-11-21T03:50:19Z"));
    with(&json!({
        "status": "awaiting_approval", "phase": "plan", "commit": COMMIT, "plan": plan(),
        "plan_sha256": "9".repeat(64),
        "waiting_for": {"for": "approval", "expires_at": "2026-11-22T03:50:24Z"},
        "approval": {"state": "waiting", "expires_at": "2026-11-22T03:50:24Z"},
        "locks": ["git.example/acme/infra/network/default"],
        "jobs": jobs([("succeeded", json!([lost, planned])), ("waiting", json!([])), ("blocked", json!([]))])
    }))
}

pub(super) fn succeeded() -> Run {
    let planned = attempt(1, "succeeded", Some("2026-11-21T03:50:01Z"), Some("2026-11-21T03:50:04.2Z"));
    let applied = attempt(1, "succeeded", Some("2026-11-21T03:52:01Z"), Some("2026-11-21T03:52:41Z"));
    with(&json!({
        "status": "success", "phase": "completed", "commit": COMMIT, "plan": plan(),
        "ended_at": "2026-11-21T03:52:41Z",
        "approval": {"state": "approved", "by": "ann", "at": "2026-11-21T03:52:00Z"},
        "outputs": "{\"url\":{\"sensitive\":false,\"type\":\"string\",\"value\":\"http://x\"},\"pw\":{\"sensitive\":true,\"value\":\"***\"},\"n\":{\"value\":3}}",
        "jobs": jobs([("succeeded", json!([planned])), ("succeeded", json!([])), ("succeeded", json!([applied]))])
    }))
}

/// A job as a page of orders shows it.
pub(super) fn order(n: u32, name: &str, status: &str, needs: &[u32]) -> JobView {
    let run_now = attempt(1, "running", Some("2026-11-21T03:50:01Z"), None);
    let ended = attempt(1, status, Some("2026-11-21T03:50:01Z"), Some("2026-11-21T03:50:04.2Z"));
    let attempts = match status {
        "running" => json!([run_now]),
        "succeeded" | "failed" => json!([ended]),
        _ => json!([]),
    };
    serde_json::from_value(json!({"n": n, "name": name, "action": "shell", "status": status, "needs": needs, "attempts": attempts}))
        .unwrap()
}

/// A run of orders.
pub(super) fn orders(fields: &Value) -> Run {
    let mut all = json!({
        "phase": "orders", "by": "ci",
        "spec": {"action": "orders", "trace_id": "leg-0001", "username": "ann", "flow_label": "exec", "search_tag": "t",
                 "pull_request": {"repo": "acme/infra", "number": 42},
                 "job_timeout_s": 3600, "max_parallel": 10, "priority": 5, "graph": ""}
    });
    for (name, value) in fields.as_object().unwrap() {
        all[name] = value.clone();
    }
    with(&all)
}

pub(super) fn failed() -> Run {
    with(&json!({
        "status": "failed", "phase": "completed", "failed_phase": "init", "ended_at": "2026-11-21T03:50:09Z",
        "failure": {"kind": "init", "phase": "init", "message": "Init failed: exit code 1\nError: no such provider\u{1b}[31m",
                    "next_action": "look at the log"}
    }))
}

pub(super) fn unknown() -> Run {
    with(&json!({
        "status": "unknown", "phase": "apply", "commit": COMMIT,
        "cancel": {"by": "ann", "at": "2026-11-21T03:55:00Z", "force": true},
        "waiting_for": {"for": "resolution"},
        "evidence": {"seen": "the worker was killed during apply", "serial_before": 7, "state_lock": "abc-1",
                     "errored_state": "errored-state/x", "check": ["is aws_vpc.main there?"],
                     "last_lines": ["aws_vpc.main: Creating...", "\u{1b}[1maws_vpc.main: Still creating...\u{1b}[0m"]},
        "jobs": jobs([("succeeded", json!([])), ("succeeded", json!([])),
                      ("unknown", json!([attempt(1, "lost", Some("2026-11-21T03:54:00Z"), None)]))])
    }))
}
