//! What an apply does with a plan: exactly that plan, on any worker, or nothing.

use crate::plain::Plain;
use crate::servers::{Answers, StateServer};
use crate::site::{Site, artifact};
use serde_json::{Value, json};
use std::fs;
use worker::terraform::{NoLeave, PluginCache, Unfinished, state_serial};

const CONFIG: &str = r#"
terraform {
  backend "http" {}
}
variable "password" {
  type      = string
  sensitive = true
  default   = "hunter2hunter2"
}
resource "terraform_data" "one" {
  input = "first"
}
output "one" {
  value = terraform_data.one.output
}
output "password" {
  value     = var.password
  sensitive = true
}
"#;

async fn site(server: &StateServer, state: &str) -> Site {
    Site::new(&[("main.tf", CONFIG)]).await.with_backend(server.backend(state))
}

fn kind(unfinished: Unfinished) -> String {
    match unfinished {
        Unfinished::Failed(failure) => failure.kind,
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn another_worker_applies_exactly_the_plan() {
    let server = StateServer::start();
    let planned = site(&server, "two-workers").await.plan(&mut Plain::new(&[])).await.expect("planned");
    let (second, mut commands) = (site(&server, "two-workers").await, Plain::new(&[]));
    let result = second.apply(&mut commands, &planned).await.expect("applied");
    let outputs: Value = serde_json::from_str(&result.outputs).expect("JSON");
    assert_eq!(outputs["one"], json!({"sensitive": false, "type": "string", "value": "first"}));
    assert_eq!(outputs["password"], json!({"sensitive": true, "type": "string", "value": "(sensitive)"}));
    assert_eq!(result.serial_before, Some(0));
    assert_eq!(commands.phases, ["init", "apply"]);
    assert_eq!(commands.ran(), ["init", "apply", "output"]);
    assert_eq!(commands.commands.iter().map(|command| command.effects).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(commands.asked_for_leave, 1);
    for line in [&format!("» Running {} apply...", second.name()), "» Retrieving outputs...", "» Deployment completed successfully!"] {
        assert!(commands.log.contains(line), "{}", commands.log);
    }
    assert!(!commands.log.contains("hunter2hunter2"), "{}", commands.log);

    let again = site(&server, "two-workers").await.plan(&mut Plain::new(&[])).await.expect("planned");
    assert!(again.summary.is_empty(), "{:?}", again.summary);
    assert!(state_serial(&again.bundle).is_some_and(|serial| serial > 0));
}

#[tokio::test]
async fn without_leave_nothing_is_changed() {
    let server = StateServer::start();
    let planned = site(&server, "no-leave").await.plan(&mut Plain::new(&[])).await.expect("planned");
    let mut commands = Plain::new(&[]);
    commands.leave = Err(NoLeave { reason: "cancelled".to_owned() });
    let end = site(&server, "no-leave").await.apply(&mut commands, &planned).await.expect_err("no leave");
    assert!(matches!(end, Unfinished::NotStarted { reason } if reason == "cancelled"));
    assert_eq!(commands.ran(), ["init"]);
    // The plan still fits: nothing was done.
    site(&server, "no-leave").await.apply(&mut Plain::new(&[]), &planned).await.expect("applied");
}

#[tokio::test]
async fn a_plan_for_an_older_state_is_stale() {
    let server = StateServer::start();
    let first = site(&server, "stale").await.plan(&mut Plain::new(&[])).await.expect("planned");
    let second = site(&server, "stale").await.plan(&mut Plain::new(&[])).await.expect("planned");
    site(&server, "stale").await.apply(&mut Plain::new(&[]), &first).await.expect("applied");
    let end = site(&server, "stale").await.apply(&mut Plain::new(&[]), &second).await.expect_err("stale");
    let Unfinished::Failed(failure) = end else { panic!("{end:?}") };
    assert_eq!((failure.kind.as_str(), failure.phase.as_str()), ("plan_stale", "apply"));
    assert!(failure.message.starts_with("Apply failed: Saved plan is stale"), "{}", failure.message);
}

#[tokio::test]
async fn whatever_differs_from_the_plan_is_refused_before_any_command() {
    let server = StateServer::start();
    let planned = site(&server, "differs").await.plan(&mut Plain::new(&[])).await.expect("planned");
    let good = artifact(&planned);
    let refused = async |site: Site, artifact: &proto::terraform::PlanArtifact, bundle: &[u8]| {
        let mut commands = Plain::new(&[]);
        let end = site.apply_as(&mut commands, artifact, bundle).await.expect_err("refused");
        assert_eq!((commands.ran(), commands.asked_for_leave), (vec![], 0), "{end:?}");
        kind(end)
    };

    let mut other_version = site(&server, "differs").await;
    other_version.tool.used.version = "99.0.0".to_owned();
    assert_eq!(refused(other_version, &good, &planned.bundle).await, "plan_stale");

    let mut other_commit = site(&server, "differs").await;
    other_commit.commit = "f".repeat(40).parse().expect("a commit");
    assert_eq!(refused(other_commit, &good, &planned.bundle).await, "plan_stale");

    let mut other_workspace = site(&server, "differs").await;
    other_workspace.spec.workspace = "stage".to_owned();
    assert_eq!(refused(other_workspace, &good, &planned.bundle).await, "plan_stale");

    let mut other_wish = site(&server, "differs").await;
    other_wish.spec.destroy = true;
    assert_eq!(refused(other_wish, &good, &planned.bundle).await, "plan_stale");

    let mut other_digest = good.clone();
    other_digest.plan_sha256 = "0".repeat(64);
    assert_eq!(refused(site(&server, "differs").await, &other_digest, &planned.bundle).await, "plan_stale");

    let mut damaged = planned.bundle.clone();
    *damaged.last_mut().expect("bytes") ^= 1;
    assert_eq!(refused(site(&server, "differs").await, &good, &damaged).await, "plan_stale");
}

#[tokio::test]
async fn destroy_removes_what_was_made() {
    let server = StateServer::start();
    let planned = site(&server, "destroy").await.plan(&mut Plain::new(&[])).await.expect("planned");
    site(&server, "destroy").await.apply(&mut Plain::new(&[]), &planned).await.expect("applied");
    let mut destroyer = site(&server, "destroy").await;
    destroyer.spec.destroy = true;
    let planned = destroyer.plan(&mut Plain::new(&[])).await.expect("planned");
    assert_eq!((planned.summary.adds, planned.summary.destroys), (0, 1));
    let (mut destroyer, mut commands) = (site(&server, "destroy").await, Plain::new(&[]));
    destroyer.spec.destroy = true;
    let result = destroyer.apply(&mut commands, &planned).await.expect("destroyed");
    assert_eq!(result.outputs, "");
    assert_eq!(commands.phases, ["init", "destroy"]);
    for line in [&format!("» Running {} destroy...", destroyer.name()), "» No outputs available", "1 destroyed"] {
        assert!(commands.log.contains(line), "{}", commands.log);
    }
}

#[tokio::test]
async fn a_workspace_is_made_by_the_plan_and_used_by_the_apply() {
    // The http backend knows no workspaces; a folder that both workers see does.
    let shared = tempfile::tempdir().expect("a folder");
    let backend = vec![
        ("path".to_owned(), shared.path().join("state").display().to_string()),
        ("workspace_dir".to_owned(), shared.path().display().to_string()),
    ];
    let site = async || {
        let config = CONFIG.replace("\"http\"", "\"local\"");
        let mut site = Site::new(&[("main.tf", config.as_str())]).await.with_backend(backend.clone());
        site.spec.workspace = "stage".to_owned();
        site.setup.local_state_dirs = vec![shared.path().to_owned()];
        site
    };
    let planned = site().await.plan(&mut Plain::new(&[])).await.expect("planned");
    let mut commands = Plain::new(&[]);
    site().await.apply(&mut commands, &planned).await.expect("applied");
    assert_eq!(commands.ran(), ["init", "workspace", "apply", "output"]);
    assert!(shared.path().join("stage/terraform.tfstate").exists(), "{}", commands.log);
    assert!(!shared.path().join("state").exists(), "the default workspace was not touched");
}

#[tokio::test]
async fn a_state_that_cannot_be_saved_is_kept_and_the_outcome_is_unclear() {
    let no_writes = Answers::start(|method, _| match method {
        "GET" => (204, String::new()),
        "POST" => (500, String::new()),
        _ => (200, String::new()),
    })
    .await;
    let mut backend: Vec<_> = ["address", "lock_address", "unlock_address"].map(|key| (key.to_owned(), no_writes.url.clone())).to_vec();
    backend.push(("retry_max".to_owned(), "0".to_owned()));
    let site = async || Site::new(&[("main.tf", CONFIG)]).await.with_backend(backend.clone());
    let planned = site().await.plan(&mut Plain::new(&[])).await.expect("planned");
    let second = site().await;
    let mut commands = Plain::new(&[]);
    let end = second.apply(&mut commands, &planned).await.expect_err("unclear");
    let Unfinished::Unclear(unclear) = end else { panic!("{end:?}") };
    let kept = unclear.errored_state.as_ref().expect("kept");
    let kept: Value = serde_json::from_slice(&fs::read(kept).expect("read")).expect("a state");
    assert_eq!(kept["resources"][0]["name"], "one");
    assert_eq!(unclear.evidence.serial_before, Some(0));
    assert!(unclear.evidence.seen.contains("could not save its state"), "{}", unclear.evidence.seen);
    assert_eq!(commands.ran(), ["init", "apply"], "nothing more is asked of the state");
}

#[tokio::test]
async fn a_tool_that_is_killed_in_its_apply_leaves_the_outcome_unclear() {
    let fake = "case $1 in apply) kill -9 $$;; show) echo '{\"format_version\":\"1.2\"}';; plan) for a; do case $a in -out=*) echo x > \"${a#-out=}\";; esac; done;; esac";
    let site = async || Site::new(&[("main.tf", "")]).await.with_fake(fake);
    let planned = site().await.plan(&mut Plain::new(&[])).await.expect("planned");
    let end = site().await.apply(&mut Plain::new(&[]), &planned).await.expect_err("unclear");
    let Unfinished::Unclear(unclear) = end else { panic!("{end:?}") };
    assert!(unclear.evidence.seen.contains("killed by signal 9"), "{}", unclear.evidence.seen);
    assert_eq!(unclear.errored_state, None);
}

#[tokio::test]
async fn the_plans_lock_file_stands_in_the_checkout_of_the_apply_and_cannot_change() {
    let server = StateServer::start();
    let lock = "# What the plan was made with.\n";
    let mut planner = site(&server, "lock-file").await;
    planner.spec.init_args = vec!["-upgrade".to_owned()];
    fs::write(planner.checkout.join(".terraform.lock.hcl"), lock).expect("written");
    let planned = planner.plan(&mut Plain::new(&[])).await.expect("planned");
    let (mut second, mut commands) = (site(&server, "lock-file").await, Plain::new(&[]));
    second.spec.init_args = vec!["-upgrade".to_owned()];
    second.apply(&mut commands, &planned).await.expect("applied");
    assert!(commands.commands[0].args.contains(&"-lockfile=readonly".to_owned()));
    assert!(!commands.commands[0].args.contains(&"-upgrade".to_owned()));
    assert_eq!(fs::read_to_string(second.checkout.join(".terraform.lock.hcl")).expect("there"), lock);
}

#[tokio::test]
async fn providers_go_through_the_cache_and_come_out_as_copies_that_the_tool_accepts() {
    let folder = tempfile::tempdir().expect("a folder");
    let mirror = folder.path().join("mirror");
    provider(&mirror.join("registry.example.com/acme/empty"));
    let operator = folder.path().join("operator.tfrc");
    fs::write(&operator, format!("provider_installation {{\n  filesystem_mirror {{\n    path = {mirror:?}\n  }}\n}}\n")).expect("written");
    let config = "terraform {\n  required_providers {\n    empty = { source = \"registry.example.com/acme/empty\" }\n  }\n}\n";
    let mut site = Site::new(&[("main.tf", config)]).await;
    site.setup.plugin_cache = Some(PluginCache::open(folder.path().join("cache"), std::time::Duration::from_mins(5)).expect("opened"));
    site.setup.cli_config = Some(operator);
    let mut commands = Plain::new(&[]);
    // The provider is no program: the plan gets as far as starting it, after its checksum was found to be right.
    let end = site.plan(&mut commands).await.expect_err("not a provider");
    assert!(
        matches!(&end, Unfinished::Failed(failure) if failure.phase == "plan" && failure.message.contains("failed to instantiate provider")),
        "{end:?}"
    );
    let package = std::path::Path::new("registry.example.com/acme/empty/1.0.0").join(platform());
    assert!(folder.path().join("cache").join(&package).is_dir(), "{}", commands.log);
    let own = site.checkout.join(".terraform/providers").join(&package);
    assert!(fs::symlink_metadata(&own).expect("there").is_dir(), "a copy, not a link");
    assert!(site.checkout.join(".terraform.lock.hcl").exists());
}

fn platform() -> String {
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}_{processor}", std::env::consts::OS)
}

/// A provider that is installed and never started.
fn provider(folder: &std::path::Path) {
    use std::io::Write as _;
    fs::create_dir_all(folder).expect("made");
    let file = fs::File::create(folder.join(format!("terraform-provider-empty_1.0.0_{}.zip", platform()))).expect("created");
    let mut zip = zip::ZipWriter::new(file);
    zip.start_file("terraform-provider-empty_v1.0.0", zip::write::SimpleFileOptions::default().unix_permissions(0o755)).expect("begun");
    zip.write_all(b"#!/bin/sh\nexit 1\n").expect("written");
    zip.finish().expect("finished");
}
