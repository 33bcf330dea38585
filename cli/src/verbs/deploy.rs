//! `navvy deploy`: submits a run and, when asked, stays until it has ended.

use proto::RunId;
use serde_json::Value;

use super::deploy_request::{body, visible_flags};
use super::{Session, follow, wait};
use crate::args::DeployArgs;
use crate::exit::Exit;
use crate::problem::CliError;

pub(super) async fn deploy(session: &Session<'_>, args: &DeployArgs) -> Result<Exit, CliError> {
    let body = body(args)?;
    let visible = visible_flags(args);
    if !visible.is_empty() {
        let flags = visible.join(" and ");
        session
            .out
            .warn(&format!("values of {flags} can be seen by every user of this machine; give secrets with --secret-env or from a file"));
    }
    let key = args.idempotency_key.clone().unwrap_or_else(|| format!("cli-{}", uuid::Uuid::new_v4()));
    let answer = session.client.submit("deploy", &body, &key).await?;
    let run = run_of(session, &answer)?;
    if session.out.is_json() {
        session.out.json(&answer)?;
    } else {
        session.out.line(&run.to_string())?;
    }
    if args.follow {
        return follow::until_settled(session, run, args.wait.wait_timeout).await;
    }
    if args.wait.wait || args.wait.wait_timeout.is_some() {
        return wait::until_settled(session, run, args.wait.wait_timeout).await.map(|settled| settled.exit);
    }
    session.out.hint(&format!("watch it with `navvy logs -f {run}`"));
    Ok(Exit::Ok)
}

fn run_of(session: &Session<'_>, answer: &Value) -> Result<RunId, CliError> {
    let id = answer.get("deployment_id").and_then(Value::as_str).unwrap_or_default();
    id.parse().map_err(|_| session.client.strange("no deployment_id in the answer to /deploy"))
}
