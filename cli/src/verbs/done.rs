//! `navvy run done`: how a run of orders ended, and nothing of what it did.

use proto::RunId;
use proto::orders::DoneMarker;

use super::Session;
use crate::api::Page;
use crate::exit::Exit;
use crate::output::orders::ending;
use crate::problem::CliError;

/// Exits by the result. A run that is not over is an error answer of the gateway, with a code of its own.
pub(super) async fn done(session: &Session<'_>, run: RunId) -> Result<Exit, CliError> {
    let answer = session.client.get(&format!("v1/runs/{run}/done"), &Page::default()).await?;
    let marker: DoneMarker = session.client.read(answer.clone())?;
    if session.out.is_json() {
        session.out.json(&answer)?;
    } else {
        session.out.line(&ending(&marker, session.out.style()))?;
    }
    Ok(if marker.status == "succeeded" { Exit::Ok } else { Exit::RunFailed })
}
