//! `--watch`: which tag was made, and how each service ends, until the run is over.

use std::collections::BTreeSet;

use proto::RunId;
use proto::view::JobView;
use serde_json::json;
use service::settings::Period;

use crate::api::Run;
use crate::exit::Exit;
use crate::output::syncs;
use crate::problem::CliError;
use crate::verbs::Session;
use crate::verbs::wait::{Settled, until_settled_seeing};

/// Tells what happens until the run has settled; exits by its result.
pub(super) async fn until_settled(session: &Session<'_>, run: RunId, limit: Option<Period>) -> Result<Exit, CliError> {
    let mut watcher = Watcher { session, tag_told: false, told: BTreeSet::new() };
    let seen = async |run: &Run| watcher.see(run);
    let Settled { exit, answer } = until_settled_seeing(session, run, limit, seen).await?;
    if let Some(answer) = answer.filter(|_| session.out.is_json()) {
        session.out.json(&json!({ "event": "end", "status": answer.get("status") }))?;
    }
    Ok(exit)
}

struct Watcher<'a> {
    session: &'a Session<'a>,
    tag_told: bool,
    /// Jobs whose end was told.
    told: BTreeSet<u32>,
}

impl Watcher<'_> {
    fn see(&mut self, run: &Run) -> Result<(), CliError> {
        let out = self.session.out;
        if let Some(release) = run.syncs.as_ref().and_then(|syncs| syncs.release.as_ref()).filter(|_| !self.tag_told) {
            self.tag_told = true;
            if out.is_json() {
                out.json(&json!({ "event": "release", "release": release }))?;
            } else {
                out.line(&syncs::released(release))?;
            }
        }
        for job in &run.jobs {
            if let (Some(sync), true) = (&job.sync, is_over(job))
                && self.told.insert(job.n.0)
            {
                if out.is_json() {
                    out.json(&json!({ "event": "service", "service": sync.service, "status": job.status, "sync": sync }))?;
                } else {
                    out.line(&syncs::ended(job, sync, out.style()))?;
                }
            }
        }
        Ok(())
    }
}

/// The words of a job that nothing more will happen to by itself.
fn is_over(job: &JobView) -> bool {
    matches!(job.status.as_str(), "succeeded" | "failed" | "timed_out" | "cancelled" | "skipped" | "superseded" | "unknown")
}
