//! Versions at `POST /deploy`, and how they stand: told apart from Terraform, one run at a time, the same at every gateway.

use crate::{
    admission::triggers,
    harness::{World, request, told, until},
    hooks::{followed, push},
    scheduler::{job, show, view},
    syncs::{bare, run_of, signed, spec_of, world},
};
use jiff::{Span, Timestamp};
use proto::{
    RunId,
    message::RunSpec,
    sync::SyncAction,
    view::{RunStatus, RunView, SyncJobView},
};
use reqwest::Method;
use serde_json::{Value, json};

/// What a scheduler shows of a run.
async fn shown(world: &World, run: RunId, status: RunStatus) -> RunView {
    let trigger = world.store.bus.inbox().first_trigger(run).await.unwrap().expect("a trigger");
    let mut shown = RunView { spec: trigger.spec, request_digest: trigger.request_digest, ..view(run) };
    let sync = SyncJobView {
        service: "platform/postgres".parse().unwrap(),
        task: "postgres.sync".into(),
        reasons: vec!["everything was asked for".into()],
        action: Some(SyncAction::Updated),
        details: "was 1, is 2".into(),
        failure: None,
        superseded_by: None,
    };
    let mut of = job(1, "sync", if status == RunStatus::Success { "succeeded" } else { "running" });
    of.sync = Some(sync);
    show(&world.store.bus, &mut shown, |view| {
        view.status = status;
        view.ended_at = status.is_terminal().then(Timestamp::now);
        view.jobs = vec![of];
    })
    .await;
    shown
}

#[tokio::test]
async fn e1_deploy_is_told_apart_by_its_body() {
    let world = world().await;
    let version = json!({"env": "staging", "tag": "v1.2.4", "triggered_by": "github-actions", "commit": "abc", "staging_tag": "v1"});
    let (status, answer) = told(signed(&world.gateway, "/deploy", &version)).await;
    assert_eq!((status, &answer["status"]), (202, &json!("accepted")), "{answer}");
    let id = answer["deployment_id"].as_str().unwrap().to_owned();
    let expected = json!({
        "status": "accepted", "deployment_id": id, "run_id": answer["run_id"], "env": "staging", "ref": "v1.2.4", "tag": "v1.2.4",
        "triggered_by": "github-actions", "requested_services": null, "skipped": [], "status_url": format!("/deploy/{id}/status"), "wait": false,
    });
    assert_eq!(answer, expected);
    let (status, terraform) = told(world.gateway.post("/deploy").json(&request())).await;
    assert_eq!((status, &terraform["status"]), (202, &json!("running")), "{terraform}");
    let stored = triggers(&world.store.bus).await;
    let spec = spec_of(&stored[0]);
    assert_eq!(
        (spec.git_ref.as_str(), spec.triggered_by.as_str(), spec.deployment_id.as_deref()),
        ("refs/tags/v1.2.4", "github-actions", Some(id.as_str()))
    );
    assert!(matches!(stored[1].spec, RunSpec::Terraform(_)));
    let mut both = request();
    both["env"] = json!("staging");
    both["tag"] = json!("v1");
    for (request, status, error) in [
        (world.gateway.post("/deploy").json(&both), 400, "this is a Terraform deployment"),
        (world.gateway.post("/deploy").json(&json!({})), 400, "tool: is required"),
        (world.gateway.post("/deploy?token=x").json(&version), 400, "token: is not known here"),
        // What a forge has signed is no version, and no sync.
        (signed(&world.gateway, "/deploy", &push("b", &[])), 400, "env: is required with `ref`"),
        (signed(&world.gateway, "/sync", &push("b", &[])), 400, "No services specified"),
        (world.gateway.post("/deploy").json(&json!({"env": "staging"})), 400, "Tag required"),
        (signed(&world.gateway, "/deploy", &crate::harness::request()), 401, "this needs a key"),
        (bare(&world.gateway, "/deploy", &version), 401, "this needs a key"),
        (bare(&world.gateway, "/deploy", &version).header("x-hub-signature-256", "sha256=00"), 401, "Invalid signature"),
    ] {
        let (got, answer) = told(request).await;
        assert!(got == status && answer["error"].as_str().is_some_and(|text| text.starts_with(error)), "{status} {error}: {got} {answer}");
    }
    assert_eq!(triggers(&world.store.bus).await, []);
    let exact = world.store.gateway(|settings| {
        settings.sources = vec![followed("platform")];
        settings.sync.immutable_refs_only = true;
    });
    let exact = exact.await;
    assert_eq!(told(signed(&exact, "/deploy", &version)).await.1["error"], json!("Ref must be an exact 40-character commit SHA"));
    assert_eq!(told(signed(&exact, "/deploy", &json!({"env": "staging", "ref": "b".repeat(40)}))).await.0, 202);
}

#[tokio::test]
async fn e9_what_is_not_managed_is_skipped_also_where_it_is_all_that_is_named() {
    let world = world().await;
    let of = |services: Value| json!({"tag": "v1", "services": services, "wait": true});
    let (status, answer) = told(signed(&world.gateway, "/deploy", &of(json!(["bootstrap/vault", "finance_report/app"])))).await;
    let reasons: Vec<_> = answer["skipped"].as_array().unwrap().iter().map(|skipped| skipped["reason"].as_str().unwrap()).collect();
    assert_eq!((status, &answer["status"], &answer["skipped"][0]["what"]), (200, &json!("ignored"), &json!("bootstrap/vault")), "{answer}");
    assert!(reasons[0].contains("by hand") && reasons[1].contains("`finance_report` is not managed"), "{answer}");
    assert_eq!(answer["requested_services"], json!(["bootstrap/vault", "finance_report/app"]));
    assert!(["deployment_id", "run_id", "status_url"].iter().all(|field| answer.get(field).is_none()), "nothing to be asked for: {answer}");
    assert_eq!(triggers(&world.store.bus).await, []);
    let mut some = of(json!(["bootstrap/vault", "platform/postgres"]));
    some["wait"] = json!(false);
    let (status, answer) = told(signed(&world.gateway, "/deploy", &some)).await;
    assert_eq!(
        (status, &answer["status"], &answer["skipped"][0]["what"]),
        (202, &json!("accepted"), &json!("bootstrap/vault")),
        "{answer}"
    );
}

#[tokio::test]
async fn a_version_in_flight_is_one_run_and_a_finished_one_is_told_again() {
    let world = world().await;
    let other = world.store.gateway(|settings| settings.sources = vec![followed("platform")]).await;
    let version = json!({"env": "staging", "tag": "v1.2.4"});
    let twins = (0..8).map(|n| told(signed(if n % 2 == 0 { &world.gateway } else { &other }, "/deploy", &version)));
    let answers = futures_util::future::join_all(twins).await;
    assert!(answers.iter().all(|(status, answer)| *status == 202 && answer["run_id"] == answers[0].1["run_id"]), "{answers:?}");
    let run = run_of(&answers[0].1);
    assert_eq!(triggers(&world.store.bus).await.iter().map(|trigger| trigger.run).collect::<Vec<_>>(), [run]);
    let (_, again) = told(signed(&other, "/deploy", &version)).await;
    assert_eq!((&again["status"], &again["duplicate"]), (&json!("in_progress"), &json!(true)), "{again}");
    let id = again["deployment_id"].as_str().unwrap();
    let (status, stands) = told(world.gateway.get(&format!("/deploy/{id}/status"))).await;
    assert_eq!((status, &stands["status"], &stands["deployment_id"]), (200, &json!("in_progress"), &json!(id)), "{stands}");

    let mut ended = shown(&world, run, RunStatus::Success).await;
    let (status, cached) = told(signed(&other, "/deploy", &version)).await;
    assert_eq!(
        (status, &cached["cached"], &cached["status"], &cached["success"]),
        (200, &json!(true), &json!("completed"), &json!(true)),
        "{cached}"
    );
    assert_eq!((&cached["succeeded"], &cached["results"][0]["service"]), (&json!(1), &json!("platform/postgres")));
    let forced = json!({"env": "staging", "tag": "v1.2.4", "force": true});
    let (_, anew) = told(signed(&world.gateway, "/deploy", &forced)).await;
    assert_eq!((&anew["status"], &anew["deployment_id"]), (&json!("accepted"), &json!(id)), "{anew}");
    assert_ne!(run_of(&anew), run);
    // What has failed, or was well too long ago, is deployed once more at once.
    let second = run_of(&anew);
    shown(&world, second, RunStatus::Failed).await;
    let (_, third) = told(signed(&world.gateway, "/deploy", &version)).await;
    assert_eq!(third["status"], json!("accepted"), "{third}");
    let third = run_of(&third);
    let mut old = shown(&world, third, RunStatus::Success).await;
    show(&world.store.bus, &mut old, |view| view.ended_at = Some(Timestamp::now() - Span::new().seconds(601))).await;
    let (_, fourth) = told(signed(&world.gateway, "/deploy", &version)).await;
    assert_eq!(fourth["status"], json!("accepted"), "{fourth}");
    // A branch is only kept from running twice at a time.
    let branch = json!({"env": "staging", "ref": "main"});
    let (_, of_branch) = told(signed(&world.gateway, "/deploy", &branch)).await;
    assert_eq!(told(signed(&world.gateway, "/deploy", &branch)).await.1["duplicate"], json!(true));
    shown(&world, run_of(&of_branch), RunStatus::Success).await;
    assert_eq!(told(signed(&world.gateway, "/deploy", &branch)).await.1["status"], json!("accepted"));
    show(&world.store.bus, &mut ended, |_| {}).await;
}

#[tokio::test]
async fn a_record_without_its_run_is_healed_by_the_repeat() {
    let world = world().await;
    let version = json!({"env": "staging", "tag": "v1.2.4"});
    // As a gateway leaves it that dies between the two.
    let dead = World::with(|settings| settings.sources = vec![followed("platform")]).await;
    let (_, begun) = told(signed(&dead.gateway, "/deploy", &version)).await;
    let id = begun["deployment_id"].as_str().unwrap();
    let record: Value = dead.store.bus.deployments().find(id).await.unwrap().expect("a record");
    let of = {
        use sha2::Digest as _;
        hex::encode(&sha2::Sha256::digest("staging:v1.2.4")[..16])
    };
    world.store.bus.deployments().change(id, &of, &record, 0).await.unwrap();
    let (status, missing) = told(world.gateway.get(&format!("/deploy/{id}/status"))).await;
    assert_eq!((status, &missing["status"]), (404, &json!("not_found")));
    let (status, answer) = told(signed(&world.gateway, "/deploy", &version)).await;
    assert_eq!((status, run_of(&answer)), (202, run_of(&begun)), "{answer}");
    assert_eq!(triggers(&world.store.bus).await.iter().map(|trigger| trigger.run).collect::<Vec<_>>(), [run_of(&begun)]);
}

#[tokio::test]
async fn whoever_waits_is_told_the_end() {
    let world = world().await;
    let version = json!({"env": "staging", "tag": "v1.2.4", "wait": "yes"});
    let end = async {
        let id = proto::sync::deployment_id(&"staging".parse().unwrap(), "v1.2.4", None);
        let mut run = None;
        Box::pin(until(async || {
            let record: Option<Value> = world.store.bus.deployments().find(&id).await.unwrap();
            run = record.map(|record| record["run"].as_str().unwrap().parse::<RunId>().unwrap());
            match run {
                Some(run) => world.store.bus.inbox().first_trigger(run).await.unwrap().is_some(),
                None => false,
            }
        }))
        .await;
        Box::pin(shown(&world, run.unwrap(), RunStatus::Success)).await;
    };
    let ((status, answer), ()) = tokio::join!(told(signed(&world.gateway, "/deploy", &version)), end);
    assert_eq!((status, &answer["status"], answer.get("cached")), (200, &json!("completed"), None), "{answer}");
}

#[tokio::test]
async fn a_deployment_is_found_by_what_it_is() {
    let world = world().await;
    let (all, one) = (json!({"env": "staging", "ref": "v1"}), json!({"env": "staging", "ref": "v1", "services": ["platform/a"]}));
    let ask = |body: &Value| told(signed(&world.gateway, "/deploy/status", body));
    let (status, answer) = ask(&all).await;
    assert_eq!((status, &answer["status"]), (404, &json!("not_found")));
    let (_, first) = told(signed(&world.gateway, "/deploy", &all)).await;
    let (status, answer) = ask(&all).await;
    assert_eq!((status, &answer["status"], &answer["deployment_id"]), (200, &json!("in_progress"), &first["deployment_id"]), "{answer}");
    let (_, second) = told(signed(&world.gateway, "/deploy", &one)).await;
    until(async || ask(&all).await.0 == 409).await;
    let (_, answer) = ask(&all).await;
    let candidates: std::collections::BTreeSet<_> =
        answer["candidate_deployment_ids"].as_array().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(candidates, [&first, &second].map(|answer| answer["deployment_id"].to_string()).into());
    // In pages, to the last.
    let mut first_page = all.clone();
    first_page["limit"] = json!(1);
    let (status, page) = ask(&first_page).await;
    assert_eq!((status, &page["candidate_deployment_ids"]), (409, &json!([first["deployment_id"]])), "{page}");
    first_page["cursor"] = page["next_cursor"].clone();
    let (status, rest) = ask(&first_page).await;
    assert_eq!(
        (status, &rest["candidate_deployment_ids"], rest.get("next_cursor")),
        (409, &json!([second["deployment_id"]]), None),
        "{rest}"
    );
    first_page["cursor"] = json!("x");
    assert_eq!(ask(&first_page).await.0, 400);
    let mut exact = all.clone();
    exact["deployment_id"] = second["deployment_id"].clone();
    assert_eq!(ask(&exact).await.1["run_id"], second["run_id"]);
    assert_eq!(ask(&one).await.1["run_id"], second["run_id"]);
    exact["deployment_id"] = json!("0123456789abcdef");
    let (status, answer) = ask(&exact).await;
    assert_eq!((status, &answer["expected_deployment_id"]), (409, &first["deployment_id"]), "{answer}");
    exact["deployment_id"] = json!("../../etc");
    assert_eq!(ask(&exact).await.0, 400);
    assert_eq!(told(bare(&world.gateway, "/deploy/status", &all)).await.1["error"], json!("Invalid signature"));
    assert_eq!(told(world.gateway.get("/deploy/0123456789abcdef/status")).await.0, 404);
    assert_eq!(told(world.gateway.bare(Method::GET, "/deploy/0123456789abcdef/status")).await.0, 401);
}
