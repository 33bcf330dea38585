//! Which terraform: asked for, pinned by the repository, required by the code, or clearly not here.

use crate::{HELLO, request, with, world};
use serde_json::json;
use system_tests::eventually;

#[tokio::test]
async fn a_version_that_is_not_here_is_named_with_who_asked_for_it() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"tool_version": "1.99.7"}))).await?;
    let status = fleet.client.wait_for(&id, "failed").await?;
    assert!(status["error"].as_str().is_some_and(|error| error.contains("1.99.7")), "{status:#}");
    repo.commit(&[(".terraform-version", "1.98.3\n")])?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    let status = fleet.client.wait_for(&id, "failed").await?;
    assert!(status["error"].as_str().is_some_and(|error| error.contains("1.98.3") && error.contains(".terraform-version")), "{status:#}");
    Ok(())
}

#[tokio::test]
async fn a_tool_that_is_not_installed_is_said_to_be_missing() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let tools = eventually("the worker to say which tools it has", || async {
        let workers = fleet.client.get("/v1/workers").await?;
        Ok(workers["workers"][0]["tools"].as_array().map(|tools| serde_json::Value::from(tools.clone()).to_string()))
    })
    .await?;
    let has_tofu = tools.contains("tofu");
    let id = fleet.client.deploy(&with(request(&repo), json!({"tool": "tofu", "auto_approve": true}))).await?;
    // The same configuration runs with OpenTofu where it is installed, and is refused by name where it is not.
    if has_tofu {
        let status = fleet.client.wait_for(&id, "success").await?;
        assert!(status["plan_log"].as_str().is_some_and(|log| log.contains("OpenTofu")), "{status:#}");
    } else {
        let status = fleet.client.wait_for(&id, "failed").await?;
        assert!(status["error"].as_str().is_some_and(|error| error.contains("tofu")), "{status:#}");
    }
    Ok(())
}
