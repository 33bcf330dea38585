//! `navvy release`: a release is ordered, and watched until it is deployed; releases are listed.

mod watch;

use clap::ValueEnum as _;
use proto::{RunId, Timestamp};
use serde_json::{Map, Value, json};

use super::{Session, lists::fetch, wait};
use crate::api::{Page, ReleasePage};
use crate::args::{EveryRelease, ReleaseListArgs, ReleaseVerb};
use crate::exit::Exit;
use crate::output::lists;
use crate::problem::CliError;

const PATH: &str = "v1/releases";

pub(super) async fn release(session: &Session<'_>, verb: &ReleaseVerb) -> Result<Exit, CliError> {
    match verb {
        ReleaseVerb::List(args) => list(session, args).await,
        ReleaseVerb::Stage(args) => {
            let own = json!({ "kind": "staging", "confirm": args.confirm, "strict": args.new.strict });
            order(session, own, &args.every).await
        }
        ReleaseVerb::Promote(args) => {
            let own = json!({ "kind": "production", "from": args.from, "confirm": args.confirm, "strict": args.new.strict });
            order(session, own, &args.every).await
        }
        ReleaseVerb::Hotfix(args) => {
            let own = json!({
                "kind": "hotfix", "from": args.from, "ref": args.git_ref, "confirm": args.confirm, "strict": args.new.strict
            });
            order(session, own, &args.every).await
        }
        ReleaseVerb::Rollback(args) => {
            let own = json!({ "kind": "rollback", "from": args.from, "environment": args.environment, "confirm": args.confirm });
            order(session, own, &args.every).await
        }
    }
}

async fn order(session: &Session<'_>, own: Value, every: &EveryRelease) -> Result<Exit, CliError> {
    let key = every.idempotency_key.clone().unwrap_or_else(|| format!("cli-{}", uuid::Uuid::new_v4()));
    let answer = session.client.submit(PATH, &body(own, every), &key).await?;
    let run = run_of(session, &answer)?;
    if session.out.is_json() {
        session.out.json(&answer)?;
    } else {
        session.out.line(&run.to_string())?;
    }
    if every.watch {
        return watch::until_settled(session, run, every.wait.wait_timeout).await;
    }
    if every.wait.wait || every.wait.wait_timeout.is_some() {
        return wait::until_settled(session, run, every.wait.wait_timeout).await.map(|settled| settled.exit);
    }
    session.out.hint(&format!("see how it stands with `navvy run {run}`"));
    Ok(Exit::Ok)
}

/// The request; what was not given is left out.
fn body(own: Value, every: &EveryRelease) -> Value {
    let services = (!every.service.is_empty()).then_some(&every.service);
    let common = json!({
        "source": every.source, "services": services, "force": every.force, "triggered_by": every.triggered_by,
    });
    let mut body = Map::new();
    for part in [own, common] {
        if let Value::Object(part) = part {
            body.extend(part.into_iter().filter(|(_, value)| !value.is_null() && *value != json!(false)));
        }
    }
    Value::Object(body)
}

fn run_of(session: &Session<'_>, answer: &Value) -> Result<RunId, CliError> {
    let id = answer.get("run_id").and_then(Value::as_str).unwrap_or_default();
    id.parse().map_err(|_| session.client.strange("no run_id in the answer to /v1/releases"))
}

async fn list(session: &Session<'_>, args: &ReleaseListArgs) -> Result<Exit, CliError> {
    let kind = args.kind.and_then(|kind| kind.to_possible_value());
    let page = Page::default()
        .with("kind", kind.as_ref().map(clap::builder::PossibleValue::get_name))
        .with("environment", args.environment.as_ref())
        .with("limit", args.limit)
        .with("cursor", args.cursor.as_ref());
    let Some(list) = fetch::<ReleasePage>(session, PATH, &page).await? else {
        return Ok(Exit::Ok);
    };
    session.out.line(&lists::releases(&list, Timestamp::now(), session.out.style()))?;
    if let Some(cursor) = &list.next_cursor {
        session.out.hint(&format!("there are older ones: navvy release list --cursor {cursor}"));
    }
    Ok(Exit::Ok)
}
