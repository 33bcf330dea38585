//! What an order tells on its way: a JSON file in its events folder stands in the run's log.

use super::{Ring, job};
use serde_json::{Value, json};
use system_tests::fleet::Wishes;

#[tokio::test]
async fn what_an_order_drops_into_its_events_folder_stands_in_the_log_of_the_run() -> anyhow::Result<()> {
    let ring = Ring::start(Wishes::default(), &["w1"]).await?;
    let order = json!({
        "order_name": "plan", "timeout": 600, "env_vars": {"DB_PASSWORD": "canary-of-the-events"},
        "cmds": [
            r#"echo '{"event_type": "tf_plan", "status": "changes", "adds": 3, "note": "canary-of-the-events"}' > "$AWS_EXE_SYS_EVENTS_DIR/a.json""#,
            r#"echo '{"severity": "low"}' > "$AWS_EXE_SYS_EVENTS_DIR/tfsec.json""#,
            r#"echo 'no JSON' > "$AWS_EXE_SYS_EVENTS_DIR/z.json""#,
            "exit 4",
        ]
    });
    let run = ring.submit(&job(&[order])).await?;
    assert_eq!(ring.ended(run).await?["status"], "failed");
    let entries = ring.bus.run_log().load(run).await?;
    let entries: Vec<Value> = entries.iter().map(|(_, bytes)| serde_json::from_slice(bytes)).collect::<Result<_, _>>()?;
    let events = entries.iter().flat_map(|entry| entry["events"].as_array().into_iter().flatten());
    let told: Vec<&Value> = events.filter(|event| event["event"] == "order_told").collect();
    let expected = json!([
        {"event_type": "tf_plan", "status": "changes", "data": {"adds": 3, "note": "***"}},
        {"event_type": "tfsec", "status": "info", "data": {"severity": "low"}},
    ]);
    assert_eq!(told.iter().map(|event| &event["events"]).collect::<Vec<_>>(), [&expected], "{entries:#?}");
    let shown = ring.fleet.client.get(&format!("/v1/runs/{run}/events?order=plan&type=tf_plan")).await?;
    let shown: Vec<&Value> = shown["events"].as_array().into_iter().flatten().collect();
    assert!(matches!(shown.as_slice(), [event] if event["custom"] == true && event["data"]["note"] == "***"), "{shown:?}");
    let log = ring.log(run, 0).await?;
    assert!(log.contains("the event z.json is left out"), "{log}");
    Ok(())
}
