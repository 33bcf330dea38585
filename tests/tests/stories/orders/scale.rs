//! Many orders in one process: wide, and deep.

use super::{after, job, order};
use serde_json::{Value, json};
use system_tests::{
    PATIENCE,
    fleet::{Fleet, Wishes},
};

const WIDE: usize = 300;
const DEEP: usize = 60;

/// Waits until the run has succeeded; however long that takes, as long as it goes on.
async fn succeeds(fleet: &Fleet, id: &str, orders: usize) -> anyhow::Result<()> {
    let path = format!("/v1/runs/{id}");
    let mut before = Value::Null;
    loop {
        let changed = async {
            loop {
                let run = fleet.client.get(&path).await?;
                if run["orders"] != before || run["ended_at"].is_string() {
                    return anyhow::Ok(run);
                }
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        };
        let Ok(run) = tokio::time::timeout(PATIENCE, changed).await else { anyhow::bail!("run {id} stands still at {before}") };
        let run = run?;
        if run["ended_at"].is_string() {
            assert_eq!((&run["status"], &run["orders"]["succeeded"]), (&json!("success"), &json!(orders)), "{run:#}");
            return Ok(());
        }
        before = run["orders"].clone();
    }
}

#[tokio::test]
async fn hundreds_of_orders_beside_one_another_and_a_long_chain_all_succeed() -> anyhow::Result<()> {
    let fleet = Fleet::up(Wishes::default().set("NAVVY__WORKER__SLOTS", "8")).await?;
    let wide: Vec<Value> = (0..WIDE).map(|n| order(&format!("w{n}"), ":")).collect();
    let wide = fleet.client.submit(&crate::with(job(&wide), json!({"max_parallel": 64}))).await?;
    let deep: Vec<Value> = (0..DEEP)
        .map(|n| match n.checked_sub(1) {
            Some(before) => after(&[&format!("d{before}")], order(&format!("d{n}"), ":")),
            None => order("d0", ":"),
        })
        .collect();
    // The chain is not held up by the crowd.
    let deep = fleet.client.submit(&crate::with(job(&deep), json!({"priority": 9}))).await?;
    succeeds(&fleet, &deep, DEEP).await?;
    succeeds(&fleet, &wide, WIDE).await
}
