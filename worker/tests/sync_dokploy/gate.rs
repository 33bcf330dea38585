//! Whether something is deployed at all.

use crate::rig::{Rig, action, brought, count, failure};
use crate::stand_in::Fault;
use proto::message::AttemptOutcome;
use proto::sync::SyncAction;
use worker::sync::floor::Pressing;

#[tokio::test]
async fn an_equal_old_hash_of_either_kind_deploys_nothing_and_is_replaced_by_ours() {
    for hash in ["43e65c10865d", "564d81fed17c", "\"564d81fed17c\""] {
        let rig = Rig::with(&format!("ENV=staging\nOWN='x y'\nIAC_CONFIG_HASH={hash}\n")).await;
        let outcome = rig.sync().await;
        let result = brought(&outcome);
        assert!(result.action == SyncAction::Skipped && result.details.contains("old hash"), "{result:?}");
        // The list has no variables: without reading the service itself every sync would deploy.
        assert_eq!(rig.operations(), ["project.all", "compose.one", "compose.update"]);
        let (service, ours) = (rig.dokploy.service(), result.hash.clone().expect("an identity"));
        assert_eq!(service.text("env"), format!("ENV=staging\nOWN='x y'\nIAC_CONFIG_HASH={ours}\nNAVVY_DEPLOYED_HASH={ours}\n"));
        assert!(ours.starts_with("v2:") && service.text("sourceType") == "github" && service.deployments.is_empty());
        assert_eq!(action(&rig.sync().await), SyncAction::Skipped);
        assert_eq!((rig.operations(), rig.words()), (vec!["project.all".to_owned(), "compose.one".to_owned()], 0));
    }
}

#[tokio::test]
async fn an_old_hash_that_cannot_be_replaced_is_left_alone_all_the_same() {
    let mut rig = Rig::with("IAC_CONFIG_HASH=43e65c10865d\n").await;
    rig.dokploy.fails("compose.update", &[Fault::Status(502); 3]);
    assert_eq!(action(&rig.sync().await), SyncAction::Skipped);
    rig.refusal = Some("no".to_owned());
    assert_eq!(action(&rig.sync().await), SyncAction::Skipped);
    assert_eq!(rig.dokploy.service().text("env"), "IAC_CONFIG_HASH=43e65c10865d\n");
}

#[tokio::test]
async fn another_hash_or_none_is_deployed() {
    for (env, expected) in [
        ("IAC_CONFIG_HASH=000000000000\n", SyncAction::Updated),
        ("IAC_CONFIG_HASH=what is this\n", SyncAction::Updated),
        ("ENV=staging\n", SyncAction::Created),
        ("", SyncAction::Created),
    ] {
        let rig = Rig::with(env).await;
        assert_eq!(action(&rig.sync().await), expected, "{env}");
        assert_eq!((count(&rig.operations(), "compose.deploy"), rig.words()), (1, 1));
    }
}

#[tokio::test]
async fn what_was_deployed_and_seen_is_left_alone_and_a_change_is_not() {
    let mut rig = Rig::with("IAC_CONFIG_HASH=000000000000\n").await;
    let first = rig.sync().await;
    let identity = brought(&first).hash.clone();
    let second = rig.sync().await;
    assert_eq!((action(&second), &brought(&second).hash), (SyncAction::Skipped, &identity));
    assert_eq!(rig.words(), 0);
    rig.compose = rig.compose.replace("redis:7", "redis:8");
    let third = rig.sync().await;
    assert!(action(&third) == SyncAction::Updated && brought(&third).hash != identity);
}

#[tokio::test]
async fn what_is_forced_is_deployed_although_it_is_equal() {
    let mut rig = Rig::with("IAC_CONFIG_HASH=43e65c10865d\n").await;
    rig.force = true;
    let outcome = rig.sync().await;
    assert!(brought(&outcome).details.contains("forced") && action(&outcome) == SyncAction::Updated);
    assert_eq!(count(&rig.operations(), "compose.deploy"), 1);
}

#[tokio::test]
async fn nothing_is_changed_without_the_last_word() {
    let mut rig = Rig::with("").await;
    rig.refusal = Some("the run was cancelled".to_owned());
    assert_eq!(rig.sync().await, AttemptOutcome::NotStarted { reason: "the run was cancelled".to_owned() });
    assert_eq!(rig.operations(), ["project.all", "compose.one"]);
    rig.pressing = Pressing::Stop { timed_out: false };
    assert_eq!(rig.sync().await, AttemptOutcome::Stopped { clean: true, timed_out: false });
    assert_eq!(rig.words(), 0, "what is to stop asks for nothing");
}

#[tokio::test]
async fn a_service_that_dokploy_could_not_deploy_as_it_is_is_refused() {
    let mut rig = Rig::with("").await;
    rig.compose = "services:\n  redis:\n    image: redis:7\n    volumes: ['./redis.conf:/redis.conf']\n".to_owned();
    rig.files = vec![("platform/02.redis/redis.conf", "x")];
    let outcome = rig.sync().await;
    assert!(failure(&outcome).0 == "service" && failure(&outcome).1.contains("platform/02.redis/redis.conf"), "{outcome:?}");
    assert_eq!(rig.operations(), [] as [String; 0]);
}

#[tokio::test]
async fn a_service_with_an_app_role_is_not_deployed_without_it() {
    let mut rig = Rig::with("VAULT_ROLE_ID=r\n").await;
    rig.compose = "services:\n  redis:\n    image: redis:7\n    environment:\n      VAULT_ROLE_ID: ${VAULT_ROLE_ID}\n".to_owned();
    let outcome = rig.sync().await;
    assert!(failure(&outcome).0 == "missing_environment" && failure(&outcome).1.contains("VAULT_SECRET_ID"), "{outcome:?}");
    assert_eq!((count(&rig.operations(), "compose.update"), rig.words()), (0, 0));
}

#[tokio::test]
async fn two_of_the_same_name_are_not_guessed_at() {
    let rig = Rig::with("").await;
    rig.dokploy.has("platform", "staging", "redis", &serde_json::json!({}));
    let outcome = rig.sync().await;
    assert!(failure(&outcome).0 == "dokploy_ambiguous" && failure(&outcome).1.contains("2 compose services"), "{outcome:?}");
    assert_eq!(rig.words(), 0);
}

#[tokio::test]
async fn a_secret_without_a_vault_fails_before_anything_is_touched() {
    let mut rig = Rig::with("").await;
    rig.target = serde_json::json!({ "file": "compose.yaml", "secret": { "path": "{project}/{env}/{service}", "keys": ["PASSWORD"] } });
    let outcome = rig.sync().await;
    assert!(failure(&outcome).1.contains("platform/staging/redis") && failure(&outcome).1.contains("not set up Vault"), "{outcome:?}");
    assert_eq!((rig.words(), rig.operations().len()), (0, 0));
}
