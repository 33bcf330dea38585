//! The oracle of runs of orders on runs that went right, and on everything that can be wrong with them.

use super::super::graph::nodes;
use super::*;
use proto::{
    JobNo, RunId,
    message::{ProbeSpec, RunSpec},
    orders::OrderCounts,
    view::RunStatus,
};
use serde_json::{Value, json};

/// A run of the diamond that went right.
struct Told {
    events: Vec<Value>,
    effects: Vec<&'static str>,
    statuses: Vec<&'static str>,
    status: RunStatus,
    succeeded: u32,
}

impl Told {
    fn right() -> Self {
        let mut events = vec![json!({"event": "accepted"})];
        for job in 0..6 {
            events.push(json!({"event": "job_queued", "job": job, "attempt": 1}));
            events.push(json!({"event": "permitted", "job": job, "attempt": 1}));
            events.push(json!({"event": "effects_started", "job": job, "attempt": 1}));
        }
        events.push(json!({"event": "run_ended", "ending": "success"}));
        let effects = vec![
            "base begin",
            "base end",
            "side begin",
            "left begin",
            "right begin",
            "right end",
            "tidy begin",
            "left end",
            "join begin",
            "tidy end",
            "join end",
        ];
        let statuses = vec!["succeeded", "succeeded", "succeeded", "succeeded", "failed", "succeeded"];
        Self { events, effects, statuses, status: RunStatus::Success, succeeded: 5 }
    }

    fn found(&self) -> Vec<String> {
        let nodes = nodes(0);
        let log = Logged { id: "r".to_owned(), events: self.events.clone() };
        let effects: Vec<_> =
            self.effects.iter().filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        let jobs: Vec<JobView> = (0..).zip(&self.statuses).map(|(no, status)| job(no, status)).collect();
        violations(&Seen { nodes: &nodes, log: &log, effects: &effects, view: &self.view(), jobs: &jobs })
    }

    fn view(&self) -> RunView {
        let count = |status: &str| self.statuses.iter().filter(|shown| **shown == status).count() as u32;
        let counts = OrderCounts {
            total: 6,
            succeeded: self.succeeded,
            failed: count("failed"),
            timed_out: count("timed_out"),
            ..OrderCounts::default()
        };
        let spec = RunSpec::Probe(ProbeSpec::default());
        let view = json!({
            "id": RunId::fresh(proto::ShardNo::of("x", 1)), "seq": 1, "status": self.status, "phase": "completed", "spec": spec, "pool": "default",
            "by": "ann", "accepted_at": "2026-01-01T00:00:00Z", "jobs": [], "orders": counts,
        });
        serde_json::from_value(view).expect("a view")
    }
}

fn job(no: u32, status: &str) -> JobView {
    let job = json!({"n": JobNo(no), "name": "", "action": "shell", "status": status, "needs": [], "attempts": []});
    serde_json::from_value(job).expect("a job")
}

#[test]
fn what_is_right_is_no_violation() {
    assert_eq!(Told::right().found(), Vec::<String>::new());
    // The base was lost, and everything that needs it failed with it; what need not succeed comes all the same.
    let mut watched = Told { statuses: vec!["timed_out", "failed", "failed", "failed", "failed", "succeeded"], ..Told::right() };
    watched.effects = vec!["base begin", "side begin", "tidy begin", "tidy end"];
    (watched.succeeded, watched.status) = (1, RunStatus::TimedOut);
    watched.events.retain(|event| event["event"] != "run_ended");
    watched.events.push(json!({"event": "run_ended", "ending": "timed_out"}));
    assert_eq!(watched.found(), Vec::<String>::new());
}

#[test]
fn everything_that_is_wrong_is_found() {
    let wrong = |what: &str, change: &dyn Fn(&mut Told)| {
        let mut told = Told::right();
        change(&mut told);
        let found = told.found();
        assert!(found.iter().any(|found| found.contains(what)), "{what}: {found:?}");
    };
    wrong("`begin` was done 2 times", &|told| told.effects.push("left begin"));
    wrong("`end` was done 2 times", &|told| told.effects.push("join end"));
    wrong("begun before what it needs: left", &|told| told.effects.swap(7, 8));
    wrong("begun before what it needs: base", &|told| told.effects.swap(1, 3));
    wrong("begun before what it needs: side", &|told| told.effects.swap(2, 6));
    wrong("begun without the last word", &|told| told.events.retain(|event| event["event"] != "effects_started" || event["job"] != 1));
    wrong("permit of job 1 attempt 1: 2 times", &|told| told.events.insert(1, json!({"event": "permitted", "job": 1, "attempt": 1})));
    wrong("last word of job 1: 2 times", &|told| told.events.insert(1, json!({"event": "effects_started", "job": 1, "attempt": 2})));
    wrong("was unknown and is queued again", &|told| told.events.insert(1, json!({"event": "job_unknown", "job": 0})));
    wrong("it has not ended", &|told| {
        told.events.pop();
    });
    wrong("decided after its end", &|told| told.events.push(json!({"event": "job_queued", "job": 9})));
    wrong("the view counts 4 succeeded, its pages show 5", &|told| told.succeeded = 4);
    wrong("shown as succeeded", &|told| told.effects.retain(|effect| *effect != "join end"));
    wrong("shown as failed", &|told| told.statuses[3] = "failed");
    wrong("shown as running", &|told| told.statuses[3] = "running");
    wrong("it should have ended as timed_out", &|told| told.statuses[3] = "timed_out");
    wrong("it should have ended as success", &|told| told.status = RunStatus::Failed);
    wrong("6 orders were asked for, and 5 are shown", &|told| {
        told.statuses.pop();
    });
}
