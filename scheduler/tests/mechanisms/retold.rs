//! A run that stays open for longer than RUNS keeps a message.

use crate::ground::{CALM, Ground, PLAN, attempt, eventually, probe};
use domain::run::Entry;
use proto::{codec, message::CommandAnswer, message::CommandVerb, message::JobResult, view::RunStatus};
use service::settings::Period;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_stays_open_outlives_the_age_of_its_first_decision() {
    let ground = Ground::new().await;
    let raw = ground.raw().await;
    let mut config = raw.get_stream("RUNS").await.unwrap().cached_info().config.clone();
    (config.max_age, config.duplicate_window) = (Duration::from_secs(6), Duration::from_secs(1));
    raw.update_stream(config).await.unwrap();
    let short = |settings: &mut service::settings::Settings| settings.scheduler.run_retention = Period::seconds(6);
    let mut scheduler = ground.scheduler_with(CALM, short);
    let trigger = probe();
    let id = attempt(trigger.run, PLAN, 1);
    ground.submit(&trigger).await;
    ground.began(id, "w1").await;
    assert_eq!(ground.command_as(trigger.run, CommandVerb::Cancel { force: false }, "the command").await, Some(CommandAnswer::Done));
    let first = ground.bus.run_log().load(trigger.run).await.unwrap()[0].0;
    // Told again twice at least: the first telling has aged out as well.
    let begins_at = || async { ground.bus.run_log().load(trigger.run).await.unwrap().first().map(|(seq, _)| *seq) };
    let second = eventually("the run to be told again", || async { begins_at().await.filter(|seq| *seq > first) }).await;
    eventually("the run to be told once more", || async { begins_at().await.filter(|seq| *seq > second) }).await;
    let runs = raw.get_stream("RUNS").await.unwrap();
    eventually("the first decision to be gone", || async { runs.get_raw_message(first).await.err() }).await;
    scheduler.kill();
    let _next = ground.scheduler_with(CALM, short);
    // Everything is still known: the permit, the cancel, and the command by its id.
    assert_eq!(ground.command_as(trigger.run, CommandVerb::Cancel { force: false }, "another").await, Some(CommandAnswer::AlreadySo));
    let stored = ground.bus.run_log().load(trigger.run).await.unwrap();
    let told: Entry = codec::decode(&stored[0].1).unwrap();
    assert!(told.before.iter().any(|entry| entry.cause.as_deref() == Some("the command")), "{told:?}");
    ground.ended(id, "w1", JobResult::Nothing).await;
    ground.until_status(trigger.run, RunStatus::Success).await;
}
