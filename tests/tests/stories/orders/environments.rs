//! What an order finds around itself: its own variables, and nothing of its worker or of its neighbours.

use super::{Ring, job};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use system_tests::fleet::Wishes;

/// An order that writes its whole environment into a file, one variable a line, each ended by a zero byte.
fn showing(ring: &Ring, name: &str, env: &Value) -> Value {
    let shown = ring.path(name);
    // Built into the kernel: what the shell was started with, before it could set anything.
    json!({"order_name": name, "cmds": [format!("cat /proc/$$/environ > {}", shown.display())], "timeout": 600, "env_vars": env})
}

fn shown(ring: &Ring, name: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(ring.path(name))?;
    let pairs = text.split_terminator('\0').filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[tokio::test]
async fn an_order_sees_its_own_variables_and_nobody_else_s() -> anyhow::Result<()> {
    let wishes = Wishes::default()
        .set("STORY_WORKER_SECRET", "of the worker alone")
        .set("AWS_SECRET_ACCESS_KEY", "of the worker alone")
        .set("STORY_PASSED", "let through")
        .set("NAVVY__WORKER__PASS_ENV", "STORY_PASSED");
    let ring = Ring::start(wishes, &["w1"]).await?;
    // The keys of the target account belong to one order; the other works in the account of the worker.
    let target = json!({"AWS_ACCESS_KEY_ID": "AKIATARGET", "AWS_SECRET_ACCESS_KEY": "of-the-target", "AWS_SESSION_TOKEN": "t0ken"});
    let run = ring.submit(&job(&[showing(&ring, "target", &target), showing(&ring, "plain", &json!({"REGION": "eu-1"}))])).await?;
    assert_eq!(ring.ended(run).await?["status"], "success", "{:?}", ring.ends(run).await?);

    let (target, plain) = (shown(&ring, "target")?, shown(&ring, "plain")?);
    assert_eq!(target.get("AWS_SECRET_ACCESS_KEY").map(String::as_str), Some("of-the-target"));
    assert_eq!(plain.get("REGION").map(String::as_str), Some("eu-1"));
    let ours = [
        "AWS_EXE_SYS_EVENTS_DIR",
        "CMDS",
        "FLOW_ID",
        "HOME",
        "LANG",
        "ORDER_ID",
        "ORDER_NUM",
        "PATH",
        "PWD",
        "OLDPWD",
        "REGION",
        "RUN_ID",
        "STORY_PASSED",
        "TERM",
        "TMPDIR",
        "TRACEPARENT",
        "TRACE_ID",
    ];
    let others: Vec<&String> = plain.keys().filter(|name| !ours.contains(&name.as_str())).collect();
    assert_eq!(others, [""; 0]);
    assert!(!target.contains_key("REGION") && target.values().chain(plain.values()).all(|value| value != "of the worker alone"));
    assert_eq!(
        (plain["ORDER_ID"].as_str(), plain["ORDER_NUM"].as_str(), plain["RUN_ID"].as_str()),
        ("plain", "0002", run.to_string().as_str())
    );
    assert_eq!(plain["STORY_PASSED"], "let through");
    Ok(())
}
