//! Services that the fleet deploys over Dokploy's API: from the push to what Dokploy was asked, and back into the run.
//!
//! Dokploy is the stand-in of the worker's own tests, which refuses what its published document does not have. Here is what
//! these stories share: a [`Site`], and the look for secrets in everything that the fleet keeps.

mod deployed;
#[path = "../../../../../worker/tests/sync_dokploy/deployment.rs"]
mod deployment;
mod failing;
mod lost;
#[path = "../../../../../worker/tests/sync_dokploy/shapes.rs"]
mod shapes;
#[path = "../../../../../worker/tests/sync_dokploy/stand_in.rs"]
#[expect(dead_code, reason = "the worker's own tests use all of it")]
mod stand_in;
mod vault;

use super::{Wanted, World, append, job};
use serde_json::{Value, json};
use stand_in::{Fault, KEY, StandIn};
use std::collections::VecDeque;

/// All three services of the example by Dokploy; nothing waits for another.
const MAPPING: &str = "version: 1
services:
  platform/postgres:
    executor: {dokploy: {secret: {path: '{project}/{env}/{service}', keys: [PASSWORD]}}}
  platform/redis:
    executor: {dokploy: {env: {GREETING: 'this is {service}{suffix}.{domain}'}}}
  platform/portal: {executor: dokploy}
";
/// The same without secrets, for worlds without a Vault.
const PLAIN: &str = "version: 1
services:
  platform/postgres: {executor: dokploy}
  platform/redis: {executor: dokploy}
  platform/portal: {executor: dokploy}
";
/// What a service is given by hand, and keeps.
const APP_ROLE: &str = "VAULT_ROLE_ID=role-c4nary-71\nVAULT_SECRET_ID=secret-id-c4nary-72\n";

/// A fleet that follows a repository, and the Dokploy that it deploys to.
struct Site {
    world: World,
    dokploy: StandIn,
}

impl Site {
    /// `more` are further lines of `[worker.sync]`.
    async fn with(mapping: &str, more: &str, wanted: Wanted<'_>) -> anyhow::Result<Self> {
        let dokploy = StandIn::start().await;
        let sync = format!(
            "dokploy_url = {:?}\ninternal_domain = \"example.com\"\nvault_addr = \"https://vault.example.com\"\n\
             verify_interval = \"50ms\"\n{more}",
            dokploy.base
        );
        let files = [&[("navvy.yaml", mapping)], wanted.files].concat();
        let world = World::with(Wanted { files: &files, worker_sync: &sync, ..wanted }).await?;
        append(&world.path("sync.env"), &format!("DOKPLOY_API_KEY={KEY}\n"))?;
        Ok(Self { world, dokploy })
    }

    async fn plain(more: &str) -> anyhow::Result<Self> {
        Self::with(PLAIN, more, Wanted::default()).await
    }

    /// Puts the example's services there, as the replaced service left them.
    fn has_all(&self) {
        for name in ["postgres", "redis", "portal"] {
            let fields = json!({ "env": format!("IAC_CONFIG_HASH=000000000000\n{APP_ROLE}"), "sourceType": "github", "autoDeploy": true });
            self.dokploy.has("platform", "staging", name, &fields);
        }
    }

    /// Lets every request of an operation about one service go wrong, from now on.
    fn ails(&self, operation: &str, name: &str, fault: Fault) {
        let faults: VecDeque<_> = std::iter::repeat_n(Some(fault), 1000).collect();
        self.dokploy.state().faults.insert(format!("{operation} platform-staging-{name}"), faults);
    }

    /// Dokploy is well again.
    fn is_well(&self) {
        self.dokploy.state().faults.clear();
    }

    /// How often a service was deployed.
    fn deployments(&self, name: &str) -> usize {
        self.dokploy.state().services.get(&format!("platform-staging-{name}")).map_or(0, |service| service.deployments.len())
    }

    /// What was asked about a service since the last time it was looked.
    fn asked_about(&self, name: &str) -> Vec<String> {
        let id = format!("platform-staging-{name}");
        let state = self.dokploy.state();
        state.asked.iter().filter(|asked| asked.body.contains(&id)).map(|asked| asked.operation.clone()).collect()
    }

    /// The failure of a service's job.
    fn failure<'v>(view: &'v Value, service: &str) -> anyhow::Result<(&'v str, &'v str)> {
        let failure = &job(view, service)?["sync"]["failure"];
        let text = |field: &str| failure[field].as_str().unwrap_or_default();
        anyhow::ensure!(!text("next_action").is_empty(), "{view:#}");
        Ok((text("kind"), text("message")))
    }
}

/// The value of a variable in the stored text.
fn variable<'e>(env: &'e str, name: &str) -> Option<&'e str> {
    env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}
