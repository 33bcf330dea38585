//! `navvy run graph`: who waits for whom, and how each stands.

use proto::RunId;
use proto::view::JobView;
use serde_json::json;

use super::Session;
use super::wait::look;
use crate::api::jobs;
use crate::exit::Exit;
use crate::output::graph;
use crate::problem::CliError;

pub(super) async fn graph(session: &Session<'_>, id: RunId) -> Result<Exit, CliError> {
    let (_, run) = look(session, id).await?;
    let given = jobs(&session.client, id, 0).await?;
    let jobs: Vec<JobView> = session.client.read(given.clone().into())?;
    if session.out.is_json() {
        let levels = graph::levels_of(&jobs);
        session.out.json(&json!({ "id": id, "status": run.status, "orders": run.orders, "levels": levels, "jobs": given }))?;
    } else {
        session.out.line(&graph::picture(&run, &jobs, session.out.style()))?;
    }
    Ok(Exit::Ok)
}
