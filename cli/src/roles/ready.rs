//! Says when everything serves: asks the gateway's own `/readyz` until it is true, then prints the one line on stdout
//! that scripts wait for.

use std::time::Duration;

use serde_json::json;

use crate::output::Out;

const PAUSE: Duration = Duration::from_millis(50);

/// Prints `navvy ready URL` once that is true, and the hints, which are for people. Drop it to stop asking.
pub(crate) async fn announce(out: &Out, url: &str, hints: &str) {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    let Ok(client) = client else {
        tracing::error!("no HTTP client can be made, so readiness cannot be asked for");
        return;
    };
    while !client.get(format!("{url}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success()) {
        tokio::time::sleep(PAUSE).await;
    }
    let said = if out.is_json() { out.json(&json!({ "event": "ready", "url": url })) } else { out.line(&format!("navvy ready {url}")) };
    if let Err(error) = said {
        // Nobody reads stdout; the fleet works all the same.
        tracing::warn!(%error, "ready, but nobody was told");
    }
    out.hint(hints);
}
