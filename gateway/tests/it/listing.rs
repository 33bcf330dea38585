//! The list of runs, and what waiting runs wait behind.

use crate::{
    harness::{World, told, until},
    scheduler::{at, attempt, job, run_id, show, view},
};
use bus::Held;
use proto::{
    PoolName, RunId,
    git::GitUrl,
    lock::{LockHolder, LockKey, LockRecord, LockWaiter},
    path::RepoPath,
    terraform::{PlanSummary, ResourceChange},
    view::{RunStatus, WaitingFor},
};
use serde_json::{Value, json};

async fn list(world: &World, query: &str) -> Value {
    let (status, answer) = told(world.gateway.get(&format!("/v1/runs{query}"))).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

fn ids(list: &Value) -> Vec<String> {
    list["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

async fn some_runs(world: &World, count: u32) -> Vec<String> {
    let mut newest_first = Vec::new();
    for n in 0..count {
        let mut shown = view(run_id(&n.to_string()));
        show(&world.store.bus, &mut shown, |view| {
            view.accepted_at = at(i64::from(n));
            view.by = if n % 2 == 0 { "ann".into() } else { "ben".into() };
            view.status = if n % 3 == 0 { RunStatus::Failed } else { RunStatus::Running };
        })
        .await;
        newest_first.insert(0, shown.id.to_string());
    }
    until(async || ids(&list(world, "?limit=200").await).len() == count as usize).await;
    newest_first
}

#[tokio::test]
async fn pages_are_complete_and_stable_while_runs_arrive() {
    let world = World::start().await;
    let expected = some_runs(&world, 7).await;
    let first = list(&world, "?limit=3").await;
    let mut late = view(run_id("late"));
    show(&world.store.bus, &mut late, |view| view.accepted_at = at(100)).await;
    until(async || ids(&list(&world, "?limit=1").await)[0] == late.id.to_string()).await;
    let mut all = ids(&first);
    let mut next = first["next_cursor"].clone();
    while let Some(cursor) = next.as_str() {
        let page = list(&world, &format!("?limit=3&cursor={cursor}")).await;
        all.extend(ids(&page));
        next = page["next_cursor"].clone();
    }
    assert_eq!(all, expected);
}

#[tokio::test]
async fn filters_hold_and_bad_queries_are_refused() {
    let world = World::start().await;
    let all = some_runs(&world, 6).await;
    let pick = |keep: fn(usize) -> bool| {
        all.iter().rev().enumerate().filter(|(n, _)| keep(*n)).map(|(_, id)| id.clone()).rev().collect::<Vec<_>>()
    };
    assert_eq!(ids(&list(&world, "?by=ann").await), pick(|n| n % 2 == 0));
    assert_eq!(ids(&list(&world, "?status=failed").await), pick(|n| n % 3 == 0));
    assert_eq!(ids(&list(&world, "?status=failed,running&by=ben").await), pick(|n| n % 2 == 1));
    assert_eq!(ids(&list(&world, "?repo=nothing").await), Vec::<String>::new());
    for (query, field) in
        [("limit=0", "limit"), ("limit=1000000000", "limit"), ("cursor=AAAA", "cursor"), ("status=x", "status"), ("sort=;drop", "sort")]
    {
        let (status, answer) = told(world.gateway.get(&format!("/v1/runs?{query}"))).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some(field)), "{query}");
    }
}

#[tokio::test]
async fn a_list_shows_the_counts_of_a_plan_and_one_run_the_whole_of_it() {
    let world = World::start().await;
    let mut shown = view(run_id("plan"));
    let change = ResourceChange { address: "a.b".into(), action: "create".into(), attributes: Vec::new(), replace_because: Vec::new() };
    show(&world.store.bus, &mut shown, |view| {
        view.plan = Some(PlanSummary { adds: 1, resources: vec![change], ..PlanSummary::default() });
        view.outputs = "{}".into();
    })
    .await;
    until(async || ids(&list(&world, "").await).len() == 1).await;
    let listed = list(&world, "").await["runs"][0].clone();
    assert_eq!(
        (&listed["plan"]["adds"], &listed["plan"]["resources"], &listed["plan"]["resources_omitted"]),
        (&json!(1), &json!([]), &json!(1))
    );
    assert_eq!(listed["outputs"], json!(""));
    let (_, one) = told(world.gateway.get(&format!("/v1/runs/{}", shown.id))).await;
    assert_eq!((&one["plan"]["resources"][0]["address"], &one["outputs"]), (&json!("a.b"), &json!("{}")));
}

#[tokio::test]
async fn a_run_in_a_line_says_its_place_and_who_is_before_it() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let url: GitUrl = "https://git.example/acme/infra".parse().unwrap();
    let key = LockKey::directory(&url, &RepoPath::root(), "default");
    let (holder, first, second) = (run_id("holder"), run_id("first"), run_id("second"));
    let waiter = |run: RunId| LockWaiter { run, since: at(2), wants: vec![key.clone()] };
    let record =
        LockRecord { key: key.clone(), holder: Some(LockHolder { run: holder, since: at(1) }), queue: vec![waiter(first), waiter(second)] };
    bus.locks().write_all(&[Held { value: record, revision: 0 }]).await.unwrap();
    for (run, position) in [(first, 1), (second, 2)] {
        let mut shown = view(run);
        show(bus, &mut shown, |view| view.waiting_for = Some(WaitingFor::Lock { keys: vec![key.clone()], held_by: None, position: None }))
            .await;
        let (_, answer) = told(world.gateway.get(&format!("/deploy/{run}/status"))).await;
        let expected = json!({ "for": "lock", "keys": [key], "held_by": holder, "position": position });
        assert_eq!(answer["waiting_for"], expected);
    }
    let pool = PoolName::default();
    for (name, since) in [("third", 9), ("fourth", 3)] {
        let mut shown = view(run_id(name));
        show(bus, &mut shown, |view| {
            view.waiting_for = Some(WaitingFor::Worker { pool: pool.clone(), position: None });
            view.jobs = vec![job(0, "terraform", "queued")];
            view.jobs[0].attempts = vec![attempt(1)];
            view.jobs[0].attempts[0].status = "queued".into();
            view.jobs[0].attempts[0].queued_at = at(since);
        })
        .await;
    }
    for (name, position) in [("fourth", 1), ("third", 2)] {
        until(async || {
            let (_, answer) = told(world.gateway.get(&format!("/v1/runs/{}", run_id(name)))).await;
            answer["waiting_for"] == json!({ "for": "worker", "pool": "default", "position": position })
        })
        .await;
    }
}
