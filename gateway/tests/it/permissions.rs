//! A gateway whose NATS user lacks a permission.

use crate::harness::{World, request, soon, told, until};

#[tokio::test]
async fn a_missing_permission_is_answered_at_once_and_makes_the_gateway_unready() {
    let world = World::start().await;
    let (before, _) = told(world.gateway.post("/deploy").json(&request())).await;
    assert_eq!(before, 202);
    world.store.forbid("inbox.*.*").await;
    // The reload closes the connection; the answer of a gateway that is back is a fault of its own, not "try again".
    until(async || told(world.gateway.post("/deploy").json(&request())).await.0 == 500).await;
    // What the probes said is repeated for a moment.
    until(async || soon(world.gateway.get("/readyz").send()).await.is_ok_and(|ready| ready.status() == 503)).await;
    let text = soon(world.gateway.get("/readyz").send()).await.unwrap().text().await.unwrap();
    assert!(text.contains("\"nats\"") && !text.contains("inbox."), "it names no subject to those without a key: {text}");
    // What it may still do it does.
    let (runs, _) = told(world.gateway.get("/v1/runs")).await;
    assert_eq!(runs, 200);
}
