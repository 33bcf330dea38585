//! A worker dies in the middle of an order: it comes back and tells the genuine result, or the watchdog ends the order.

use super::{Ring, after, impatient, job, note, order, until};
use crate::with;
use serde_json::json;
use std::fs;
use system_tests::fleet::Wishes;

#[tokio::test]
async fn a_worker_that_comes_back_tells_what_the_order_did_without_it() -> anyhow::Result<()> {
    for (code, expected) in [(0, "genuine succeeded"), (7, "genuine failed: exit_code")] {
        let mut ring = Ring::start(impatient(Wishes::default()), &["w1"]).await?;
        let command = format!(
            "{}; {}; {}; exit {code}",
            note(&ring.path("begun"), "begun"),
            until(&ring.path("go")),
            note(&ring.path("effects"), "done")
        );
        let run = ring.submit(&job(&[order("genuine", &command)])).await?;
        ring.written("begun").await?;
        ring.fleet.kill("w1")?;
        fs::write(ring.path("go"), "")?;
        // The order goes on without its worker.
        ring.written("effects").await?;
        ring.fleet.start("w1").await?;
        ring.ended(run).await?;
        assert_eq!(ring.ends(run).await?, [expected]);
        assert_eq!((ring.lines("begun").len(), ring.lines("effects").len()), (1, 1));
        assert!(ring.log(run, 0).await?.contains(&format!("Exit code: {code}")));
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_never_comes_back_is_the_watchdog_s_and_a_late_result_changes_nothing() -> anyhow::Result<()> {
    let wishes = impatient(Wishes::default()).set("NAVVY__SCHEDULER__WATCHDOG_SLACK", "1s");
    let mut ring = Ring::start(wishes, &["w1"]).await?;
    let command = format!("{}; {}; {}", note(&ring.path("begun"), "begun"), until(&ring.path("go")), note(&ring.path("lost"), "done"));
    let orders = [
        with(order("lost", &command), json!({"timeout": 10})),
        after(&["lost"], order("strict", &note(&ring.path("others"), "strict"))),
        after(&["strict"], order("behind", &note(&ring.path("others"), "behind"))),
        after(&["lost", "behind"], with(order("optional", &note(&ring.path("others"), "optional")), json!({"must_succeed": false}))),
    ];
    let run = ring.submit(&job(&orders)).await?;
    ring.written("begun").await?;
    ring.fleet.kill("w1")?;
    ring.fleet.start("w2").await?;
    let ended = ring.ended(run).await?;
    let expected =
        ["lost timed_out: watchdog", "strict failed: dependency_failed", "behind failed: dependency_failed", "optional succeeded"];
    assert_eq!(ring.ends(run).await?, expected);
    assert_eq!((&ended["status"], ring.lines("others")), (&json!("timed_out"), vec!["optional".to_owned()]));

    // The order ends after all, and its worker comes back and says so, while nobody listens; then it is heard.
    ring.fleet.pause("scheduler")?;
    fs::write(ring.path("go"), "")?;
    ring.fleet.spawn("w1").await?;
    ring.reported(run, 0, "w1").await?;
    ring.fleet.wake("scheduler")?;
    ring.heard(run, 0, "w1").await?;
    assert_eq!(ring.ends(run).await?, expected);
    assert_eq!(ring.ended(run).await?["status"], "timed_out");
    Ok(())
}
