//! Says when everything serves: asks the gateway's own `/readyz` until it is true, then prints the one line on stdout
//! that scripts wait for.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::output::Out;

const PAUSE: Duration = Duration::from_millis(50);

/// Returns after the announcement. Drop it to stop asking.
pub(super) async fn announce(out: &Out, url: &str, token_file: Option<&Path>) {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    let Ok(client) = client else {
        tracing::error!("no HTTP client can be made, so readiness cannot be asked for");
        return;
    };
    while !client.get(format!("{url}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success()) {
        tokio::time::sleep(PAUSE).await;
    }
    let said = if out.is_json() {
        out.json(&json!({ "event": "ready", "url": url }))
    } else {
        out.line(&format!("navvy ready {url}"))
    };
    if let Err(error) = said {
        // Nobody reads stdout; the fleet works all the same.
        tracing::warn!(%error, "ready, but nobody was told");
    }
    out.hint(&hints(url, token_file));
}

fn hints(url: &str, token_file: Option<&Path>) -> String {
    let token = token_file.map_or_else(String::new, |path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        format!("  export NAVVY_TOKEN_FILE={}\n", path.display())
    });
    format!(
        "in another terminal:\n  export NAVVY_URL={url}\n{token}  navvy deploy --git-url URL --git-ref main --tool terraform --follow\nCtrl-C stops everything"
    )
}
