//! A Dokploy that is not well: what is asked again, what is given up, and what nobody knows.

use crate::rig::{COMPOSE, Rig, action, brought, count, failure};
use crate::stand_in::Fault;
use proto::message::AttemptOutcome;
use proto::sync::SyncAction;
use serde_json::json;
use std::time::Duration;

const BUSY: Fault = Fault::Status(502);

#[tokio::test]
async fn what_does_no_harm_twice_is_asked_twice_more() {
    for (operation, faults) in [
        ("project.all", [BUSY, Fault::Status(503)].as_slice()),
        ("project.all", &[Fault::Hangup, Fault::Status(504)]),
        ("compose.one", &[BUSY, BUSY]),
        ("deployment.allByCompose", &[Fault::Hangup]),
        ("compose.update", &[BUSY, Fault::AnswerLost]),
    ] {
        let rig = Rig::with("IAC_CONFIG_HASH=000000000000\n").await;
        rig.dokploy.fails(operation, faults);
        assert_eq!(action(&rig.sync().await), SyncAction::Updated, "{operation} {faults:?}");
        assert_eq!(rig.dokploy.service().deployments.len(), 1, "{operation}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_never_deployed_over() {
    for (operation, faults, asked) in [
        ("project.all", [BUSY, BUSY, BUSY].as_slice(), 3),
        ("compose.one", &[BUSY, BUSY, BUSY], 3),
        ("compose.one", &[Fault::Hangup, Fault::Hangup, Fault::Hangup], 3),
        ("compose.one", &[Fault::Status(500)], 1),
        ("project.all", &[Fault::Garbage], 1),
        ("project.all", &[Fault::CutShort], 1),
        ("compose.one", &[Fault::Garbage], 1),
    ] {
        let rig = Rig::with("IAC_CONFIG_HASH=000000000000\n").await;
        rig.dokploy.fails(operation, faults);
        let outcome = rig.sync().await;
        assert!(failure(&outcome).0 == "remote_unreadable" && failure(&outcome).1.contains("nothing is deployed"), "{outcome:?}");
        let operations = rig.operations();
        assert_eq!((count(&operations, operation), rig.words()), (asked, 0), "{operation}: {operations:?}");
    }
}

#[tokio::test]
async fn whoever_forces_it_deploys_without_looking_unless_credentials_would_be_lost() {
    let mut rig = Rig::with("IAC_CONFIG_HASH=000000000000\nVAULT_ROLE_ID=r\nVAULT_SECRET_ID=s\n").await;
    rig.force = true;
    rig.dokploy.fails("compose.one", &[BUSY; 3]);
    assert_eq!(action(&rig.sync().await), SyncAction::Created);
    rig.compose = "services:\n  redis:\n    image: redis:7\n    environment: ['VAULT_ROLE_ID']\n".to_owned();
    rig.dokploy.fails("compose.one", &[BUSY; 3]);
    assert_eq!(failure(&rig.sync().await).0, "missing_environment");
    rig.dokploy.fails("project.all", &[BUSY; 3]);
    assert_eq!(failure(&rig.sync().await).0, "remote_unreadable", "nobody knows which service it would be");
}

#[tokio::test]
async fn what_makes_something_is_asked_once() {
    for (operation, there) in [("project.create", false), ("environment.create", false), ("compose.create", false), ("domain.create", true)]
    {
        let mut rig = if there { Rig::with("").await } else { Rig::new().await };
        rig.target = json!({ "file": "compose.yaml", "domain": { "subdomain": "cache", "service": "redis", "port": 6379 } });
        rig.dokploy.fails(operation, &[BUSY]);
        let outcome = rig.sync().await;
        assert_eq!(failure(&outcome).0, "remote_unreadable", "{operation}: {outcome:?}");
        assert_eq!(count(&rig.operations(), operation), 1);
        // Everything that was made stays, and the next sync goes on from there.
        assert!(matches!(action(&rig.sync().await), SyncAction::Created | SyncAction::Updated), "{operation}");
    }
}

#[tokio::test]
async fn variables_that_cannot_be_stored_deploy_nothing() {
    let rig = Rig::with("IAC_CONFIG_HASH=000000000000\n").await;
    rig.dokploy.fails("compose.update", &[BUSY; 3]);
    let outcome = rig.sync().await;
    assert!(failure(&outcome).1.starts_with("nothing was deployed"), "{outcome:?}");
    let operations = rig.operations();
    assert_eq!((count(&operations, "compose.update"), count(&operations, "compose.deploy")), (3, 0));
}

#[tokio::test]
async fn a_lost_answer_to_a_deployment_is_settled_by_reading_back() {
    let rig = Rig::with("IAC_CONFIG_HASH=000000000000\n").await;
    rig.dokploy.fails("compose.deploy", &[Fault::AnswerLost]);
    assert_eq!(action(&rig.sync().await), SyncAction::Updated);
    assert_eq!((count(&rig.operations(), "compose.deploy"), rig.dokploy.service().deployments.len()), (1, 1));
}

#[tokio::test]
async fn a_deployment_that_may_or_may_not_have_begun_is_unclear_and_not_asked_for_again() {
    for fault in [BUSY, Fault::Hangup, Fault::Status(500), Fault::Garbage, Fault::SomebodyElse] {
        let rig = Rig::with("IAC_CONFIG_HASH=000000000000\n").await;
        rig.dokploy.fails("compose.deploy", &[fault]);
        let outcome = rig.sync().await;
        let AttemptOutcome::Unclear { evidence } = &outcome else { panic!("{fault:?}: {outcome:?}") };
        assert!(evidence.seen.contains("without an answer") && !evidence.check.is_empty(), "{evidence:?}");
        assert_eq!(count(&rig.operations(), "compose.deploy"), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_deployment_that_is_refused_was_none() {
    let rig = Rig::with("IAC_CONFIG_HASH=000000000000\n").await;
    rig.dokploy.fails("compose.deploy", &[Fault::Status(403)]);
    assert_eq!(failure(&rig.sync().await).0, "dokploy_auth_failed");
    rig.dokploy.fails("compose.deploy", &[Fault::Status(400)]);
    let outcome = rig.sync().await;
    assert!(failure(&outcome).0 == "dokploy_refused" && failure(&outcome).1.contains("out of order"), "{outcome:?}");
}

#[tokio::test]
async fn what_cannot_be_read_back_is_unclear() {
    let mut rig = Rig::with("IAC_CONFIG_HASH=000000000000\n").await;
    // Deployments are listed once before the deployment.
    for operation in ["compose.one", "deployment.allByCompose"] {
        rig.dokploy.fails_after(operation, 1, &[Fault::Status(500); 1000]);
        rig.compose = format!("{COMPOSE}# {operation}\n");
        let outcome = rig.sync().await;
        assert!(matches!(&outcome, AttemptOutcome::Unclear { evidence } if evidence.seen.contains("cannot be read")), "{outcome:?}");
        assert_eq!(count(&rig.operations(), "compose.deploy"), 1);
        rig.clock.passes(Duration::from_mins(10));
        rig.dokploy.fails(operation, &[]);
    }
}

#[tokio::test]
async fn a_wrong_key_is_said_and_does_not_open_the_breaker() {
    let mut rig = Rig::with("").await;
    rig.key = "another-key-c4nary";
    for _ in 0..10 {
        let outcome = rig.sync().await;
        assert_eq!(failure(&outcome).0, "dokploy_auth_failed", "{outcome:?}");
    }
    assert_eq!(rig.operations(), ["project.all"], "asked once in each sync");
}

#[tokio::test]
async fn after_five_failures_a_dokploy_is_left_alone_for_a_minute() {
    let rig = Rig::with("IAC_CONFIG_HASH=43e65c10865d\n").await;
    rig.dokploy.fails("project.all", &[BUSY; 6]);
    assert_eq!(failure(&rig.sync().await).0, "remote_unreadable");
    assert_eq!(rig.operations().len(), 3);
    assert_eq!(failure(&rig.sync().await).0, "remote_unreadable");
    assert_eq!(rig.operations().len(), 2, "the fifth failure opens it");
    let outcome = rig.sync().await;
    assert!(failure(&outcome).0 == "paused" && failure(&outcome).1.contains("is not asked"), "{outcome:?}");
    assert!(format!("{outcome:?}").contains("POST /sync"), "it says what to do: {outcome:?}");
    assert_eq!(rig.operations(), [] as [String; 0], "the API is not touched");
    assert_eq!(rig.words(), 0, "nothing has begun, so it is put off");
    rig.clock.passes(Duration::from_secs(61));
    assert_eq!(failure(&rig.sync().await).0, "remote_unreadable");
    assert_eq!(rig.operations().len(), 1, "one may try, and its failure closes the door again");
    rig.clock.passes(Duration::from_secs(61));
    let outcome = rig.sync().await;
    assert_eq!(brought(&outcome).action, SyncAction::Skipped);
}
