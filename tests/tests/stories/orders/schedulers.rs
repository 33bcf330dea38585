//! Schedulers that pause: a result that comes meanwhile is not lost, and what is decided twice is done once.

use super::{Ring, after, impatient, job, note, order, until};
use serde_json::Value;
use std::fs;
use system_tests::{eventually, fleet::Wishes};

#[tokio::test]
async fn a_result_that_comes_while_the_scheduler_pauses_is_heard_when_it_wakes() -> anyhow::Result<()> {
    let ring = Ring::start(Wishes::default(), &["w1"]).await?;
    let first = format!("{}; {}; {}", note(&ring.path("begun"), "begun"), until(&ring.path("go")), note(&ring.path("effects"), "first"));
    let run =
        ring.submit(&job(&[order("first", &first), after(&["first"], order("second", &note(&ring.path("effects"), "second")))])).await?;
    ring.written("begun").await?;
    ring.fleet.pause("scheduler")?;
    fs::write(ring.path("go"), "")?;
    ring.reported(run, 0, "w1").await?;
    assert_eq!(ring.lines("effects"), ["first"]);
    ring.fleet.wake("scheduler")?;
    assert_eq!(ring.ended(run).await?["status"], "success");
    assert_eq!(ring.lines("effects"), ["first", "second"]);
    Ok(())
}

#[tokio::test]
async fn of_two_schedulers_one_pauses_and_wakes_with_what_it_knew_and_nothing_is_done_twice() -> anyhow::Result<()> {
    let mut ring = Ring::start(impatient(Wishes::default()).set("NAVVY__WORKER__SLOTS", "4"), &["w1"]).await?;
    ring.fleet.start("scheduler-2").await?;
    let effects = ring.path("effects");
    let orders: Vec<Value> = (0..24)
        .map(|n: u32| {
            let needs: Vec<String> = n.checked_sub(4).into_iter().map(|back| format!("o{back}")).collect();
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            after(&needs, order(&format!("o{n}"), &note(&effects, &n.to_string())))
        })
        .collect();
    let run = ring.submit(&job(&orders)).await?;
    let reached = async |count: usize| {
        eventually(&format!("{count} orders to have been run"), || async { Ok((ring.lines("effects").len() >= count).then_some(())) }).await
    };
    // Each pauses in turn, while the other goes on; then it is woken with what it knew.
    reached(3).await?;
    ring.fleet.pause("scheduler")?;
    reached(10).await?;
    ring.fleet.wake("scheduler")?;
    ring.fleet.pause("scheduler-2")?;
    reached(18).await?;
    ring.fleet.wake("scheduler-2")?;
    assert_eq!(ring.ended(run).await?["status"], "success");
    let mut lines: Vec<u32> = ring.lines("effects").iter().filter_map(|line| line.parse().ok()).collect();
    lines.sort_unstable();
    assert_eq!(lines, (0..24).collect::<Vec<_>>());
    Ok(())
}
