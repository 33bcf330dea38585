//! Every picture and every error text against a golden file in `tests/golden`.

use proptest::prelude::*;
use proto::Timestamp;
use proto::view::JobView;
use serde_json::{Value, json};

use super::style::Style;
use super::{findings, graph, lists, orders, problem, run, samples, words};
use crate::api::{KeyList, LockList, ReleasePage, RunPage, WorkerList};
use crate::doctor::{Finding, State};
use crate::exit::Exit;
use crate::problem::{CliError, FieldProblem, GatewayAnswer};

const PLAIN: Style = Style::new(false);

fn now() -> Timestamp {
    "2026-11-21T04:00:00Z".parse().unwrap()
}

fn compare(name: &str, text: &str) {
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "control characters in {name}");
    assert!(text.lines().all(|line| line.trim_end() == line), "trailing spaces in {name}");
    crate::golden::compare(&format!("tests/golden/{name}.txt"), text);
}

#[test]
fn runs_in_every_state_have_a_picture() {
    for (name, sample) in [
        ("run_in_line", samples::in_line()),
        ("run_awaiting_approval", samples::awaiting_approval()),
        ("run_succeeded", samples::succeeded()),
        ("run_failed", samples::failed()),
        ("run_unknown", samples::unknown()),
        ("run_of_orders", samples::orders(&json!({"orders": counts(&[("succeeded", 1), ("running", 1), ("blocked", 1)])}))),
    ] {
        compare(name, &run::picture(&sample, now(), PLAIN));
    }
}

#[test]
fn a_coloured_picture_is_the_plain_one_in_colour() {
    let sample = samples::awaiting_approval();
    let colored = run::picture(&sample, now(), Style::new(true));
    let bare: Vec<String> = colored.lines().map(|line| super::ansi::line(line, false)).collect();
    assert!(colored.contains("\u{1b}[32m"));
    assert_eq!(bare.join("\n"), run::picture(&sample, now(), PLAIN));
}

/// Counts of orders as the gateway gives them.
fn counts(some: &[(&str, u32)]) -> Value {
    let mut all = serde_json::to_value(proto::orders::OrderCounts::default()).unwrap();
    for (status, count) in some {
        all[status] = json!(count);
    }
    all["total"] = json!(some.iter().map(|(_, count)| count).sum::<u32>());
    all
}

#[test]
fn graphs_are_drawn_by_levels_and_wide_ones_are_folded() {
    let why = |message: &str| json!({"kind": "exit_code", "phase": "run", "message": message, "next_action": ""});
    let mut optional = samples::order(2, "migrations", "blocked", &[1]);
    optional.optional = true;
    let small = [samples::order(0, "vpc", "succeeded", &[]), samples::order(1, "rds", "running", &[0]), optional];
    let run = samples::orders(&json!({"orders": counts(&[("succeeded", 1), ("running", 1), ("blocked", 1)])}));
    compare("graph_orders", &graph::picture(&run, &small, PLAIN));

    let mut wide: Vec<JobView> =
        (0..50).map(|n| samples::order(n, &format!("module-{n}"), if n < 30 { "succeeded" } else { "queued" }, &[])).collect();
    wide[40] = samples::order(40, "module-40", "running", &[]);
    wide[45] = samples::order(45, "module-45", "failed", &[]);
    wide[45].failure = serde_json::from_value(why("command 2 ended with exit code 1\nand more\u{1b}[2J")).unwrap();
    wide[49] = samples::order(49, "module-49", "timed_out", &[]);
    wide.push(samples::order(50, "all", "failed", &(0..50).collect::<Vec<_>>()));
    let run = samples::orders(
        &json!({"status": "failed", "orders": counts(&[("failed", 2), ("timed_out", 1), ("running", 1), ("queued", 17), ("succeeded", 30)])}),
    );
    compare("graph_wide", &graph::picture(&run, &wide, PLAIN));

    let run = samples::awaiting_approval();
    compare("graph_terraform", &graph::picture(&run, &run.jobs, PLAIN));
    assert!(graph::picture(&samples::orders(&json!({})), &[], PLAIN).ends_with("shows no orders of it yet"));
}

#[test]
fn what_moves_is_told_in_a_line() {
    let mut failed = samples::order(11, "rds\u{1b}[2J", "failed", &[]);
    failed.failure =
        serde_json::from_value(json!({"kind": "exit_code", "phase": "run", "message": "exit code 1", "next_action": ""})).unwrap();
    let jobs = [
        samples::order(0, "vpc", "running", &[]),
        samples::order(0, "vpc", "succeeded", &[]),
        failed,
        samples::order(2, "x", "cancelled", &[]),
    ];
    let lines: Vec<String> = jobs.iter().filter_map(|job| orders::moved(job, PLAIN)).collect();
    compare("orders_moved", &lines.join("\n"));
    for quiet in ["blocked", "ready", "queued"] {
        assert_eq!(orders::moved(&samples::order(0, "vpc", quiet, &[]), PLAIN), None, "{quiet}");
    }
}

#[test]
fn a_refused_job_has_a_line_for_each_problem() {
    let problem = |field: &str, message: &str| FieldProblem { field: field.into(), message: message.into() };
    let problems =
        vec![problem("orders[0].cmds", "vpc: cmds is empty or missing"), problem("", "there are 7 more problems of these kinds")];
    let by_gateway = GatewayAnswer {
        field: Some("orders[0].cmds".into()),
        problems: problems.clone(),
        ..answer(400, "vpc: cmds is empty or missing", "bad_input")
    };
    let one = GatewayAnswer { problems: problems[..1].to_vec(), ..by_gateway.clone() };
    let errors = [
        CliError::Answer(Box::new(by_gateway)),
        CliError::Answer(Box::new(one)),
        CliError::Job { name: "job.json".into(), problems: problems[..1].to_vec() },
    ];
    let texts: Vec<String> = errors.iter().map(|error| problem::text(error, PLAIN)).collect();
    compare("errors_of_jobs", &texts.join("\n\n"));
    assert_eq!(problem::json(&errors[0])["problems"][1]["message"], json!("there are 7 more problems of these kinds"));
}

proptest! {
    #[test]
    fn the_graph_of_any_run_names_every_failed_order(
        orders in prop::collection::vec((prop::collection::vec(0_u32..70, 0..6), 0_usize..STATUSES.len()), 0..60)
    ) {
        let jobs: Vec<JobView> =
            (0..).zip(&orders).map(|(n, (needs, status))| samples::order(n, &format!("name-{n}-"), STATUSES[*status], needs)).collect();
        let picture = graph::picture(&samples::orders(&json!({})), &jobs, PLAIN);
        for job in &jobs {
            let row = picture.lines().filter(|line| line.contains(&job.name)).collect::<Vec<_>>();
            prop_assert!(row.len() <= 1);
            if matches!(job.status.as_str(), "failed" | "timed_out" | "unknown") {
                prop_assert!(row.len() == 1 && row[0].contains(&orders::word(&job.status)), "{} in\n{picture}", job.name);
            }
        }
        let folded: usize = picture.lines().filter_map(|line| line.strip_prefix("  … and ")?.split(' ').next()?.parse::<usize>().ok()).sum();
        prop_assert_eq!(picture.matches("name-").count() + folded, jobs.len());
        let coloured = graph::picture(&samples::orders(&json!({})), &jobs, Style::new(true));
        let bare: Vec<String> = coloured.lines().map(|line| crate::output::ansi::line(line, false)).collect();
        prop_assert_eq!(bare.join("\n"), picture);
    }
}

/// Every status of an order.
const STATUSES: [&str; 9] = ["blocked", "ready", "queued", "running", "unknown", "succeeded", "failed", "timed_out", "cancelled"];

#[test]
fn lists_are_tables() {
    let all = vec![samples::awaiting_approval(), samples::in_line(), samples::failed(), samples::succeeded()];
    compare("runs", &lists::runs(&RunPage { runs: all, next_cursor: None }, now(), PLAIN));
    let locks: LockList = serde_json::from_value(json!({"locks": [
        {"key": "git.example/acme/infra/network/default", "holder": {"run": samples::ID, "since": "2026-11-21T03:50:00Z"},
         "queue": [{"run": "0192f0c1-7e3a-7abc-8def-012345678901", "since": "2026-11-21T03:59:00Z", "position": 1}]},
        {"key": "git.example/acme/infra/dns/default", "holder": null, "queue": []}
    ]}))
    .unwrap();
    compare("locks", &lists::locks(&locks, now(), PLAIN));
    let workers: WorkerList = serde_json::from_value(json!({"workers": [
        worker("up-1", false, &json!([])),
        worker("up-2", true, &json!([{"run": samples::ID, "job": 0, "attempt": 1}]))
    ]}))
    .unwrap();
    compare("workers", &lists::workers(&workers, PLAIN));
    let keys: KeyList = serde_json::from_value(json!({"keys": [
        {"id": "k1", "name": "ci", "scopes": ["read", "deploy"], "created_at": "2026-11-20T04:00:00Z", "expires_at": null},
        {"id": "k2", "name": "old", "scopes": ["admin"], "created_at": "2026-10-20T04:00:00Z", "expires_at": "2026-11-20T04:00:00Z"}
    ]}))
    .unwrap();
    compare("keys", &lists::keys(&keys, now(), PLAIN));
}

#[test]
fn releases_are_a_table_and_their_ends_are_lines() {
    let page: ReleasePage = serde_json::from_value(json!({"releases": [
        {"run_id": samples::ID, "status": "success", "kind": "production", "tag": "v1.3.0", "commit": "a".repeat(40),
         "from": "refs/tags/v1.2.4", "environment": "production", "triggered_by": "ann\u{1b}[2J", "accepted_at": "2026-11-21T03:50:00Z"},
        {"run_id": samples::ID, "status": "running", "kind": "staging", "environment": "staging", "triggered_by": "ci",
         "accepted_at": "2026-11-21T03:59:00Z"}
    ]}))
    .unwrap();
    compare("releases", &lists::releases(&page, now(), PLAIN));
    let job = |status: &str, sync: Value| -> JobView {
        serde_json::from_value(json!({"n": 2, "name": "platform/redis", "action": "sync", "status": status, "needs": [], "attempts": [],
                                      "sync": sync}))
        .unwrap()
    };
    let service = |more: Value| {
        let mut sync = json!({"service": "platform/redis", "task": "redis.sync", "reasons": ["all"]});
        sync.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sync
    };
    let failure = json!({"kind": "vault_token_missing", "phase": "sync", "message": "no token\nmore", "next_action": ""});
    let jobs = [
        job("succeeded", service(json!({"action": "updated", "details": "hash changed"}))),
        job("failed", service(json!({"failure": failure}))),
        job("superseded", service(json!({"superseded_by": samples::ID}))),
    ];
    let ends: Vec<String> = jobs.iter().map(|job| super::syncs::ended(job, job.sync.as_ref().unwrap(), PLAIN)).collect();
    compare("releases_ended", &ends.join("\n"));
}

fn worker(name: &str, draining: bool, running: &Value) -> Value {
    json!({"worker": name, "pool": "default", "at": "2026-11-21T03:59:58Z", "started_at": "2026-11-21T03:00:00Z",
           "version": "0.1.0", "slots": 2, "running": running, "draining": draining, "tools": ["terraform 1.11.4"],
           "age_seconds": 2.4})
}

fn answer(http: u16, message: &str, code: &str) -> GatewayAnswer {
    GatewayAnswer { http, message: message.into(), code: code.into(), field: None, status: None, problems: Vec::new() }
}

fn answers() -> Vec<CliError> {
    let all = [
        GatewayAnswer { field: Some("tool".into()), ..answer(400, "unknown tool `helm`: use terraform or tofu", "bad_field") },
        answer(401, "no key", "no_key"),
        answer(403, "this key lacks the scope approve", "missing_scope"),
        answer(404, "run not found", "not_found"),
        GatewayAnswer { status: Some("failed".into()), ..answer(409, "the run is not waiting for an approval\u{1b}[2J", "wrong_state") },
        answer(503, "NATS is not reachable (try again in 5 s)", "unavailable"),
    ];
    all.into_iter().map(|answer| CliError::Answer(Box::new(answer))).collect()
}

fn own_errors() -> Vec<CliError> {
    let below = std::io::Error::other("connection refused");
    vec![
        CliError::usage("--git-username alone logs nobody in", "add --git-password-file"),
        CliError::WaitTimeout { run: samples::ID.parse().unwrap(), status: "running".into(), waited: std::time::Duration::from_secs(90) },
        CliError::Strange { url: "http://x".into(), what: "no JSON".into() },
        CliError::Role {
            what: "cannot connect to NATS".into(),
            next: "check nats.url".into(),
            exit: Exit::Unreachable,
            source: Some(Box::new(below)),
        },
    ]
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let errors: Vec<CliError> = answers().into_iter().chain(own_errors()).collect();
    let texts: Vec<String> = errors.iter().map(|error| format!("exit {}\n{}", error.exit().code(), problem::text(error, PLAIN))).collect();
    compare("errors", &texts.join("\n\n"));
    let objects: Vec<String> = errors.iter().map(|error| problem::json(error).to_string()).collect();
    crate::golden::compare("tests/golden/errors.jsonl", &objects.join("\n"));
}

#[test]
fn findings_say_what_to_do() {
    let finding = |check, state, advice: &str| Finding {
        check: std::borrow::Cow::Borrowed(check),
        state,
        found: "2.47.3".into(),
        advice: advice.into(),
    };
    let all = [finding("git", State::Ok, ""), finding("nats-server", State::Warn, "update it"), finding("disk", State::Fail, "make room")];
    compare("doctor", &findings::text(&all, PLAIN));
    assert_eq!(findings::json(&all)["healthy"], json!(false));
    assert_eq!(findings::json(&all[..2])["healthy"], json!(true));
}

#[test]
fn progress_lines_name_what_is_waited_for() {
    let lines = [words::progress(&samples::in_line()), words::progress(&samples::awaiting_approval()), words::result(&samples::failed())];
    compare("progress", &lines.join("\n"));
}
