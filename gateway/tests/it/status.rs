//! The status object.

use crate::{
    harness::{World, request, told},
    scheduler::{Output, at, attempt, attempt_id, job, run_id, running, show, succeed, view},
};
use proto::{
    message::{Evidence, Failure, RunSpec},
    terraform::PlanSummary,
    view::RunStatus,
};
use serde_json::json;

#[tokio::test]
async fn an_accepted_run_waits_for_the_scheduler_and_is_in_the_list() {
    let world = World::start().await;
    let (_, answer) = told(world.gateway.post("/deploy").json(&request())).await;
    let id = answer["deployment_id"].as_str().unwrap();
    let (status, told_status) = told(world.gateway.get(&format!("/deploy/{id}/status"))).await;
    assert_eq!(status, 200);
    assert_eq!((&told_status["status"], &told_status["phase"]), (&json!("running"), &json!("initializing")));
    assert_eq!(told_status["waiting_for"], json!({ "for": "scheduler" }));
    assert_eq!((&told_status["tool"], &told_status["by"]), (&json!("terraform"), &json!("admin")));
    let (_, run) = told(world.gateway.get(&format!("/v1/runs/{id}"))).await;
    assert_eq!((&run["id"], &run["spec"]["git_ref"], &run["jobs"]), (&json!(id), &json!("main"), &json!([])));
    let (_, list) = told(world.gateway.get("/v1/runs")).await;
    assert_eq!(list["runs"][0]["id"], json!(id));
    assert_eq!(list["runs"][0].get("jobs"), None);
}

#[tokio::test]
async fn the_logs_are_split_by_phase_and_read_on_with_each_look() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let run = run_id("split");
    let mut shown = view(run);
    show(bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    let mut output = Output::new(bus, attempt_id(run, 0, 1));
    let status = async || told(world.gateway.get(&format!("/deploy/{run}/status"))).await.1;
    output.write("cloning", "Cloning repository...\r\n").await;
    assert_eq!(status().await["init_log"], json!("Cloning repository...\r\n"));
    output.write("init", "Initializing\n").await;
    output.write("plan", "Plan: 1 to add\n").await;
    output.end().await;
    show(bus, &mut shown, |view| {
        view.jobs = vec![running(0), job(1, "approval", "succeeded"), running(2)];
        view.plan = Some(PlanSummary { adds: 1, ..PlanSummary::default() });
        view.outputs = "{\"a\":1}".into();
    })
    .await;
    let mut apply = Output::new(bus, attempt_id(run, 2, 1));
    apply.write("init", "Initializing again\n").await;
    apply.write("apply", "Apply complete!\n").await;
    let told_status = status().await;
    let field = |name: &str| told_status[name].as_str().unwrap().to_owned();
    assert_eq!(field("clone_log"), "Cloning repository...\r\n");
    assert_eq!(field("init_log"), "Cloning repository...\r\nInitializing\nInitializing again\n");
    assert_eq!(field("plan_log"), "Plan: 1 to add\n");
    assert_eq!(field("apply_log"), "Apply complete!\n");
    let plan: PlanSummary = serde_json::from_str(&field("plan_output")).unwrap();
    assert_eq!((plan.adds, field("apply_output").as_str()), (1, "{\"a\":1}"));
}

#[tokio::test]
async fn a_long_log_is_shown_from_its_end_with_a_mark() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let run = run_id("long");
    let mut shown = view(run);
    show(bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    let mut output = Output::new(bus, attempt_id(run, 0, 1));
    for n in 0..100 {
        output.write("plan", format!("{n:0>16383}\n")).await;
    }
    let (_, answer) = told(world.gateway.get(&format!("/deploy/{run}/status"))).await;
    let log = answer["plan_log"].as_str().unwrap();
    let (mark, rest) = log.split_once('\n').unwrap();
    assert!(mark.starts_with("[... ") && mark.contains(&format!("/v1/runs/{run}/log.txt?job=0&attempt=1")), "{mark}");
    assert!(rest.len() <= 1024 * 1024 && rest.ends_with("99\n"));
    let whole = world.gateway.get(&format!("/v1/runs/{run}/log.txt?job=0&attempt=1")).send().await.unwrap().text().await.unwrap();
    assert_eq!(whole.len(), 100 * 16_384);
}

#[tokio::test]
async fn the_latest_attempt_counts_and_a_failure_says_where_and_why() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let run = run_id("failed");
    let mut shown = view(run);
    Output::new(bus, attempt_id(run, 0, 1)).write("plan", "first try\n").await;
    Output::new(bus, attempt_id(run, 0, 2)).write("plan", "second try\n").await;
    show(bus, &mut shown, |view| {
        view.jobs = vec![running(0)];
        view.jobs[0].attempts.push(attempt(2));
        succeed(view);
        view.status = RunStatus::Failed;
        view.failed_phase = Some("plan".into());
        view.failure =
            Some(Failure { kind: "plan".into(), phase: "plan".into(), message: "Plan failed: no".into(), next_action: "fix".into() });
    })
    .await;
    let (_, answer) = told(world.gateway.get(&format!("/deploy/{run}/status"))).await;
    assert_eq!(answer["plan_log"], json!("second try\n"));
    assert_eq!((&answer["status"], &answer["phase"], &answer["failed_phase"]), (&json!("failed"), &json!("completed"), &json!("plan")));
    assert_eq!((&answer["error"], &answer["next_action"]), (&json!("Plan failed: no"), &json!("fix")));
    assert_eq!(answer["started_at"], json!(at(0)));
    assert!(matches!(shown.spec, RunSpec::Probe(_)) && answer["ended_at"].is_string());
}

#[tokio::test]
async fn an_unknown_outcome_is_shown_with_what_is_known_and_the_last_lines() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let run = run_id("nobody knows");
    let mut shown = view(run);
    let mut output = Output::new(bus, attempt_id(run, 0, 1));
    for n in 0..300 {
        output.write("apply", format!("line {n}\n")).await;
    }
    show(bus, &mut shown, |view| {
        view.jobs = vec![running(0)];
        view.jobs[0].status = "unknown".into();
        view.jobs[0].attempts[0].ended_at = Some(at(9));
        view.status = RunStatus::Unknown;
        let check = vec!["whether the tool still runs".into()];
        view.evidence = Some(Evidence { seen: "silent".into(), serial_before: Some(7), check, ..Evidence::default() });
    })
    .await;
    for path in [format!("/deploy/{run}/status"), format!("/v1/runs/{run}")] {
        let (_, answer) = told(world.gateway.get(&path)).await;
        let evidence = &answer["evidence"];
        assert_eq!((&evidence["seen"], &evidence["serial_before"]), (&json!("silent"), &json!(7)), "{path}");
        assert_eq!(evidence["check"], json!(["whether the tool still runs"]), "{path}");
        let lines = evidence["last_lines"].as_array().unwrap();
        assert_eq!((lines.len(), &lines[0], &lines[199]), (200, &json!("line 100"), &json!("line 299")), "{path}");
    }
    let (_, list) = told(world.gateway.get("/v1/runs?status=unknown")).await;
    assert_eq!(list["runs"][0]["evidence"]["last_lines"], json!([]), "a list is short");
}

#[tokio::test]
async fn an_unknown_run_has_the_words_of_its_door() {
    let world = World::start().await;
    for id in ["0192f0c1-7e3a-7abc-8def-0123456789ab", "nonsense", "0192F0C17E3A7ABC8DEF0123456789AB"] {
        for (path, error) in [
            (format!("/deploy/{id}/status"), "Deployment not found"),
            (format!("/deploy/{id}/logs"), "Deployment not found"),
            (format!("/v1/runs/{id}"), "run not found"),
            (format!("/v1/runs/{id}/jobs"), "run not found"),
            (format!("/v1/runs/{id}/logs"), "run not found"),
            (format!("/v1/runs/{id}/log.txt"), "run not found"),
        ] {
            let (status, answer) = told(world.gateway.get(&path)).await;
            assert_eq!((status, answer["error"].as_str()), (404, Some(error)), "{path}");
        }
    }
}
