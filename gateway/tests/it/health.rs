//! `/health` in the words of the replaced service, as far as they mean something here.

use crate::{
    harness::{World, told, until},
    scheduler::seat,
};
use serde_json::{Value, json};
use service::settings::{Followed, Settings};

async fn checks(world: &World) -> (u16, Value) {
    let (status, answer) = told(world.gateway.get("/health")).await;
    (status, answer["checks"].clone())
}

#[tokio::test]
async fn a_source_is_well_while_its_secret_can_be_read_and_a_worker_of_its_pool_lives() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("webhook");
    let secret = "the-secret-of-the-webhook-of-these-tests\n";
    std::fs::write(&file, secret).unwrap();
    let path = file.clone();
    let world = World::with(move |settings: &mut Settings| {
        let of = Followed {
            id: "platform".into(),
            repository: "https://git.example/acme/infra.git".into(),
            secrets_file: Some(path),
            ..Followed::default()
        };
        settings.sources = vec![of];
    })
    .await;
    let (status, found) = checks(&world).await;
    assert_eq!((status, &found["git_repo_url"], &found["webhook_secret"]), (503, &json!(true), &json!(true)), "{found}");
    assert_eq!(found["git_workspace"], json!(false), "nobody could check anything out");
    assert_eq!(told(world.gateway.get("/readyz")).await.0, 200, "that is nothing that keeps a gateway from taking requests");
    let heartbeat: proto::message::Heartbeat = serde_json::from_value(json!({
        "worker": seat().worker, "pool": seat().pool, "at": jiff::Timestamp::now(), "started_at": jiff::Timestamp::now(), "version": "1",
        "slots": 1, "running": [], "draining": false, "tools": []
    }))
    .unwrap();
    world.store.bus.fleet().beat(&heartbeat).await.unwrap();
    until(async || checks(&world).await.0 == 200).await;
    std::fs::write(&file, "short\n").unwrap();
    until(async || checks(&world).await.1["webhook_secret"] == json!(false)).await;
    assert_eq!(checks(&world).await.0, 503);
    let without = World::start().await;
    let (status, found) = checks(&without).await;
    assert_eq!((status, found.get("git_repo_url")), (200, None), "a fleet without sources needs none of it");
}
