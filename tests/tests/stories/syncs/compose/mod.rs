//! Services that the fleet deploys to a host over SSH: from the push to what docker was called with there, and back into the
//! run.
//!
//! The host is the one of the worker's own tests: a real sshd on this machine, and a program that says it is docker.

#[path = "../../../../../worker/tests/sync_compose/host.rs"]
mod host;
mod stories;

use super::{Wanted, World, append};
use host::{Host, user};
use std::path::PathBuf;

/// All three services of the example by compose; redis with a file of the repository.
const MAPPING: &str = "version: 1
services:
  platform/postgres: {executor: compose}
  platform/redis: {executor: {compose: {env: {GREETING: 'this is $5 # now'}}}}
  platform/portal: {executor: compose}
";
const REDIS: &str = "services:\n  redis:\n    image: redis:8\n    volumes: ['./conf:/conf:ro']\n";

/// A fleet that follows a repository, and the host that it deploys to.
struct Site {
    world: World,
    host: Host,
}

impl Site {
    async fn new() -> anyhow::Result<Self> {
        // One after the other: the stand-in for docker keeps what it finds in one place.
        Self::with("[worker]\nslots = 1\n", &[]).await
    }

    async fn with(settings: &str, workers: &[&str]) -> anyhow::Result<Self> {
        let host = Host::start();
        let (name, user, key) = (host.name(), user(), host.path("user_key"));
        let (hosts, folder) = (host.known_hosts("host_key"), host.path("services"));
        let sync = format!(
            "internal_domain = \"example.com\"\nvault_addr = \"https://vault.example.com\"\nssh_hosts = [{name:?}]\nssh_user = {user:?}\n\
             ssh_key_file = \"{}\"\nssh_known_hosts_file = \"{}\"\ncompose_dir = \"{}\"\n",
            key.display(),
            hosts.display(),
            folder.display()
        );
        let files = [
            ("navvy.yaml", MAPPING),
            ("platform/02.redis/compose.yaml", REDIS),
            ("platform/02.redis/conf/redis.conf", "port 6379\n"),
            ("platform/02.redis/README.md", "not deployed\n"),
        ];
        let wanted = Wanted { files: &files, worker_sync: &sync, settings, workers, ..Wanted::default() };
        Ok(Self { world: World::with(wanted).await?, host })
    }

    /// A file of a service on the host.
    fn place(&self, name: &str) -> PathBuf {
        self.host.path("services/platform").join(name)
    }

    /// The compose projects that docker was called for since the last time.
    fn projects(&self) -> Vec<String> {
        let of = |call: Vec<String>| call.iter().position(|word| word == "-p").and_then(|at| call.get(at + 1)).cloned().unwrap_or_default();
        self.host.docker_calls().into_iter().map(of).collect()
    }
}
