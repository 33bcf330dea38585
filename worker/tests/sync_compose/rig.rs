//! A sync of `platform/redis` in staging to a host: its attempt, its checkout, and a clock that waits for nobody.

use crate::host::{Host, user};
use credentials::{Access, Keeper};
use proto::Secret;
use proto::message::{AttemptOutcome, JobResult};
use proto::sync::{ComposeTarget, ServiceSync, SyncResult};
use serde_json::{Value, json};
use service::settings;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;
use worker::mask::Masker;
use worker::sync::compose::{Order, perform};
use worker::sync::environment::Variables;
use worker::sync::floor::{Clock, Floor, Patience, Pressing};
use worker::sync::made;
use worker::sync::secrets::Secrets;
use worker::sync::ssh;

pub(crate) const COMPOSE: &str = "services:\n  redis:\n    image: redis:7\n    volumes: ['./redis.conf:/redis.conf:ro']\n";
pub(crate) const CANARY: &str = "c4nary-Secret/Value+42=";

/// Time passes only when somebody waits.
#[derive(Debug, Default)]
struct QuickClock(Mutex<Duration>);

impl Clock for QuickClock {
    fn now(&self) -> Duration {
        *self.0.lock().expect("not poisoned")
    }

    fn pause(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        *self.0.lock().expect("not poisoned") += time;
        Box::pin(tokio::task::yield_now())
    }
}

struct Attempt<'r> {
    rig: &'r Rig,
    secrets: Vec<String>,
    lines: Vec<String>,
}

impl Attempt<'_> {
    fn masker(&self) -> Masker {
        Masker::new(&self.secrets).expect("a masker")
    }
}

impl Floor for Attempt<'_> {
    fn narrate(&mut self, line: &str) {
        let line = self.mask(line);
        self.lines.push(line);
    }

    fn learn(&mut self, _: &str, secret: &str) {
        self.secrets.push(secret.to_owned());
    }

    fn mask(&self, text: &str) -> String {
        self.masker().mask(text)
    }

    fn mask_beginning(&self, text: &str) -> String {
        self.masker().mask_beginning(text)
    }

    fn pressing(&self) -> Pressing {
        Pressing::Not
    }

    async fn start_effects(&mut self) -> Result<(), String> {
        *self.rig.words.lock().expect("not poisoned") += 1;
        self.rig.refusal.clone().map_or(Ok(()), Err)
    }
}

pub(crate) struct Rig {
    pub(crate) host: Host,
    pub(crate) settings: settings::WorkerSync,
    pub(crate) refusal: Option<String>,
    pub(crate) words: Mutex<u32>,
    pub(crate) target: Value,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) force: bool,
    /// What the attempt's log holds.
    pub(crate) log: Mutex<Vec<String>>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let host = Host::start();
        let settings = settings::WorkerSync {
            internal_domain: Some("example.com".to_owned()),
            vault_addr: Some("https://vault.example.com".to_owned()),
            ssh_hosts: vec![host.name()],
            ssh_user: user(),
            ssh_key_file: Some(host.path("user_key")),
            ssh_known_hosts_file: Some(host.known_hosts("host_key")),
            compose_dir: host.path("it's here").display().to_string(),
            ..settings::WorkerSync::default()
        };
        Self {
            host,
            settings,
            refusal: None,
            words: Mutex::default(),
            target: json!({ "file": "compose.yaml", "project": "{service}{suffix}", "env": { "GREETING": "it is $5 # now" } }),
            files: BTreeMap::from([("compose.yaml".to_owned(), COMPOSE.to_owned()), ("redis.conf".to_owned(), "port 6379\n".to_owned())]),
            force: false,
            log: Mutex::default(),
        }
    }

    /// The folder of the service on its host.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.host.path("it's here/platform/redis-staging").join(name)
    }

    pub(crate) fn env(&self) -> String {
        std::fs::read_to_string(self.place("env")).expect("the variables")
    }

    pub(crate) async fn sync(&self) -> AttemptOutcome {
        *self.words.lock().expect("not poisoned") = 0;
        let sync: ServiceSync = serde_json::from_value(json!({
            "run": proto::RunId::fresh(proto::ShardNo(0)), "source": "infra", "git_url": "https://git.example.com/infra.git",
            "git_ref": "refs/heads/main", "commit": "a".repeat(40), "follows_branch": true, "environment": "staging",
            "service": {
                "service": "platform/redis", "dir": "platform/02.redis", "task": "redis.sync",
                "executor": { "executor": "command" }, "reasons": []
            },
            "command": [], "timeout_s": 600, "force": self.force, "triggered_by": "a test"
        }))
        .expect("a sync");
        let target: ComposeTarget = serde_json::from_value(self.target.clone()).expect("a target");
        let checkout = tempfile::tempdir().expect("a folder");
        for (path, content) in &self.files {
            let path = checkout.path().join("platform/02.redis").join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, content).expect("written");
        }
        let secrets = BTreeMap::from([("DOKPLOY_API_KEY".to_owned(), Secret::new(CANARY))]);
        let variables = Variables::new([], secrets, &self.settings);
        let made = made::read(checkout.path(), &sync, &target.native, &variables).expect("a service");
        let host = ssh::Host::of(&self.settings, target.host.as_deref(), "/usr/bin:/bin").expect("a host");
        let (keeper, clock) = (Keeper::new(Access::default()).expect("a keeper"), QuickClock::default());
        let order = Order {
            sync: &sync,
            target: &target,
            made: &made,
            variables: &variables,
            checkout: checkout.path(),
            host: &host,
            dir: &self.settings.compose_dir,
            secrets: Secrets { keeper: &keeper, mount: "secret" },
            clock: &clock,
            patience: Patience { timeout: Duration::from_mins(1), interval: Duration::from_secs(3) },
        };
        let mut attempt = Attempt { rig: self, secrets: vec![CANARY.to_owned()], lines: Vec::new() };
        let outcome = perform(&mut attempt, &order).await;
        let told = format!("{outcome:?} {:?}", attempt.lines);
        assert!(!told.contains("c4nary"), "a secret is told: {told}");
        *self.log.lock().expect("not poisoned") = attempt.lines;
        outcome
    }

    pub(crate) fn words(&self) -> u32 {
        *self.words.lock().expect("not poisoned")
    }
}

pub(crate) fn brought(outcome: &AttemptOutcome) -> &SyncResult {
    match outcome {
        AttemptOutcome::Succeeded { result: JobResult::Sync(result) } => result,
        other => panic!("no result but {other:?}"),
    }
}

/// Kind and message.
pub(crate) fn failure(outcome: &AttemptOutcome) -> (&str, &str) {
    match outcome {
        AttemptOutcome::Failed { failure } => (&failure.kind, &failure.message),
        other => panic!("no failure but {other:?}"),
    }
}
