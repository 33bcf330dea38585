//! The people: each submits a run, approves, cancels or repeats as chance has it, and does not rest before it is settled.

use crate::{faults::Troubled, seed::Seed};
use crash_tests::{
    lane::{Ground, request},
    oracle::Promises,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use system_tests::client::Client;

/// States that runs share: fewer than there are people, so that they wait for one another.
const WORLDS: usize = 8;
/// No answer for so long is none.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long a person gives a lost worker to come back with the truth.
const PATIENT_FOR: Duration = Duration::from_secs(20);

/// What the tool does in an apply.
const APPLIES: [&str; 14] = [
    "persist",
    "persist",
    "sleep:300 persist",
    "persist sleep:700 persist",
    "effect:part sleep:2500 persist",
    "deaf sleep:1500 persist",
    "deaf effect:part sleep:4000 persist",
    "sleep:9000 persist",
    "deaf effect:part sleep:12000 persist",
    "noise:2000000 persist",
    "persist exit:1",
    "effect:part signal:9",
    "effect:part errored exit:1",
    "effect:part exit:2",
];
const PLANS: [&str; 4] = ["", "sleep:400", "sleep:2000", "pad:400000"];

/// What they share.
#[derive(Debug)]
pub(crate) struct People {
    ground: Arc<Ground>,
    client: Client,
    troubled: Troubled,
    pub(crate) worlds: Vec<PathBuf>,
    promises: Mutex<Promises>,
    submitted: AtomicUsize,
    pub(crate) repeated: AtomicUsize,
    pub(crate) approved: AtomicUsize,
    pub(crate) cancelled: AtomicUsize,
    pub(crate) resolved: AtomicUsize,
    pub(crate) unanswered: AtomicUsize,
}

impl People {
    pub(crate) fn new(ground: Arc<Ground>, client: Client, troubled: Troubled, dir: &Path) -> anyhow::Result<Self> {
        let worlds: Vec<PathBuf> = (0..WORLDS).map(|n| dir.join(format!("world-{n}"))).collect();
        for world in &worlds {
            fs::create_dir_all(world)?;
        }
        let zero = || AtomicUsize::new(0);
        let (submitted, repeated, approved, cancelled, resolved, unanswered) = (zero(), zero(), zero(), zero(), zero(), zero());
        Ok(Self {
            ground,
            client,
            troubled,
            worlds,
            promises: Mutex::default(),
            submitted,
            repeated,
            approved,
            cancelled,
            resolved,
            unanswered,
        })
    }

    pub(crate) fn promises(&self) -> MutexGuard<'_, Promises> {
        self.promises.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Option<(StatusCode, Value)> {
        let answer = tokio::time::timeout(ANSWERED_WITHIN, self.client.call(method, path, body)).await;
        let answer = answer.ok().and_then(Result::ok);
        if answer.is_none() {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Submits until it is accepted. The same key each time.
    async fn submit(&self, key: &str, body: &Value) -> String {
        loop {
            let answer = tokio::time::timeout(ANSWERED_WITHIN, self.client.deploy_once(key, body)).await;
            if let Ok(Ok((StatusCode::ACCEPTED, answer))) = answer {
                let id = answer["deployment_id"].as_str().unwrap_or("no id").to_owned();
                self.promises().answered(key, &id);
                return id;
            }
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn status(&self, id: &str) -> Option<Value> {
        let (status, run) = self.call(Method::GET, &format!("/v1/runs/{id}"), None).await?;
        status.is_success().then_some(run)
    }

    /// Whether the last attempt's worker is there and nothing works on the state any more: what a person looks at before he
    /// says that an unknown run is over.
    fn is_quiet(&self, run: &Value, world: &Path) -> bool {
        let troubled = self.troubled.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = run["jobs"].as_array().into_iter().flatten().filter_map(|job| job["attempts"].as_array()).flatten();
        let far = attempts.filter_map(|attempt| attempt["worker"].as_str()).any(|worker| troubled.contains(worker));
        let applying = fs::read_to_string(world.join("applying")).unwrap_or_default();
        !far && !is_at_work(applying.trim())
    }
}

fn is_at_work(pid: &str) -> bool {
    !pid.is_empty() && fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// Goes on until there is enough; then finishes what is begun.
pub(crate) async fn work(people: Arc<People>, enough: Arc<AtomicBool>, mut seed: Seed) -> anyhow::Result<()> {
    while !enough.load(Ordering::SeqCst) {
        let number = people.submitted.fetch_add(1, Ordering::SeqCst);
        let world = seed.one_of(&people.worlds).clone();
        let label = format!("r{number}");
        fs::write(world.join(format!("{label}.apply")), seed.one_of(&APPLIES))?;
        fs::write(world.join(format!("{label}.plan")), seed.one_of(&PLANS))?;
        let by_hand = seed.percent(35);
        let body = request(&people.ground, &world, &label, !by_hand)?;
        let id = people.submit(&label, &body).await;
        if seed.percent(25) {
            people.repeated.fetch_add(1, Ordering::Relaxed);
            people.submit(&label, &body).await;
        }
        let cancel_after = seed.percent(15).then(|| seed.between(200, 6000));
        see_through(&people, &id, &world, cancel_after).await;
    }
    Ok(())
}

/// Until a run is over, with a person's help where it needs one.
pub(crate) async fn see_through(people: &People, id: &str, world: &Path, cancel_after: Option<Duration>) {
    let began = Instant::now();
    let mut cancel_after = cancel_after;
    let mut unknown_since: Option<Instant> = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(run) = people.status(id).await else { continue };
        match run["status"].as_str().unwrap_or_default() {
            "success" | "failed" | "cancelled" => return,
            "awaiting_approval" => {
                people.approved.fetch_add(1, Ordering::Relaxed);
                people.call(Method::POST, &format!("/deploy/{id}/approve"), Some(&json!({}))).await;
            }
            "unknown" => {
                let since = *unknown_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENT_FOR && people.is_quiet(&run, world) {
                    let found = json!({"as": "failed", "reason": "nothing works on it any more"});
                    let answer = people.call(Method::POST, &format!("/v1/runs/{id}/resolve"), Some(&found)).await;
                    people.resolved.fetch_add(usize::from(answer.is_some_and(|(status, _)| status == StatusCode::OK)), Ordering::Relaxed);
                }
            }
            _ => {
                if cancel_after.is_some_and(|after| began.elapsed() > after) {
                    cancel_after = None;
                    people.cancelled.fetch_add(1, Ordering::Relaxed);
                    people.call(Method::POST, &format!("/deploy/{id}/cancel"), Some(&json!({}))).await;
                }
            }
        }
    }
}

/// A run of somebody who comes when everything is over.
pub(crate) async fn one_more(people: &People, world: &Path) -> anyhow::Result<String> {
    let number = people.submitted.fetch_add(1, Ordering::SeqCst);
    let label = format!("r{number}");
    let body = request(&people.ground, world, &label, true)?;
    let id = people.submit(&label, &body).await;
    see_through(people, &id, world, None).await;
    let run = people.status(&id).await.unwrap_or_default();
    Ok(run["status"].as_str().unwrap_or("not told").to_owned())
}
