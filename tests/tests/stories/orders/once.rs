//! Each role is killed again and again while a graph of orders is run: each order is run once.

use super::{Ring, after, impatient, job, order};
use serde_json::Value;
use std::collections::BTreeMap;
use system_tests::{eventually, fleet::Wishes};

const ORDERS: usize = 30;
/// How many orders have been run when the next kill comes.
const KILLS: [usize; 4] = [2, 9, 16, 23];

/// Thirty orders, each after up to three that come before it. Always the same.
fn graph(ring: &Ring) -> Value {
    let effects = ring.path("effects");
    let mut chance = 20_240_229_u64;
    let mut draw = |below: usize| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) as usize % below
    };
    let orders: Vec<Value> = (0..ORDERS)
        .map(|n| {
            let needs: Vec<String> = (0..draw(4).min(n)).map(|_| format!("o{}", n - 1 - draw(n.min(8)))).collect();
            let mut needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            needs.sort_unstable();
            needs.dedup();
            // A moment before and after what is counted, for a kill to fall into.
            let command = format!("sleep 0.1; echo {n} >> '{}'; sleep 0.1", effects.display());
            let order = after(&needs, order(&format!("o{n}"), &command));
            // What is lost for good is noticed within the patience of a test.
            crate::with(order, serde_json::json!({"timeout": 20}))
        })
        .collect();
    job(&orders)
}

/// How often each order was run.
fn counted(ring: &Ring) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for line in ring.lines("effects") {
        *counted.entry(line).or_default() += 1;
    }
    counted
}

async fn killed(role: &str) -> anyhow::Result<()> {
    // What a scheduler dies with in its hands comes again after half a minute. An order whose worker has lost it is waited
    // for in vain.
    let slack = if role == "w1" { "1s" } else { "1m" };
    let wishes = impatient(Wishes::default()).set("NAVVY__SCHEDULER__WATCHDOG_SLACK", slack).set("NAVVY__WORKER__SLOTS", "4");
    let mut ring = Ring::start(wishes, &["w1", "w2"]).await?;
    let run = ring.submit(&graph(&ring)).await?;
    for kill in KILLS {
        eventually(&format!("{kill} orders to have been run, or the end"), || async {
            let over = ring.bus.views().get(run).await.is_ok_and(|view| view.is_some_and(|view| view.ended_at.is_some()));
            Ok((ring.lines("effects").len() >= kill || over).then_some(()))
        })
        .await?;
        if role == "nats" {
            ring.fleet.kill_nats()?;
            ring.fleet.start_nats().await?;
        } else {
            ring.fleet.kill(role)?;
            ring.fleet.start(role).await?;
        }
    }
    let ended = ring.ended(run).await?;
    let counted = counted(&ring);
    let jobs = ring.jobs(run).await?;
    assert_eq!(jobs.len(), ORDERS);
    for (n, job) in jobs.iter().enumerate() {
        let runs = counted.get(&n.to_string()).copied().unwrap_or(0);
        match job.status.as_str() {
            "succeeded" => assert_eq!(runs, 1, "{role}: {job:#?}"),
            // Killed between the word to start and the start, nobody can know whether it was run; it is not guessed.
            "timed_out" => assert!(role == "w1" && runs <= 1, "{role}: {job:#?}"),
            "failed" => assert_eq!((role, runs), ("w1", 0), "{job:#?}"),
            _ => panic!("{role}: {job:#?}"),
        }
    }
    let wanted = if jobs.iter().all(|job| job.status == "succeeded") { "success" } else { "timed_out" };
    assert_eq!(ended["status"], wanted, "{role}: {ended:#}");
    Ok(())
}

#[tokio::test]
async fn a_gateway_that_is_killed_again_and_again_costs_no_order_and_repeats_none() -> anyhow::Result<()> {
    killed("gateway").await
}

#[tokio::test]
async fn a_scheduler_that_is_killed_again_and_again_costs_no_order_and_repeats_none() -> anyhow::Result<()> {
    killed("scheduler").await
}

#[tokio::test]
async fn a_worker_that_is_killed_again_and_again_repeats_no_order() -> anyhow::Result<()> {
    killed("w1").await
}

#[tokio::test]
async fn a_nats_server_that_is_killed_again_and_again_costs_no_order_and_repeats_none() -> anyhow::Result<()> {
    killed("nats").await
}
