//! Time that is over, and people who have changed their mind: what runs is stopped with everything it started, and nothing
//! more is begun.

use super::{Ring, after, job, note, order};
use crate::with;
use nix::{sys::signal::kill, unistd::Pid};
use reqwest::{Method, StatusCode};
use serde_json::json;
use system_tests::{eventually, fleet::Wishes};

fn quick() -> Wishes {
    Wishes::default().set("NAVVY__WORKER__LIMITS__STOP_GRACE", "1s").set("NAVVY__SCHEDULER__SWEEP", "1s")
}

/// A process whose id an order wrote down.
async fn pid(ring: &Ring, name: &str) -> anyhow::Result<Pid> {
    Ok(Pid::from_raw(ring.written(name).await?.trim().parse()?))
}

/// Waits until a process is gone: dead, and asked for by its parent.
async fn gone(process: Pid) -> anyhow::Result<()> {
    eventually(&format!("process {process} to be gone"), || async move { Ok(kill(process, None).is_err().then_some(())) }).await
}

/// Shell: a grandchild that is deaf to SIGTERM, a daemon in a session of its own, and the order's own shell; each writes
/// down its id.
fn family(ring: &Ring) -> String {
    let stay = |name: &str| format!("echo $$ > {}; while :; do sleep 1; done", ring.path(name).display());
    format!("setsid sh -c '{}' > /dev/null 2>&1 &\n(trap '' TERM; sh -c '{}') &\n{}\n", stay("daemon"), stay("grandchild"), stay("child"))
}

#[tokio::test]
async fn an_order_that_takes_too_long_is_killed_with_everything_it_started() -> anyhow::Result<()> {
    let ring = Ring::start(quick(), &["w1"]).await?;
    let slow = with(order("slow", &family(&ring)), json!({"timeout": 5}));
    let run = ring.submit(&job(&[slow, after(&["slow"], order("next", &note(&ring.path("effects"), "next")))])).await?;
    let family = [pid(&ring, "daemon").await?, pid(&ring, "grandchild").await?, pid(&ring, "child").await?];
    let ended = ring.ended(run).await?;
    assert_eq!(ended["status"], "timed_out", "{ended:#}");
    for process in family {
        gone(process).await?;
    }
    let ends = ring.ends(run).await?;
    assert!(ends[0].starts_with("slow timed_out") && ends[1] == "next failed: dependency_failed", "{ends:?}");
    assert!(ring.log(run, 0).await?.contains("Command timed out after 5s"));
    assert_eq!(ring.lines("effects").len(), 0);
    Ok(())
}

#[tokio::test]
async fn the_time_of_the_job_stops_what_runs_and_begins_nothing_more() -> anyhow::Result<()> {
    let ring = Ring::start(quick(), &["w1"]).await?;
    let others = note(&ring.path("effects"), "never");
    let orders = [
        // What runs when the time is over began later than the job, so that its own time is not over yet.
        with(order("first", "sleep 3"), json!({"timeout": 20})),
        with(after(&["first"], order("slow", &family(&ring))), json!({"timeout": 20})),
        with(after(&["slow"], order("next", &others)), json!({"timeout": 20})),
        with(after(&["slow"], order("optional", &others)), json!({"timeout": 20, "must_succeed": false})),
    ];
    let run = ring.submit(&with(job(&orders), json!({"job_timeout": 20}))).await?;
    let child = pid(&ring, "child").await?;
    let ended = ring.ended(run).await?;
    assert_eq!(ended["status"], "timed_out", "{ended:#}");
    gone(child).await?;
    assert_eq!(ring.counts(run).await?.timed_out, 3, "{:?}", ring.ends(run).await?);
    assert_eq!(ring.lines("effects").len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_cancel_stops_what_runs_and_begins_nothing_more() -> anyhow::Result<()> {
    let ring = Ring::start(quick(), &["w1"]).await?;
    let others = note(&ring.path("effects"), "never");
    let orders = [
        order("slow", &family(&ring)),
        after(&["slow"], order("next", &others)),
        with(after(&["slow"], order("optional", &others)), json!({"must_succeed": false})),
    ];
    let run = ring.submit(&job(&orders)).await?;
    let child = pid(&ring, "child").await?;
    let cancel = ring.fleet.client.call(Method::POST, &format!("/v1/runs/{run}/cancel"), Some(&json!({}))).await?;
    assert_eq!(cancel.0, StatusCode::OK, "{}", cancel.1);
    assert_eq!(ring.ended(run).await?["status"], "cancelled");
    gone(child).await?;
    assert_eq!(ring.ends(run).await?, ["slow cancelled", "next cancelled", "optional cancelled"]);
    assert_eq!(ring.lines("effects").len(), 0);
    let again = ring.fleet.client.call(Method::POST, &format!("/v1/runs/{run}/cancel"), Some(&json!({}))).await?;
    assert_eq!((again.0, &again.1["status"]), (StatusCode::CONFLICT, &json!("cancelled")));
    Ok(())
}

#[tokio::test]
async fn what_does_not_stop_is_stopped_by_force() -> anyhow::Result<()> {
    let ring = Ring::start(Wishes::default().set("NAVVY__WORKER__LIMITS__STOP_GRACE", "1h"), &["w1"]).await?;
    let (heard, pid_file) = (ring.path("heard"), ring.path("pid"));
    let deaf = format!("trap 'echo TERM >> {}' TERM; echo $$ > {}; while :; do sleep 1; done", heard.display(), pid_file.display());
    let run = ring.submit(&job(&[order("deaf", &deaf)])).await?;
    let process = pid(&ring, "pid").await?;
    let cancel = async |body| ring.fleet.client.call(Method::POST, &format!("/v1/runs/{run}/cancel"), Some(&body)).await;
    assert_eq!(cancel(json!({})).await?.0, StatusCode::OK);
    // It has heard of it, and stays.
    ring.written("heard").await?;
    assert!(kill(process, None).is_ok());
    assert_eq!(cancel(json!({"force": true})).await?.0, StatusCode::OK);
    assert_eq!(ring.ended(run).await?["status"], "cancelled");
    gone(process).await
}
