//! The scheduler: the only writer of run state. It takes what gateways and workers say, asks `domain` what follows,
//! commits that to the run's log, and does what is due.
//!
//! - `shard`: one shard's state in memory (all of it can be rebuilt) and the way to one run;
//! - `turn`: load, decide, commit, perform: the whole loop;
//! - `effects`, `locks`, `permit`: what is performed; `places`: which orders of which run go out next;
//! - `syncs`: what is kept of services and sources, and how the newest sync wins;
//! - `views`, `pages`: what the API shows;
//! - `lock_watch`: whether the lock records can be believed; `retell`: so that a run that stays open does not age out;
//! - `stranger`: who has no say about a run;
//! - `inbox`, `asks`, `leases`, `sweep`: what sets a turn off. A message only wakes; the sweep finds what was lost.
//!
//! It holds no outside credential: secrets pass through sealed, opened only to be sealed again to one attempt's key.

mod answer;
mod asks;
mod effects;
mod inbox;
mod leases;
mod lock_watch;
mod locks;
mod pages;
mod permit;
mod places;
mod retell;
mod shard;
mod stranger;
mod sweep;
mod syncs;
mod turn;
mod views;

use bus::{Bus, BusError, KeyPair};
use domain::{dispatch::Limits, run::Policy};
use jiff::SignedDuration;
use proto::{ShardNo, message::PublicSealingKey, subject};
use service::{metrics::Metrics, ops::Readiness, settings::Settings, shutdown::Tasks};
use shard::Shard;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Pause before what is open is read again.
const RECOVER_AGAIN: Duration = Duration::from_secs(1);

/// What a scheduler needs.
#[derive(Debug, Clone)]
pub struct Deps {
    pub bus: Bus,
    pub settings: Arc<Settings>,
    pub metrics: Metrics,
    /// Of the process; the scheduler adds its probe.
    pub readiness: Readiness,
    /// The key that gateways seal secrets to. The same for all schedulers of a cluster.
    pub sealing: Arc<KeyPair>,
    pub tasks: Tasks,
}

/// Why a scheduler cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    #[error("the message layer refused")]
    Bus(#[from] BusError),
    #[error(
        "this cluster's secrets are sealed to another key ({theirs}) than this scheduler has ({ours}): give every scheduler the same scheduler.sealing_key"
    )]
    OtherSealingKey { theirs: String, ours: String },
    #[error("the loop `{0}` ended by itself")]
    LoopEnded(&'static str),
}

/// Runs a scheduler for every shard until it is told to drain. Dying at any line loses nothing: what was not acknowledged
/// comes again, what was committed is found again.
pub async fn run(deps: Deps) -> Result<(), SchedulerError> {
    publish_sealing_key(&deps).await?;
    let policy = policy_of(&deps.settings);
    let count = u8::try_from(deps.settings.scheduler.shards.clamp(1, 255)).unwrap_or(1);
    let mut shards = Vec::new();
    for number in 0..count {
        let (shard, wakes) = Shard::open(&deps, ShardNo(number), policy, limits_of(&deps.settings, count));
        let shard = Arc::new(shard);
        if !recovered(&shard, &deps.tasks.shutdown().drain_token()).await? {
            return Ok(());
        }
        add_probe(&deps.readiness, &shard);
        start(&deps, &shard, wakes);
        shards.push(shard);
    }
    tracing::info!(shards = count, "scheduling");
    let drain = deps.tasks.shutdown().drain_token();
    tokio::select! {
        () = drain.cancelled() => {}
        // Without all of its permissions it decides and cannot act. The store has everything for one that can.
        error = deps.bus.refused() => return Err(error.into()),
    }
    for shard in shards {
        shard.settle().await;
    }
    Ok(())
}

/// Reads what is open, again while the store does not answer: a server that is busy or being elected at this moment is no
/// reason to end. `false`: told to drain meanwhile.
async fn recovered(shard: &Arc<Shard>, drain: &CancellationToken) -> Result<bool, SchedulerError> {
    loop {
        match sweep::recover(shard).await {
            Ok(()) => return Ok(true),
            Err(error) if error.retryable() => {
                tracing::warn!(shard = %shard.number, %error, "what is open cannot be read yet; trying again");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = drain.cancelled() => return Ok(false),
            () = tokio::time::sleep(RECOVER_AGAIN) => {}
        }
    }
}

/// A scheduler whose lock records cannot be believed, or whose streams are not there, is not ready: it starts nothing.
fn add_probe(readiness: &Readiness, shard: &Arc<Shard>) {
    let weak = Arc::downgrade(shard);
    readiness.add("shard", move || {
        let trouble = weak.upgrade().and_then(|shard| shard.trouble());
        async move { trouble.map_or(Ok(()), Err) }
    });
}

fn start(deps: &Deps, shard: &Arc<Shard>, wakes: shard::Wakes) {
    let drain = deps.tasks.shutdown().drain_token();
    deps.tasks.spawn_vital("scheduler inbox", inbox::consume(shard.clone(), deps.tasks.clone(), drain.clone()));
    deps.tasks.spawn_vital("scheduler asks", asks::serve(shard.clone(), deps.tasks.clone(), drain.clone()));
    deps.tasks.spawn_vital("scheduler wakes", inbox::follow_wakes(shard.clone(), wakes, drain.clone()));
    deps.tasks.spawn_vital("scheduler views", views::follow(shard.clone(), drain.clone()));
    for _ in 0..views::PAINTERS {
        deps.tasks.spawn_vital("scheduler painter", views::paint(shard.clone(), drain.clone()));
    }
    let ears = Arc::new(leases::Ears::default());
    deps.tasks.spawn_vital("scheduler fleet", leases::listen(shard.clone(), ears.clone(), drain.clone()));
    deps.tasks.spawn_vital("scheduler leases", leases::judge(shard.clone(), ears, drain.clone()));
    deps.tasks.spawn_vital("scheduler sweep", sweep::repeat(shard.clone(), drain));
}

fn policy_of(settings: &Settings) -> Policy {
    let scheduler = &settings.scheduler;
    let signed = |period: std::time::Duration| SignedDuration::try_from(period).unwrap_or(SignedDuration::MAX);
    Policy {
        approval_ttl: signed(scheduler.approval_ttl.into()),
        max_starts: scheduler.max_attempts.max(1),
        queue_deadline: scheduler.queue_deadline.map(|period| signed(period.into())),
        watchdog_slack: signed(scheduler.watchdog_slack.into()),
    }
}

/// A shard's share of the places: runs of different shards know nothing of one another.
fn limits_of(settings: &Settings, shards: u8) -> Limits {
    let share = |all: u32| (all / u32::from(shards)).max(1);
    Limits { all: share(settings.scheduler.max_orders), per_pool: share(settings.scheduler.max_orders_per_pool) }
}

/// Gateways learn the key from the store. A second scheduler with another key would make runs that the first cannot
/// start, so it does not start itself.
async fn publish_sealing_key(deps: &Deps) -> Result<(), SchedulerError> {
    let ours = PublicSealingKey { public: deps.sealing.public_hex(), key_id: deps.sealing.key_id() };
    let keys = deps.bus.keys();
    match keys.create(subject::SEALING_KEY, &ours).await {
        Ok(()) => return Ok(()),
        Err(BusError::Conflict { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    match keys.get::<PublicSealingKey>(subject::SEALING_KEY).await? {
        Some(theirs) if theirs == ours => Ok(()),
        Some(theirs) => Err(SchedulerError::OtherSealingKey { theirs: theirs.key_id, ours: ours.key_id }),
        None => Ok(keys.create(subject::SEALING_KEY, &ours).await?),
    }
}
