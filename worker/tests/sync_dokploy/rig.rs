//! A sync of `platform/redis` in staging by Dokploy: its attempt, a clock that waits for nobody, and the stand-in.

use crate::stand_in::{KEY, StandIn};
use credentials::{Access, Keeper};
use proto::message::{AttemptOutcome, JobResult};
use proto::sync::{DokployTarget, Executor, ServiceSync, SyncAction, SyncResult};
use proto::{RunId, Secret, ShardNo};
use service::settings;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use worker::mask::Masker;
use worker::sync::dokploy::{Api, Breakers, Order, perform};
use worker::sync::environment::Variables;
use worker::sync::floor::{Clock, Floor, Patience, Pressing};
use worker::sync::made;
use worker::sync::secrets::Secrets;

/// The compose file that the old hashes are known of.
pub(crate) const COMPOSE: &str = "services:\n  redis:\n    image: redis:7\n";
pub(crate) const SHA: &str = "0123456789012345678901234567890123456789";
pub(crate) const ROLE: &str = "VAULT_ROLE_ID=\"role c4nary-role\"";
pub(crate) const SECRET_ID: &str = "VAULT_SECRET_ID=c4nary-secret-id";

/// Time passes only when somebody waits.
#[derive(Debug, Default)]
pub(crate) struct QuickClock(Mutex<Duration>);

impl QuickClock {
    pub(crate) fn passes(&self, time: Duration) {
        *self.0.lock().expect("not poisoned") += time;
    }
}

impl Clock for QuickClock {
    fn now(&self) -> Duration {
        *self.0.lock().expect("not poisoned")
    }

    fn pause(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.passes(time);
        Box::pin(tokio::task::yield_now())
    }
}

/// An attempt.
pub(crate) struct Attempt<'r> {
    rig: &'r Rig,
    secrets: Vec<String>,
    pub(crate) lines: Vec<String>,
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
        let begun = self.rig.words() > 0;
        self.rig.pressing_then.filter(|_| begun).unwrap_or(self.rig.pressing)
    }

    async fn start_effects(&mut self) -> Result<(), String> {
        let changed = self.rig.changes();
        assert_eq!(changed, 0, "something was changed before the last word");
        *self.rig.words.lock().expect("not poisoned") += 1;
        self.rig.refusal.clone().map_or(Ok(()), Err)
    }
}

pub(crate) struct Rig {
    pub(crate) dokploy: StandIn,
    pub(crate) clock: Arc<QuickClock>,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) pressing: Pressing,
    /// The same once the last word was asked for.
    pub(crate) pressing_then: Option<Pressing>,
    /// Why the last word is not given.
    pub(crate) refusal: Option<String>,
    /// How often the last word was asked for, in the current sync.
    pub(crate) words: Mutex<u32>,
    pub(crate) key: &'static str,
    pub(crate) force: bool,
    pub(crate) compose: String,
    /// More files of the repository.
    pub(crate) files: Vec<(&'static str, &'static str)>,
    pub(crate) target: serde_json::Value,
    /// How Vault is reached, if it is.
    pub(crate) access: Access,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self {
            dokploy: StandIn::start().await,
            clock: Arc::default(),
            breakers: Arc::default(),
            pressing: Pressing::Not,
            pressing_then: None,
            refusal: None,
            words: Mutex::default(),
            key: KEY,
            force: false,
            compose: COMPOSE.to_owned(),
            files: Vec::new(),
            target: serde_json::json!({ "file": "compose.yaml" }),
            access: Access::default(),
        }
    }

    /// One with the service there, and these variables.
    pub(crate) async fn with(env: &str) -> Self {
        let rig = Self::new().await;
        let fields = serde_json::json!({ "env": env, "sourceType": "github", "branch": "main", "autoDeploy": true, "composeFile": "" });
        rig.dokploy.has("platform", "staging", "redis", &fields);
        rig
    }

    /// How many requests of the current sync change something.
    fn changes(&self) -> usize {
        self.dokploy.state().asked.iter().filter(|asked| asked.method != "GET").count()
    }

    fn order(&self) -> ServiceSync {
        let target: DokployTarget = serde_json::from_value(self.target.clone()).expect("a target");
        ServiceSync {
            run: RunId::fresh(ShardNo(0)),
            source: "infra".parse().expect("a source"),
            git_url: "https://git.example.com/infra.git".parse().expect("an address"),
            git_ref: "refs/heads/main".parse().expect("a reference"),
            commit: SHA.parse().expect("a commit"),
            follows_branch: true,
            named: false,
            tag: None,
            environment: "staging".parse().expect("an environment"),
            service: proto::sync::Selected {
                service: "platform/redis".parse().expect("a service"),
                dir: "platform/02.redis".parse().expect("a path"),
                task: "redis.sync".to_owned(),
                executor: Executor::Dokploy(target),
                reasons: Vec::new(),
                after: Vec::new(),
                production_only: false,
                requires: Vec::new(),
                depends_on: Vec::new(),
            },
            command: Vec::new(),
            timeout_s: 600,
            force: self.force,
            triggered_by: "a test".to_owned(),
        }
    }

    /// Syncs once. Nothing that is written anywhere holds a secret.
    pub(crate) async fn sync(&self) -> AttemptOutcome {
        *self.words.lock().expect("not poisoned") = 0;
        self.dokploy.state().asked.clear();
        let sync = self.order();
        let Executor::Dokploy(target) = &sync.service.executor else { panic!("another executor") };
        let checkout = tempfile::tempdir().expect("a folder");
        for (path, content) in self.files.iter().copied().chain([("platform/02.redis/compose.yaml", self.compose.as_str())]) {
            let path = checkout.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, content).expect("written");
        }
        let settings = settings::WorkerSync {
            internal_domain: Some("example.com".to_owned()),
            vault_addr: Some("https://vault.example.com".to_owned()),
            ..settings::WorkerSync::default()
        };
        let variables = Variables::new([], BTreeMap::new(), &settings);
        let made = match made::read(checkout.path(), &sync, &target.native, &variables) {
            Ok(made) => made,
            Err(failure) => return AttemptOutcome::Failed { failure },
        };
        let api = Api::new(&self.dokploy.base, &Secret::new(self.key), self.breakers.clone(), self.clock.clone()).expect("an API");
        let keeper = Keeper::new(self.access.clone()).expect("a keeper");
        let order = Order {
            sync: &sync,
            target,
            made: &made,
            variables: &variables,
            api: &api,
            clock: &*self.clock,
            patience: Patience { timeout: Duration::from_mins(1), interval: Duration::from_secs(3) },
            secrets: Secrets { keeper: &keeper, mount: "secret" },
            host: None,
        };
        let mut attempt = Attempt { rig: self, secrets: vec![KEY.to_owned()], lines: Vec::new() };
        let outcome = perform(&mut attempt, &order).await;
        let told = format!("{outcome:?} {:?} {api:?} {variables:?}", attempt.lines);
        assert!(!told.contains("c4nary"), "a secret is told: {told}");
        let bodies: Vec<String> = self.dokploy.state().asked.iter().map(|asked| asked.body.clone()).collect();
        assert!(!bodies.concat().contains(KEY), "the key stands in a body");
        outcome
    }

    /// What the last sync asked.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.dokploy.operations()
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

pub(crate) fn action(outcome: &AttemptOutcome) -> SyncAction {
    brought(outcome).action
}

/// Kind and message.
pub(crate) fn failure(outcome: &AttemptOutcome) -> (&str, &str) {
    match outcome {
        AttemptOutcome::Failed { failure } => {
            assert!(!failure.next_action.is_empty() && failure.phase == "sync", "{failure:?}");
            (&failure.kind, &failure.message)
        }
        other => panic!("no failure but {other:?}"),
    }
}

/// How often an operation stands in a list.
pub(crate) fn count(operations: &[String], operation: &str) -> usize {
    operations.iter().filter(|asked| *asked == operation).count()
}

/// The value of a variable in the stored text.
pub(crate) fn variable<'e>(env: &'e str, name: &str) -> Option<&'e str> {
    env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}
