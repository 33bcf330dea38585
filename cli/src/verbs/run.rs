//! `navvy run ID`, and the way to what else `navvy run` can do.

use proto::{RunId, Timestamp};

use super::wait::{Settled, look, until_settled};
use super::{Session, decide, done, graph};
use crate::args::{RunArgs, RunVerb};
use crate::exit::Exit;
use crate::output;
use crate::problem::CliError;

pub(super) async fn run(session: &Session<'_>, args: &RunArgs) -> Result<Exit, CliError> {
    match &args.verb {
        Some(RunVerb::Resolve(resolve)) => return decide::resolve(session, resolve).await,
        Some(RunVerb::Graph(of)) => return graph::graph(session, of.id).await,
        Some(RunVerb::Done(of)) => return done::done(session, of.id).await,
        None => {}
    }
    let id = args.id.ok_or_else(|| CliError::usage("which run?", "navvy run ID"))?;
    if args.wait.wait || args.wait.wait_timeout.is_some() {
        let Settled { exit, answer } = until_settled(session, id, args.wait.wait_timeout).await?;
        if answer.is_some() {
            show(session, id).await?;
        }
        return Ok(exit);
    }
    show(session, id).await?;
    Ok(Exit::Ok)
}

async fn show(session: &Session<'_>, id: RunId) -> Result<(), CliError> {
    if session.out.is_json() {
        let answer = session.client.get(&format!("v1/runs/{id}"), &crate::api::Page::default()).await?;
        return session.out.json(&answer);
    }
    let (_, run) = look(session, id).await?;
    session.out.line(&output::run::picture(&run, Timestamp::now(), session.out.style()))
}
