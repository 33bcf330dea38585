//! What is stored and deployed, and how it is seen that it is.

use crate::deployment::Deploying;
use crate::rig::{COMPOSE, ROLE, Rig, SECRET_ID, SHA, action, brought, count, failure, variable};
use proto::message::AttemptOutcome;
use proto::sync::SyncAction;
use serde_json::json;
use worker::sync::floor::Pressing;
use worker::sync::kept::DEPLOYED;

#[tokio::test]
async fn a_service_that_is_not_there_is_made_with_all_that_it_stands_in() {
    let rig = Rig::new().await;
    let outcome = rig.sync().await;
    assert_eq!(action(&outcome), SyncAction::Created);
    let operations = rig.operations();
    let changing: Vec<&str> = operations
        .iter()
        .map(String::as_str)
        .filter(|operation| !matches!(*operation, "project.all" | "compose.one" | "deployment.allByCompose"))
        .collect();
    let expected = ["project.create", "environment.create", "compose.create", "compose.update", "compose.deploy", "compose.update"];
    assert_eq!(changing, expected);
    let service = rig.dokploy.service();
    assert_eq!(
        (service.text("appName"), service.text("sourceType"), service.text("composeFile")),
        ("platform-redis-staging", "raw", COMPOSE)
    );
    assert_eq!(service.fields["autoDeploy"], json!(false), "nobody but us deploys it");
    let (env, identity) = (service.text("env"), brought(&outcome).hash.as_deref());
    for (name, value) in [
        ("ENV", Some("staging")),
        ("ENV_SUFFIX", Some("-staging")),
        ("INTERNAL_DOMAIN", Some("example.com")),
        ("DATA_PATH", Some("/data/platform/redis-staging")),
        ("IAC_DEPLOY_REF", Some(SHA)),
        ("IAC_CONFIG_HASH", identity),
        (DEPLOYED, identity),
    ] {
        assert_eq!(variable(env, name), value, "{name}");
    }
}

#[tokio::test]
async fn credentials_of_the_service_survive_and_other_leftovers_do_not() {
    let rig = Rig::with(&format!("# by hand\nOLD=1\n{ROLE}\n{SECRET_ID}\nIAC_CONFIG_HASH=000000000000\n")).await;
    assert_eq!(action(&rig.sync().await), SyncAction::Updated);
    let service = rig.dokploy.service();
    let lines: Vec<&str> = service.text("env").lines().collect();
    assert!(lines.contains(&ROLE) && lines.contains(&SECRET_ID) && !lines.iter().any(|line| line.contains("OLD")), "{lines:?}");
    assert_eq!((service.text("sourceType"), &service.fields["autoDeploy"]), ("raw", &json!(false)));
    assert_eq!(rig.dokploy.service().deployments.len(), 1);
}

#[tokio::test]
async fn a_new_domain_is_followed_by_one_more_deployment_and_one_that_is_there_by_none() {
    let mut rig = Rig::new().await;
    rig.target = json!({ "file": "compose.yaml", "domain": { "subdomain": "cache", "service": "redis", "port": 6379 } });
    assert_eq!(action(&rig.sync().await), SyncAction::Created);
    let operations = rig.operations();
    assert_eq!(
        (count(&operations, "domain.create"), count(&operations, "compose.deploy"), count(&operations, "compose.redeploy")),
        (1, 1, 1)
    );
    assert_eq!(rig.dokploy.service().domains, ["cache-staging.example.com"]);
    rig.force = true;
    rig.sync().await;
    let operations = rig.operations();
    assert_eq!(
        (count(&operations, "domain.create"), count(&operations, "compose.deploy"), count(&operations, "compose.redeploy")),
        (0, 1, 0)
    );
}

#[tokio::test]
async fn a_deployment_that_takes_long_is_waited_for() {
    let rig = Rig::new().await;
    rig.dokploy.state().deploying = Deploying::Done(200);
    assert_eq!(action(&rig.sync().await), SyncAction::Created);
}

#[tokio::test]
async fn a_dokploy_that_keeps_no_titles_is_understood() {
    let rig = Rig::with("").await;
    rig.dokploy.state().titles = false;
    assert_eq!(action(&rig.sync().await), SyncAction::Created);
}

#[tokio::test]
async fn a_dokploy_that_says_yes_and_does_nothing_is_not_believed() {
    let rig = Rig::with("").await;
    rig.dokploy.state().deploying = Deploying::Nothing;
    let outcome = rig.sync().await;
    assert_eq!(failure(&outcome).0, "deploy_not_effective", "{outcome:?}");
    assert_eq!(count(&rig.operations(), "compose.deploy"), 1, "and it is asked once");
}

#[tokio::test]
async fn an_identity_that_is_not_the_wanted_one_is_a_failure() {
    let rig = Rig::with("IAC_CONFIG_HASH=000000000000\n").await;
    rig.dokploy.state().lie = Some("IAC_CONFIG_HASH=000000000000".to_owned());
    let outcome = rig.sync().await;
    assert!(failure(&outcome).0 == "deploy_not_effective" && failure(&outcome).1.contains("identity"), "{outcome:?}");
    assert_eq!(variable(rig.dokploy.service().text("env"), DEPLOYED), None, "it is not noted as deployed");
}

#[tokio::test]
async fn a_deployment_that_failed_is_not_taken_for_one_the_next_time() {
    let rig = Rig::with("IAC_CONFIG_HASH=000000000000\n").await;
    rig.dokploy.state().deploying = Deploying::Fails;
    let outcome = rig.sync().await;
    assert!(failure(&outcome).0 == "deploy_failed" && failure(&outcome).1.contains("pull access denied for ***"), "{outcome:?}");
    // The wanted identity is stored by now, but nobody saw it deployed.
    rig.dokploy.state().deploying = Deploying::Done(1);
    assert_eq!(action(&rig.sync().await), SyncAction::Updated);
    assert_eq!(action(&rig.sync().await), SyncAction::Skipped);
}

#[tokio::test]
async fn a_deployment_cannot_be_called_back_and_whoever_does_not_wait_for_it_does_not_know() {
    for (pressing, known) in [
        (Pressing::Stop { timed_out: false }, true),
        (Pressing::Stop { timed_out: true }, false),
        (Pressing::Kill { timed_out: false }, false),
    ] {
        let mut rig = Rig::with("IAC_CONFIG_HASH=000000000000\n").await;
        rig.dokploy.state().deploying = Deploying::Done(50);
        rig.pressing_then = Some(pressing);
        let outcome = rig.sync().await;
        if known {
            assert_eq!(action(&outcome), SyncAction::Updated, "it is waited for its own end");
        } else {
            assert!(matches!(&outcome, AttemptOutcome::Unclear { evidence } if evidence.seen.contains("had to end")), "{outcome:?}");
        }
    }
}
