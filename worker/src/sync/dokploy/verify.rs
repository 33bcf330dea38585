//! Whether a deployment brought what was wanted. Read back, never assumed: an API that said yes may do nothing, and one whose
//! answer was lost may have done everything.

use super::{client::Api, remote, wire::Deployment};
use crate::sync::{
    env_text::Lines,
    floor::{Clock, Floor, Patience, Pressing, failed, unclear},
    made::Made,
};
use proto::message::AttemptOutcome;
use services::hash::VARIABLE;
use std::collections::BTreeSet;

/// A deployment that was asked for.
pub(super) struct Asked<'a> {
    pub(super) compose_id: &'a str,
    pub(super) made: &'a Made,
    pub(super) identity: &'a str,
    /// What it is called, so that it can be told from others'.
    pub(super) title: &'a str,
    /// Deployments that were there before.
    pub(super) before: &'a BTreeSet<String>,
    /// Why its answer is not known, if it is not.
    pub(super) lost: Option<String>,
}

/// What one look showed.
enum Look {
    Effective,
    /// On its way.
    Running,
    /// It failed, in Dokploy's words.
    Failed(String),
    /// Not yet as it should be.
    Stale(&'static str),
    Unreadable(String),
}

/// Looks until it is clear. A deployment that runs is waited for as long as the attempt has time.
pub(super) async fn verify(
    floor: &mut impl Floor,
    api: &Api,
    clock: &dyn Clock,
    patience: Patience,
    asked: &Asked<'_>,
) -> Result<(), AttemptOutcome> {
    let mut since = clock.now();
    loop {
        let look = look(api, asked).await;
        let waited = clock.now().saturating_sub(since);
        match look {
            Look::Effective => return Ok(()),
            Look::Failed(why) => {
                let message = format!("Dokploy's deployment failed: {why}");
                return Err(failed(
                    floor,
                    "deploy_failed",
                    &message,
                    "Look at the deployment's log in Dokploy; the next sync deploys again.",
                ));
            }
            Look::Running => since = clock.now(),
            Look::Stale(why) if waited >= patience.timeout => return Err(stale(floor, asked, why)),
            Look::Unreadable(why) if waited >= patience.timeout => {
                return Err(unclear(floor, &format!("a deployment was asked for, and what came of it cannot be read: {why}")));
            }
            Look::Stale(_) | Look::Unreadable(_) => {}
        }
        // A deployment cannot be called back: who only wants it to stop waits for its own end.
        if let Pressing::Kill { .. } | Pressing::Stop { timed_out: true } = floor.pressing() {
            return Err(unclear(floor, "a deployment was asked for, and this attempt had to end before it was over"));
        }
        clock.pause(patience.interval).await;
    }
}

fn stale(floor: &impl Floor, asked: &Asked<'_>, why: &str) -> AttemptOutcome {
    if let Some(lost) = &asked.lost {
        return unclear(floor, &format!("a deployment was asked for without an answer ({lost}), and {why}"));
    }
    let message = format!("Dokploy said that it deploys, but {why}");
    failed(floor, "deploy_not_effective", &message, "Look at the service in Dokploy: is its queue stuck? The next sync deploys again.")
}

async fn look(api: &Api, asked: &Asked<'_>) -> Look {
    let deployments = match remote::deployments(api, asked.compose_id).await {
        Ok(deployments) => deployments,
        Err(error) => return Look::Unreadable(error.to_string()),
    };
    let Some(ours) = ours(&deployments, asked) else { return Look::Stale("no deployment of ours is to be seen") };
    match ours.status.as_deref() {
        Some("done") => {}
        Some("running") | None => return Look::Running,
        Some("error") => return Look::Failed(ours.error_message.clone().unwrap_or_else(|| "it gives no reason".to_owned())),
        Some(other) => return Look::Failed(format!("it stands at `{other}`")),
    }
    let compose = match remote::read(api, asked.compose_id).await {
        Ok(compose) => compose,
        Err(error) => return Look::Unreadable(error.to_string()),
    };
    let env = Lines::parse(compose.env.as_deref().unwrap_or_default());
    if env.value(VARIABLE) != Some(asked.identity) {
        return Look::Stale("the identity of what is deployed is not the wanted one");
    }
    let as_sent = compose.source_type.as_deref() == Some("raw") && compose.file.as_deref() == Some(&asked.made.compose);
    if as_sent { Look::Effective } else { Look::Stale("its compose file is not the one of this commit") }
}

/// Ours by its title. A Dokploy that keeps no titles calls all alike: then, if it said yes, a new one is ours.
fn ours<'d>(deployments: &'d [Deployment], asked: &Asked<'_>) -> Option<&'d Deployment> {
    let new = || deployments.iter().filter(|deployment| !asked.before.contains(&deployment.id));
    new().find(|deployment| deployment.title == asked.title).or_else(|| new().next().filter(|_| asked.lost.is_none()))
}
