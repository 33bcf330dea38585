//! What a person decides about a run: approve, reject, cancel, resolve.

use proto::RunId;
use serde_json::{Map, Value, json};

use super::Session;
use crate::args::{ApproveArgs, CancelArgs, Outcome, ResolveArgs};
use crate::exit::Exit;
use crate::output::ansi;
use crate::problem::CliError;

pub(super) async fn approve(session: &Session<'_>, args: &ApproveArgs) -> Result<Exit, CliError> {
    let body = match &args.plan_sha256 {
        Some(digest) => json!({ "plan_sha256": digest }),
        None => Value::Object(Map::new()),
    };
    decide(session, args.id, "approve", &body).await
}

pub(super) async fn reject(session: &Session<'_>, run: RunId) -> Result<Exit, CliError> {
    decide(session, run, "reject", &Value::Object(Map::new())).await
}

pub(super) async fn cancel(session: &Session<'_>, args: &CancelArgs) -> Result<Exit, CliError> {
    decide(session, args.id, "cancel", &json!({ "force": args.force })).await
}

pub(super) async fn resolve(session: &Session<'_>, args: &ResolveArgs) -> Result<Exit, CliError> {
    let outcome = match args.outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
    };
    let mut body = json!({ "as": outcome, "reason": args.reason });
    // Left out where it is not given: a gateway of an older version does not know it.
    if let Some(job) = args.job {
        body["job"] = json!(job);
    }
    decide(session, args.id, "resolve", &body).await
}

async fn decide(session: &Session<'_>, run: RunId, verb: &str, body: &Value) -> Result<Exit, CliError> {
    let answer = session.client.post(&format!("v1/runs/{run}/{verb}"), body).await?;
    if session.out.is_json() {
        session.out.json(&answer)?;
    } else {
        let message = answer.get("message").and_then(Value::as_str).unwrap_or("done");
        session.out.line(&ansi::plain(message))?;
    }
    Ok(Exit::Ok)
}
