//! From what is wanted to a run that is stored.

use crate::{
    answers::Refusal,
    app::App,
    deploy::{self, Admitted, identity::Identity},
    sources::Source,
};
use jiff::Timestamp;
use proto::{
    ShardNo,
    git::GitRef,
    message::{RunSpec, Trigger},
    sync::{Environment, ReleaseOrder, SyncSpec, SyncWanted},
    terraform::{GitAuth, SecretBundle},
};
use std::collections::BTreeMap;

/// What is to be synced, where.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) environment: Environment,
    pub(crate) git_ref: GitRef,
    pub(crate) services: SyncWanted,
    pub(crate) force: bool,
    /// In the asker's own words; proves nothing.
    pub(crate) triggered_by: String,
    /// The record of the delivery that brought it.
    pub(crate) delivery: Option<String>,
    pub(crate) deployment_id: Option<String>,
    pub(crate) release: Option<ReleaseOrder>,
}

/// The shard of all syncs of an environment. Each takes a lock `environment/project/service`, and locks belong to one shard:
/// runs of another source, or by another door, have to meet there, or two of them would deploy the same service at a time.
pub(crate) fn shard_of(environment: &Environment, shards: u8) -> ShardNo {
    ShardNo::of(&format!("sync/{environment}"), shards)
}

/// Stores the run, with its key and the login for its repository sealed. `by`: who is known to have asked, for the record.
pub(crate) async fn start(app: &App, source: &Source, identity: &Identity, by: &str, wanted: Wanted) -> Result<Admitted, Refusal> {
    let git_auth = source.git_auth();
    let spec = spec(app, source, git_auth.as_ref(), wanted);
    // Also without a login: a worker begins nothing without the run's key.
    let bundle = SecretBundle { run_key: identity.run_key.clone(), env: BTreeMap::new(), git_auth, backend_config: BTreeMap::new() };
    tracing::Span::current().record("run", tracing::field::display(identity.run));
    let trigger = Trigger {
        run: identity.run,
        accepted_at: Timestamp::now(),
        by: by.to_owned(),
        spec: RunSpec::Sync(spec),
        pool: source.pool.clone(),
        has_secrets: true,
        request_digest: identity.digest.clone(),
        traceparent: service::telemetry::current_traceparent(),
    };
    deploy::take_in(app, identity, trigger, Some(bundle)).await
}

fn spec(app: &App, source: &Source, git_auth: Option<&GitAuth>, wanted: Wanted) -> SyncSpec {
    SyncSpec {
        source: source.id.clone(),
        git_url: source.git_url.clone(),
        environment: wanted.environment,
        git_ref: wanted.git_ref,
        wanted: wanted.services,
        force: wanted.force,
        command: app.sync.command.clone(),
        timeout_s: app.sync.timeout_s,
        projects: source.projects.clone(),
        triggered_by: wanted.triggered_by,
        delivery: wanted.delivery,
        deployment_id: wanted.deployment_id,
        release: wanted.release,
        git_auth: git_auth.map(|auth| auth.kind().to_owned()),
    }
}
