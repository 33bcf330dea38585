//! What operators see: metrics, health that probes for real, traces that reach the tool, and a gateway without NATS.

use crate::{HELLO, request, with, world};
use reqwest::{Method, StatusCode};
use serde_json::json;
use system_tests::{
    eventually,
    fleet::{Fleet, Wishes},
    git::GitServer,
};

#[tokio::test]
async fn a_deployment_is_counted_under_the_names_of_the_replaced_runner() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let good = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    fleet.client.wait_for(&good, "success").await?;
    let bad = fleet.client.deploy(&with(request(&repo), json!({"path": "nowhere"}))).await?;
    fleet.client.wait_for(&bad, "failed").await?;
    let metrics = fleet.client.send(Method::GET, "/metrics", None).await?.text().await?;
    for line in [
        "iac_runner_deployments_total{status=\"success\"} 1",
        "iac_runner_deployments_total{status=\"failed\"} 1",
        "iac_runner_deployments_total{status=\"cancelled\"} 0",
        "iac_runner_deployment_duration_seconds_count 2",
        "iac_runner_active_deployments 0",
        "navvy_attempts_total{action=\"terraform\",result=\"succeeded\"} 2",
        "navvy_attempts_total{action=\"terraform\",result=\"failed\"} 1",
    ] {
        assert!(metrics.lines().any(|have| have == line), "{line} is missing in\n{metrics}");
    }
    for name in [
        "navvy_queue_depth",
        "navvy_wait_to_start_seconds",
        "navvy_lock_wait_seconds",
        "navvy_redeliveries_total",
        "navvy_lease_losses_total",
    ] {
        assert!(metrics.contains(name), "{name} is missing");
    }
    assert!(!metrics.contains(&good) && !metrics.contains(&bad), "no run id in a label");
    Ok(())
}

/// Where a process serves its metrics and health, as its own log says.
async fn ops_url(fleet: &Fleet, name: &str) -> anyhow::Result<String> {
    eventually(&format!("{name} to say where it serves its metrics"), || async {
        let log = std::fs::read_to_string(fleet.log_path(name)).unwrap_or_default();
        let line = log.lines().find(|line| line.contains("metrics and health are served"));
        let address = line.and_then(|line| line.split("address=").nth(1)?.split_whitespace().next().map(str::to_owned));
        Ok(address.map(|address| format!("http://{address}")))
    })
    .await
}

#[tokio::test]
async fn a_scheduler_and_a_worker_serve_their_metrics_and_a_health_that_asks_nats() -> anyhow::Result<()> {
    let git = GitServer::start()?;
    let repo = git.repo("infra", HELLO)?;
    let wishes = Wishes::git(git.server.host()).set("NAVVY__OPS__LISTEN", "127.0.0.1:0");
    let fleet = Fleet::apart(wishes, &["w1"]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    fleet.client.wait_for(&id, "success").await?;
    let mut urls = Vec::new();
    for (role, line) in [("scheduler", "iac_runner_deployments_total{status=\"success\"} 1"), ("w1", "navvy_worker_slots 2")] {
        let url = ops_url(&fleet, role).await?;
        let metrics = reqwest::get(format!("{url}/metrics")).await?.text().await?;
        assert!(metrics.lines().any(|have| have == line), "{line} is missing in {role}'s\n{metrics}");
        assert!(!metrics.contains(&id), "no run id in a label");
        assert_eq!(reqwest::get(format!("{url}/readyz")).await?.status(), StatusCode::OK, "{role}");
        urls.push((role, url));
    }
    fleet.kill_nats()?;
    for (role, url) in urls {
        eventually(&format!("{role} not to be ready"), || async {
            let ready = reqwest::get(format!("{url}/readyz")).await?.status();
            Ok((ready == StatusCode::SERVICE_UNAVAILABLE).then_some(()))
        })
        .await?;
        assert_eq!(reqwest::get(format!("{url}/livez")).await?.status(), StatusCode::OK, "{role}");
    }
    Ok(())
}

#[tokio::test]
async fn a_callers_trace_reaches_the_tool() -> anyhow::Result<()> {
    let config = "resource \"terraform_data\" \"x\" {\n  provisioner \"local-exec\" {\n    command = \"echo trace=$TRACEPARENT\"\n  }\n}\n";
    let (_git, repo, fleet) = world(&[("main.tf", config)]).await?;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let response = reqwest::Client::new()
        .post(format!("{}/deploy", fleet.client.url))
        .bearer_auth(&fleet.client.token)
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .json(&with(request(&repo), json!({"auto_approve": true})))
        .send()
        .await?;
    let answer: serde_json::Value = response.json().await?;
    let id = answer["deployment_id"].as_str().expect("an id");
    fleet.client.wait_for(id, "success").await?;
    let log = fleet.client.log(id).await?.join("\n");
    assert!(log.contains(&format!("trace=00-{trace}-")), "{log}");
    Ok(())
}

#[tokio::test]
async fn without_nats_the_gateway_says_so_at_once_and_comes_back_with_it() -> anyhow::Result<()> {
    let git = GitServer::start()?;
    let repo = git.repo("infra", HELLO)?;
    let mut fleet = Fleet::apart(Wishes::git(git.server.host()), &["w1"]).await?;
    assert_eq!(fleet.client.send(Method::GET, "/readyz", None).await?.status(), StatusCode::OK);
    fleet.kill_nats()?;
    let response = fleet.client.send(Method::POST, "/deploy", Some(&request(&repo))).await?;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(fleet.client.send(Method::GET, "/readyz", None).await?.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(fleet.client.send(Method::GET, "/livez", None).await?.status(), StatusCode::OK, "restarting it would not help");
    fleet.start_nats().await?;
    let id = eventually("the gateway to accept again", || async { Ok(fleet.client.deploy(&request(&repo)).await.ok()) }).await?;
    fleet.client.wait_for(&id, "awaiting_approval").await?;
    Ok(())
}
