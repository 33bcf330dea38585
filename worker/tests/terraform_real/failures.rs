//! How failures are told: the words that users know, the phase, the kind, and what to do.

use crate::plain::Plain;
use crate::servers::{Answers, StateServer};
use crate::site::Site;
use proto::message::Failure;
use worker::terraform::Unfinished;

fn failure(unfinished: Unfinished) -> Failure {
    match unfinished {
        Unfinished::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

async fn planning(config: &str) -> Failure {
    let site = Site::new(&[("main.tf", config)]).await;
    failure(site.plan(&mut Plain::new(&[])).await.expect_err("failed"))
}

#[tokio::test]
async fn each_step_fails_in_its_own_words() {
    // terraform reads the one, tofu the other.
    let too_new = "terraform {\n  required_version = \"> 99\"\n}";
    let site = Site::new(&[("main.tf", too_new), ("versions.tofu", too_new)]).await;
    let too_new = failure(site.plan(&mut Plain::new(&[])).await.expect_err("failed"));
    assert_eq!((too_new.kind.as_str(), too_new.phase.as_str()), ("tool_version", "init"), "{}", too_new.message);
    assert!(too_new.message.starts_with("Init failed: "), "{}", too_new.message);

    let syntax = planning("resource {").await;
    assert_eq!((syntax.kind.as_str(), syntax.phase.as_str()), ("init", "init"));
    assert!(syntax.message.starts_with("Init failed: ") && syntax.message.contains("main.tf line 1"), "{}", syntax.message);

    let missing_file = planning("output \"x\" {\n  value = file(\"nowhere\")\n}").await;
    assert_eq!((missing_file.kind.as_str(), missing_file.phase.as_str()), ("plan", "plan"));
    assert!(missing_file.message.starts_with("Plan failed: Invalid function argument"), "{}", missing_file.message);
    assert!(!missing_file.message.contains("\n│") && !missing_file.message.contains('\u{1b}') && !missing_file.next_action.is_empty());

    // Nobody is asked: with a terminal and `-input` it would wait until the time limit.
    let variable = planning("variable \"name\" {}\noutput \"x\" {\n  value = var.name\n}").await;
    assert_eq!((variable.kind.as_str(), variable.phase.as_str()), ("missing_variable", "plan"));
    assert!(variable.message.contains("\"name\""), "{}", variable.message);
}

#[tokio::test]
async fn an_apply_that_fails_says_why() {
    let server = StateServer::start();
    let config = "terraform {\n  backend \"http\" {}\n}\nresource \"terraform_data\" \"x\" {\n  input = \"a\"\n  lifecycle {\n    postcondition {\n      condition     = self.output == \"b\"\n      error_message = \"It must be b.\"\n    }\n  }\n}\n";
    let site = async || Site::new(&[("main.tf", config)]).await.with_backend(server.backend("fails"));
    let planned = site().await.plan(&mut Plain::new(&[])).await.expect("planned");
    let told = failure(site().await.apply(&mut Plain::new(&[]), &planned).await.expect_err("failed"));
    assert_eq!((told.kind.as_str(), told.phase.as_str()), ("apply", "apply"));
    assert!(
        told.message.starts_with("Apply failed: Resource postcondition failed") && told.message.contains("It must be b."),
        "{}",
        told.message
    );
}

#[tokio::test]
async fn a_held_state_lock_names_its_holder() {
    let server = StateServer::start();
    let backend = server.backend("held");
    let lock = r#"{"ID":"11111111-2222-3333-4444-555555555555","Operation":"OperationTypeApply","Info":"","Who":"somebody@else","Version":"1.11.4","Created":"2026-01-01T00:00:00Z","Path":""}"#;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let method = reqwest::Method::from_bytes(b"LOCK").expect("a method");
    let locked = client.request(method, backend[0].1.as_str()).body(lock).send().await.expect("answered");
    assert!(locked.status().is_success());
    let site = Site::new(&[("main.tf", "terraform {\n  backend \"http\" {}\n}")]).await.with_backend(backend);
    let told = failure(site.plan(&mut Plain::new(&[])).await.expect_err("locked"));
    assert_eq!((told.kind.as_str(), told.phase.as_str()), ("state_locked", "plan"));
    assert!(told.message.contains("11111111-2222-3333-4444-555555555555"), "{}", told.message);
}

#[tokio::test]
async fn a_backend_that_wants_a_login_is_told_as_such() {
    let closed = Answers::start(|_, _| (401, String::new())).await;
    let site = Site::new(&[("main.tf", "terraform {\n  backend \"http\" {}\n}")]).await;
    let site = site.with_backend(vec![("address".to_owned(), closed.url.clone())]);
    let told = failure(site.plan(&mut Plain::new(&[])).await.expect_err("refused"));
    assert_eq!(told.kind, "backend_auth", "{}", told.message);
}

#[tokio::test]
async fn a_backend_setting_is_only_a_setting() {
    let mut site = Site::new(&[("main.tf", "terraform {\n  backend \"http\" {}\n}")]).await;
    site.spec.backend_config.insert("address = \"x\"\nother".to_owned(), "y".to_owned());
    assert_eq!(failure(site.plan(&mut Plain::new(&[])).await.expect_err("refused")).kind, "backend");
}

#[tokio::test]
async fn a_secret_in_an_error_is_masked() {
    let secret = "hunter2hunter2";
    let site = Site::new(&[("main.tf", "variable \"x\" {}\noutput \"x\" {\n  value = file(\"/nowhere/${var.x}\")\n}")])
        .await
        .with_env("TF_VAR_x", secret);
    let mut commands = Plain::new(&[secret]);
    let told = failure(site.plan(&mut commands).await.expect_err("failed"));
    assert!(told.message.contains("/nowhere/***") && !told.message.contains(secret), "{}", told.message);
}

#[tokio::test]
async fn a_tool_that_is_not_there_or_is_killed_is_told() {
    let mut site = Site::new(&[("main.tf", "")]).await;
    site.tool.program = "/nowhere/terraform".into();
    assert_eq!(failure(site.plan(&mut Plain::new(&[])).await.expect_err("failed")).kind, "tool_broken");
    let site = Site::new(&[("main.tf", "")]).await.with_fake("kill -9 $$");
    let told = failure(site.plan(&mut Plain::new(&[])).await.expect_err("failed"));
    assert_eq!((told.kind.as_str(), told.phase.as_str()), ("killed", "init"));
}

#[tokio::test]
async fn a_local_backend_writes_into_the_checkout_or_into_a_listed_folder() {
    let outside = tempfile::tempdir().expect("a folder");
    let (absolute, folder) = (outside.path().join("x.tfstate").display().to_string(), outside.path().display().to_string());
    let config = "terraform {\n  backend \"local\" {}\n}\nresource \"terraform_data\" \"x\" {}\n";
    for (key, value, allowed) in [
        ("path", absolute.as_str(), false),
        ("path", "../../../../x.tfstate", false),
        ("path", "missing/../../../x.tfstate", false),
        ("path", "../link/x.tfstate", false),
        ("workspace_dir", folder.as_str(), false),
        ("path", "state/x.tfstate", true),
        ("path", "../state/x.tfstate", true),
    ] {
        let mut site = Site::new(&[("net/main.tf", config)]).await.with_backend(vec![(key.to_owned(), value.to_owned())]);
        site.spec.path = "net".parse().expect("a path");
        std::os::unix::fs::symlink(outside.path(), site.checkout.join("link")).expect("linked");
        let mut commands = Plain::new(&[]);
        let planned = site.plan(&mut commands).await;
        if allowed {
            assert!(planned.is_ok(), "{value}: {planned:?}");
            continue;
        }
        let told = failure(planned.expect_err("refused"));
        assert_eq!(
            (told.kind.as_str(), told.phase.as_str(), commands.ran()),
            ("backend", "init", vec!["init"]),
            "{value}: {}",
            told.message
        );
        assert!(told.message.contains(value) && told.next_action.contains("worker.local_state_dirs"), "{}", told.message);
    }
    assert_eq!(std::fs::read_dir(outside.path()).expect("listed").count(), 0, "nothing was written");
}
