//! `navvy orders submit`: a job becomes a run.

use proto::RunId;
use serde_json::Value;

use super::{document, watch};
use crate::args::SubmitArgs;
use crate::exit::Exit;
use crate::problem::CliError;
use crate::verbs::{Session, wait};

pub(in crate::verbs) async fn submit(session: &Session<'_>, args: &SubmitArgs) -> Result<Exit, CliError> {
    let document = document::open(&args.file)?;
    // The gateway takes the job's own `run_id` for a key as well, and refuses two that differ.
    let key = args.idempotency_key.clone().or_else(|| document.job.run_id());
    let key = key.unwrap_or_else(|| format!("cli-{}", uuid::Uuid::new_v4()));
    let answer = session.client.submit_text("v1/orders", document.json.expose(), &key).await?;
    let run = run_of(session, &answer)?;
    if session.out.is_json() {
        session.out.json(&answer)?;
    } else {
        session.out.line(&run.to_string())?;
    }
    if args.watch {
        return watch::until_settled(session, run, args.wait.wait_timeout).await;
    }
    if args.wait.wait || args.wait.wait_timeout.is_some() {
        return wait::until_settled(session, run, args.wait.wait_timeout).await.map(|settled| settled.exit);
    }
    session.out.hint(&format!("see how it stands with `navvy run graph {run}`"));
    Ok(Exit::Ok)
}

fn run_of(session: &Session<'_>, answer: &Value) -> Result<RunId, CliError> {
    let id = answer.get("run_id").and_then(Value::as_str).unwrap_or_default();
    id.parse().map_err(|_| session.client.strange("no run_id in the answer to /v1/orders"))
}
