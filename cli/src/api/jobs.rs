//! The jobs of a run, read part by part: a run of orders may have ten thousand of them.

use proto::RunId;
use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, Page};
use crate::problem::CliError;

/// The most that the API gives at once.
const PART: u32 = 200;

/// A part of the jobs; a gateway that knows no parts gives all of them and no place to go on.
#[derive(Debug, Deserialize)]
struct Part {
    jobs: Vec<Value>,
    #[serde(default)]
    next_from: Option<u32>,
}

/// The jobs from number `from`, each as it came.
///
/// # Errors
/// The gateway refuses or is away, or its parts do not go forward.
pub(crate) async fn jobs(client: &Client, run: RunId, from: u32) -> Result<Vec<Value>, CliError> {
    let (mut all, mut at) = (Vec::new(), from);
    loop {
        // A gateway that knows no parts knows no such parameters either, and they would be an error.
        let page = if at == 0 { Page::default() } else { Page::default().with("from", Some(at)).with("limit", Some(PART)) };
        let part: Part = client.read(client.get(&format!("v1/runs/{run}/jobs"), &page).await?)?;
        all.extend(part.jobs);
        match part.next_from {
            None => return Ok(all),
            Some(next) if next > at => at = next,
            Some(next) => return Err(client.strange(format!("the jobs from number {at} go on at {next}"))),
        }
    }
}
