//! `navvy runs`, `locks`, `workers`: one request, one table.

use clap::ValueEnum as _;
use proto::Timestamp;
use serde::de::DeserializeOwned;

use super::Session;
use crate::api::{LockList, Page, RunPage, WorkerList};
use crate::args::RunsArgs;
use crate::exit::Exit;
use crate::output::lists;
use crate::problem::CliError;

pub(super) async fn runs(session: &Session<'_>, args: &RunsArgs) -> Result<Exit, CliError> {
    let status = args.status.and_then(|status| status.to_possible_value());
    let page = Page::default()
        .with("status", status.as_ref().map(clap::builder::PossibleValue::get_name))
        .with("repo", args.repo.as_ref())
        .with("by", args.by.as_ref())
        .with("limit", args.limit)
        .with("cursor", args.cursor.as_ref());
    let Some(list) = fetch::<RunPage>(session, "v1/runs", &page).await? else {
        return Ok(Exit::Ok);
    };
    session.out.line(&lists::runs(&list, Timestamp::now(), session.out.style()))?;
    if let Some(cursor) = &list.next_cursor {
        session.out.hint(&format!("there are older ones: navvy runs --cursor {cursor}"));
    }
    Ok(Exit::Ok)
}

pub(super) async fn locks(session: &Session<'_>) -> Result<Exit, CliError> {
    if let Some(list) = fetch::<LockList>(session, "v1/locks", &Page::default()).await? {
        session.out.line(&lists::locks(&list, Timestamp::now(), session.out.style()))?;
    }
    Ok(Exit::Ok)
}

pub(super) async fn workers(session: &Session<'_>) -> Result<Exit, CliError> {
    if let Some(list) = fetch::<WorkerList>(session, "v1/workers", &Page::default()).await? {
        session.out.line(&lists::workers(&list, session.out.style()))?;
    }
    Ok(Exit::Ok)
}

/// The list, read for a table; `None` when `--json` already printed it as it came.
pub(super) async fn fetch<T: DeserializeOwned>(session: &Session<'_>, path: &str, page: &Page) -> Result<Option<T>, CliError> {
    let answer = session.client.get(path, page).await?;
    if session.out.is_json() {
        session.out.json(&answer)?;
        return Ok(None);
    }
    session.client.read(answer).map(Some)
}
