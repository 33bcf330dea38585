//! Two runs on one directory: the second stands in line, says so, and starts by itself.

use crate::{HELLO, request, with, world};
use serde_json::json;
use system_tests::eventually;

#[tokio::test]
async fn the_next_run_waits_in_line_and_starts_when_the_lock_is_free() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let first = fleet.client.deploy(&request(&repo)).await?;
    fleet.client.wait_for(&first, "awaiting_approval").await?;
    // Twins of one path share one lock.
    let second = fleet.client.deploy(&with(request(&repo), json!({"path": "./"}))).await?;
    let third = fleet.client.deploy(&request(&repo)).await?;
    let elsewhere = fleet.client.deploy(&with(request(&repo), json!({"workspace": "other"}))).await?;
    fleet.client.wait_for(&elsewhere, "awaiting_approval").await?;
    for (id, position) in [(&second, 1), (&third, 2)] {
        eventually(&format!("run {id} to be number {position} in line"), || async {
            let status = fleet.client.status(id).await?;
            let waiting = &status["waiting_for"];
            let placed = waiting["for"] == "lock" && waiting["position"] == position && waiting["held_by"] == first;
            assert_eq!((status["status"].as_str(), status["phase"].as_str()), (Some("running"), Some("initializing")));
            Ok(placed.then_some(()))
        })
        .await?;
    }
    let locks = fleet.client.get("/v1/locks").await?;
    let held = locks["locks"].as_array().expect("a list").iter().find(|lock| lock["holder"]["run"] == first).expect("the first holds it");
    assert_eq!(held["queue"].as_array().map(Vec::len), Some(2));

    fleet.client.approve(&first).await?;
    fleet.client.wait_for(&first, "success").await?;
    fleet.client.wait_for(&second, "awaiting_approval").await?;
    assert_eq!(fleet.client.status(&third).await?["waiting_for"]["position"], 1);
    // One who gives up leaves the line.
    fleet.client.say(&second, "reject", &json!({})).await?;
    fleet.client.wait_for(&third, "awaiting_approval").await?;
    Ok(())
}
