//! What an author of a hostile repository, or a caller with a small key, gets out of the fleet.

use crate::{request, with, world};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeMap, os::unix::fs::symlink, process::Stdio};
use system_tests::{PATIENCE, client::Client, eventually, fleet::Fleet};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    task::JoinSet,
};

const SECRET: &str = "canary-7d1e04-names-a-thing";
const ONE: &str = "resource \"terraform_data\" \"one\" { input = 1 }\n";

/// The run's status once it has ended, however it did.
async fn ended(fleet: &Fleet, id: &str) -> anyhow::Result<Value> {
    eventually(&format!("run {id} to end"), || async {
        let status = fleet.client.status(id).await?;
        Ok((!status["ended_at"].is_null()).then_some(status))
    })
    .await
}

/// Where a second run of the same directory stands: `lock` when it waits in line, else the status it came to.
async fn stands(fleet: &Fleet, id: &str) -> anyhow::Result<String> {
    eventually(&format!("run {id} to wait, to stop or to end"), || async {
        let status = fleet.client.status(id).await?;
        if status["waiting_for"]["for"] == "lock" {
            return Ok(Some("lock".to_owned()));
        }
        let word = status["status"].as_str().unwrap_or_default();
        Ok((word != "running").then(|| word.to_owned()))
    })
    .await
}

#[tokio::test]
async fn a_secret_that_names_an_attribute_is_masked_in_the_type_of_an_output() -> anyhow::Result<()> {
    let named = "variable \"secret\" {}\noutput \"open\" { value = { (var.secret) = 1 } }\n\
                 output \"closed\" {\n  sensitive = true\n  value = { (var.secret) = 1 }\n}\n";
    let (_git, repo, fleet) = world(&[("main.tf", named)]).await?;
    let body = with(request(&repo), json!({"auto_approve": true, "env_vars": {"TF_VAR_secret": SECRET}}));
    let id = fleet.client.deploy(&body).await?;
    let status = fleet.client.wait_for(&id, "success").await?;
    let outputs: Value = serde_json::from_str(status["apply_output"].as_str().unwrap_or_default())?;
    assert_eq!(outputs["closed"]["value"], "(sensitive)");
    assert!(!status.to_string().contains(SECRET), "{outputs:#}");
    Ok(())
}

#[tokio::test]
async fn an_escaped_address_of_one_repository_waits_for_the_same_lock() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(&[("main.tf", ONE)]).await?;
    let first = fleet.client.deploy(&request(&repo)).await?;
    fleet.client.wait_for(&first, "awaiting_approval").await?;
    let escaped = repo.url.replace("/infra", "/%69nfra");
    let (status, answer) = fleet.client.call(Method::POST, "/deploy", Some(&with(request(&repo), json!({"git_url": escaped})))).await?;
    if status == StatusCode::BAD_REQUEST {
        assert_eq!(answer["field"], "git_url", "{answer}");
        return Ok(());
    }
    let second = answer["deployment_id"].as_str().unwrap_or_default();
    assert_eq!(stands(&fleet, second).await?, "lock", "two runs work on one directory: {first} and {second}");
    Ok(())
}

#[tokio::test]
async fn a_link_to_a_directory_is_no_second_directory() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(&[("real/main.tf", ONE)]).await?;
    symlink("real", repo.work().join("link"))?;
    repo.commit(&[])?;
    let first = fleet.client.deploy(&with(request(&repo), json!({"path": "real"}))).await?;
    fleet.client.wait_for(&first, "awaiting_approval").await?;
    let second = fleet.client.deploy(&with(request(&repo), json!({"path": "link"}))).await?;
    let stands = stands(&fleet, &second).await?;
    assert!(["lock", "failed"].contains(&stands.as_str()), "two runs work on one directory, the second one is {stands}");
    Ok(())
}

#[tokio::test]
async fn files_that_the_tool_reads_by_itself_do_not_lead_out_of_the_checkout() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(&[("main.tf", ONE)]).await?;
    let outside = fleet.dir.path().join("outside");
    std::fs::write(&outside, SECRET)?;
    for name in ["linked.auto.tfvars", "linked.tf"] {
        symlink(&outside, repo.work().join(name))?;
        repo.commit(&[])?;
        let id = fleet.client.deploy(&request(&repo)).await?;
        let status = ended(&fleet, &id).await?;
        assert!(!status["error"].as_str().unwrap_or_default().contains(SECRET), "{name}: {}", status["error"]);
        std::fs::remove_file(repo.work().join(name))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_repository_cannot_become_the_settings_of_git() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(&[("main.tf", ONE)]).await?;
    for name in ["XDG_CONFIG_HOME", "xdg_config_home"] {
        let body = with(request(&repo), json!({"env_vars": {name: "."}}));
        let (status, answer) = fleet.client.call(Method::POST, "/deploy", Some(&body)).await?;
        assert_eq!((status, answer["field"].as_str()), (StatusCode::BAD_REQUEST, Some("env_vars")), "{name}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn of_approve_reject_and_cancel_at_once_the_answers_fit_the_end() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(&[("main.tf", ONE)]).await?;
    for round in 0..3 {
        let id = fleet.client.deploy(&request(&repo)).await?;
        fleet.client.wait_for(&id, "awaiting_approval").await?;
        let mut asked = JoinSet::new();
        for n in 0..12 {
            let verb = ["approve", "reject", "cancel"][n % 3];
            let client = fleet.client.clone();
            let id = id.clone();
            asked.spawn(async move { client.say(&id, verb, &json!({})).await.map(|(status, _)| (verb, status)) });
        }
        let mut granted = BTreeMap::from([("approve", 0), ("reject", 0), ("cancel", 0)]);
        while let Some(answer) = asked.join_next().await {
            let (verb, status) = answer??;
            assert!([StatusCode::OK, StatusCode::CONFLICT].contains(&status), "{verb}: {status}");
            *granted.entry(verb).or_default() += usize::from(status == StatusCode::OK);
        }
        let status = ended(&fleet, &id).await?;
        let decided = status["approval"]["state"].as_str().unwrap_or_default();
        assert!(granted["approve"] == 0 || granted["reject"] == 0, "round {round}: {granted:?}");
        assert_eq!(granted["approve"] > 0, decided == "approved", "round {round}: {granted:?} {status:#}");
        assert_eq!(granted["reject"] > 0, decided == "rejected", "round {round}: {granted:?} {status:#}");
        assert!(granted["cancel"] == 0 || ["cancelled", "success"].contains(&status["status"].as_str().unwrap_or_default()), "{status:#}");
    }
    Ok(())
}

#[tokio::test]
async fn of_many_requests_with_one_key_one_becomes_a_run() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(&[("main.tf", ONE)]).await?;
    let mut asked = JoinSet::new();
    for n in 0..20 {
        let (client, body) = (fleet.client.clone(), with(request(&repo), json!({"path": format!("nowhere-{}", n % 2)})));
        asked.spawn(async move { client.deploy_once("one-key", &body).await.map(|(status, answer)| (n % 2, status, answer)) });
    }
    let mut runs = BTreeMap::new();
    while let Some(answer) = asked.join_next().await {
        let (body, status, answer) = answer??;
        assert!([StatusCode::ACCEPTED, StatusCode::UNPROCESSABLE_ENTITY].contains(&status), "{status} {answer}");
        if status == StatusCode::ACCEPTED {
            *runs.entry((body, answer["deployment_id"].to_string())).or_insert(0) += 1;
        }
    }
    assert_eq!(runs.values().copied().collect::<Vec<_>>(), [10], "one body, one run, all of its twins: {runs:?}");
    Ok(())
}

#[tokio::test]
async fn what_a_job_leaves_running_ends_with_it() -> anyhow::Result<()> {
    // The name of the process is this test's own, so that no other is taken for it.
    let stray = "navvy-test-stray-5c81";
    let leaves = format!(
        "resource \"terraform_data\" \"stray\" {{\n  provisioner \"local-exec\" {{\n    interpreter = [\"/bin/bash\", \"-c\"]\n    \
         command     = \"setsid bash -c 'exec -a {stray} sleep 600' </dev/null >/dev/null 2>&1 & echo left\"\n  }}\n}}\n"
    );
    let (_git, repo, fleet) = world(&[("main.tf", &leaves)]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    fleet.client.wait_for(&id, "success").await?;
    let found = tokio::process::Command::new("pgrep").args(["-f", &format!("^{stray}")]).output().await?;
    assert!(found.stdout.is_empty(), "still there: {}", String::from_utf8_lossy(&found.stdout));
    Ok(())
}

#[tokio::test]
async fn output_that_looks_like_an_end_ends_nothing() -> anyhow::Result<()> {
    let forged = r#"resource "terraform_data" "forger" {
  provisioner "local-exec" {
    command = "printf '\\nApply complete! Resources: 9 added.\\n\\revent: end\\rdata: {\"status\":\"success\"}\\r\\r\\n\\n'; exit 3"
  }
}
"#;
    let (_git, repo, fleet) = world(&[("main.tf", forged)]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    let status = ended(&fleet, &id).await?;
    assert_eq!((status["status"].as_str(), status["failed_phase"].as_str()), (Some("failed"), Some("apply")), "{status:#}");
    let events = tokio::time::timeout(PATIENCE, fleet.client.events(&id, None, |_| false)).await??;
    let ends: Vec<_> = events.iter().filter(|event| event.name == "end").map(|event| event.data.as_str()).collect();
    assert_eq!(ends, [r#"{"status":"failed"}"#]);
    Ok(())
}

#[tokio::test]
async fn a_data_folder_may_be_named_from_the_working_directory() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(&[("main.tf", ONE)]).await?;
    let mut command = tokio::process::Command::from(fleet.navvy(&["up", "--listen", "127.0.0.1:0", "--data-dir", "./named-from-here"]));
    let mut second = command.current_dir(fleet.dir.path()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(second.stdout.take().expect("stdout is piped")).lines();
    let ready = tokio::time::timeout(PATIENCE, lines.next_line()).await??.unwrap_or_default();
    let address = ready.strip_prefix("navvy ready ").expect("it is ready");
    let client = Client::new(address, &fleet.client.token);
    let planned = async { client.wait_for(&client.deploy(&request(&repo)).await?, "awaiting_approval").await }.await;
    // Stopped gently first, whatever came out: killed, it would leave its nats-server behind.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(second.id().expect("it runs"))?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
    tokio::time::timeout(PATIENCE, second.wait()).await??;
    planned.map(|_| ())
}
