//! Approve, reject, cancel, resolve, with a scheduler that the test plays.

use crate::{
    harness::{World, soon, told},
    scheduler::{run_id, show, view},
};
use bus::Bus;
use proto::{
    ShardNo,
    message::{Command, CommandAnswer, CommandVerb, InboxMessage},
};
use reqwest::Method;
use serde_json::{Value, json};

/// Takes the next command and answers it.
async fn answer(bus: &Bus, answer: CommandAnswer) -> Command {
    let mut deliveries = bus.inbox().consume(ShardNo(0)).await.unwrap();
    let delivery = soon(deliveries.next()).await.unwrap().unwrap();
    let Ok(InboxMessage::Command(command)) = &delivery.message else { panic!("{delivery:?}") };
    bus.inbox().answer(command.reply_to.as_deref().expect("somebody waits"), &answer).await.unwrap();
    delivery.ack().await.unwrap();
    command.clone()
}

fn refused(code: &str, status: &str) -> CommandAnswer {
    CommandAnswer::Refused { code: code.into(), message: "the scheduler's words".into(), status: status.into() }
}

#[tokio::test]
async fn a_command_reaches_the_scheduler_and_its_answer_the_caller() {
    let world = World::start().await;
    let mut shown = view(run_id("commands"));
    show(&world.store.bus, &mut shown, |_| {}).await;
    let digest = "ab".repeat(32);
    let table: [(&str, Value, CommandAnswer, u16, &str, CommandVerb); 9] = [
        ("/deploy/ID/approve", Value::Null, CommandAnswer::Done, 200, "Deployment approved", CommandVerb::Approve { plan_sha256: None }),
        (
            "/deploy/ID/approve",
            json!({ "plan_sha256": digest }),
            CommandAnswer::AlreadySo,
            200,
            "Deployment approved",
            CommandVerb::Approve { plan_sha256: Some(digest.clone()) },
        ),
        ("/deploy/ID/reject", Value::Null, CommandAnswer::Done, 200, "Deployment rejected", CommandVerb::Reject),
        ("/deploy/ID/cancel", Value::Null, CommandAnswer::Done, 200, "Cancellation requested", CommandVerb::Cancel { force: false }),
        (
            "/v1/runs/ID/cancel",
            json!({ "force": true }),
            CommandAnswer::Done,
            200,
            "Cancellation requested",
            CommandVerb::Cancel { force: true },
        ),
        (
            "/v1/runs/ID/approve",
            Value::Null,
            refused("wrong_state", "success"),
            409,
            "the scheduler's words",
            CommandVerb::Approve { plan_sha256: None },
        ),
        ("/v1/runs/ID/reject", json!({}), refused("not_found", ""), 404, "run not found", CommandVerb::Reject),
        ("/deploy/ID/reject", json!({}), refused("not_found", ""), 404, "Deployment not found", CommandVerb::Reject),
        (
            "/v1/runs/ID/resolve",
            json!({ "as": "failed", "reason": "looked" }),
            CommandAnswer::Done,
            200,
            "Run resolved",
            CommandVerb::Resolve { job: None, succeeded: false, reason: "looked".into() },
        ),
    ];
    for (path, body, said, status, text, verb) in table {
        let request = world.gateway.post(&path.replace("ID", &shown.id.to_string()));
        let request = if body.is_null() { request } else { request.json(&body) };
        let ((told_status, answered), command) = tokio::join!(told(request), answer(&world.store.bus, said.clone()));
        assert_eq!(told_status, status, "{path}: {answered}");
        assert_eq!(answered[if status == 200 { "message" } else { "error" }], json!(text), "{path}");
        assert_eq!((command.run, command.by.as_str(), &command.verb), (shown.id, "admin", &verb));
        if status == 409 {
            assert_eq!((&answered["status"], &answered["code"]), (&json!("success"), &json!("wrong_state")));
        }
    }
}

#[tokio::test]
async fn a_silent_scheduler_is_202_and_the_command_is_stored() {
    let world = World::start().await;
    let mut shown = view(run_id("silent"));
    show(&world.store.bus, &mut shown, |_| {}).await;
    let (status, answered) = told(world.gateway.post(&format!("/deploy/{}/cancel", shown.id))).await;
    assert_eq!((status, &answered), (202, &json!({ "message": "cancellation was recorded; the scheduler has not confirmed it yet" })));
    assert_eq!(answer(&world.store.bus, CommandAnswer::Done).await.verb, CommandVerb::Cancel { force: false });
}

#[tokio::test]
async fn bad_commands_are_refused_before_they_are_stored() {
    let world = World::start().await;
    let mut shown = view(run_id("bad"));
    show(&world.store.bus, &mut shown, |_| {}).await;
    for (path, body, status, field) in [
        ("/deploy/ID/approve", json!({ "plan_sha256": "x" }), 400, "plan_sha256"),
        ("/deploy/ID/approve", json!({ "by": "root" }), 400, "by"),
        ("/deploy/ID/reject", json!({ "force": true }), 400, "force"),
        ("/deploy/ID/cancel", json!({ "force": "yes" }), 400, "force"),
        ("/v1/runs/ID/resolve", json!({ "as": "fine", "reason": "x" }), 400, "as"),
        ("/v1/runs/ID/resolve", json!({ "as": "failed", "reason": " " }), 400, "reason"),
        ("/v1/runs/ID/resolve", json!({ "as": "failed" }), 400, "reason"),
    ] {
        let (told_status, answered) = told(world.gateway.post(&path.replace("ID", &shown.id.to_string())).json(&body)).await;
        assert_eq!((told_status, answered["field"].as_str()), (status, Some(field)), "{path} {body}");
    }
    let unknown = run_id("unknown");
    for path in [format!("/deploy/{unknown}/approve"), format!("/v1/runs/{unknown}/cancel")] {
        assert_eq!(told(world.gateway.post(&path)).await.0, 404, "{path}");
    }
    // The first thing that the scheduler sees is this one.
    let request = world.gateway.post(&format!("/deploy/{}/approve", shown.id));
    let ((status, _), command) = tokio::join!(told(request), answer(&world.store.bus, CommandAnswer::Done));
    assert_eq!((status, command.verb), (200, CommandVerb::Approve { plan_sha256: None }));
}

#[tokio::test]
async fn only_an_administrator_may_force() {
    let world = World::start().await;
    let mut shown = view(run_id("force"));
    show(&world.store.bus, &mut shown, |_| {}).await;
    let (_, key) = told(world.gateway.post("/v1/keys").json(&json!({ "name": "ci", "scopes": ["deploy"] }))).await;
    let cancel = |body: Value| {
        let request = world.gateway.bare(Method::POST, &format!("/deploy/{}/cancel", shown.id));
        request.bearer_auth(key["key"].as_str().unwrap()).json(&body)
    };
    let (status, answered) = told(cancel(json!({ "force": true }))).await;
    assert_eq!((status, answered["code"].as_str()), (403, Some("missing_scope")));
    let ((status, _), command) = tokio::join!(told(cancel(json!({ "force": false }))), answer(&world.store.bus, CommandAnswer::Done));
    assert_eq!((status, command.by.as_str()), (200, "ci"));
}
