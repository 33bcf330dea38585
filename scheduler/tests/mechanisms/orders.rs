//! Runs of orders: their graph, their places, their pages, their bundles.

use crate::ground::{CALM, Ground, Wish, attempt, eventually, once, orders};
use domain::run::{Event, Input};
use proto::{
    JobNo, PoolName, RunId, Secret, WorkerId,
    message::{AskAnswer, AskWhat, AttemptOutcome, Failure, JobResult, ReportWhat, RunSpec, Trigger},
    orders::{OrderBundle, OrderResult},
    view::{JobView, RunStatus},
};
use std::collections::BTreeMap;

fn done() -> JobResult {
    JobResult::Order(OrderResult { commands: 1 })
}

fn failed() -> ReportWhat {
    let failure =
        Failure { kind: "exit_code".to_owned(), phase: "run".to_owned(), message: "exit code 7".to_owned(), next_action: String::new() };
    ReportWhat::Ended(AttemptOutcome::Failed { failure })
}

impl Ground {
    /// Begins an order and gives it the word to start.
    async fn started(&self, run: RunId, no: u32) {
        let id = attempt(run, JobNo(no), 1);
        self.began(id, "w1").await;
        eventually("the word", || async { matches!(self.start_effects(id, "w1").await, Some(AskAnswer::Go)).then_some(()) }).await;
    }

    async fn job(&self, run: RunId, no: u32) -> Option<JobView> {
        let page = self.bus.views().jobs(run, no / 32).await.ok().flatten()?;
        page.jobs.into_iter().find(|job| job.n == JobNo(no))
    }

    async fn until_job(&self, run: RunId, no: u32, status: &str) {
        eventually(&format!("order {no} {status}"), || async { self.job(run, no).await.filter(|job| job.status == status).map(|_| ()) })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_diamond_runs_through_over_schedulers_that_are_killed_at_every_step() {
    let ground = Ground::new().await;
    let trigger = orders(&[&[], &[0], &[0], &[1, 2]], 64);
    let run = trigger.run;
    ground.submit(&trigger).await;
    let mut scheduler = ground.scheduler(CALM);
    for no in 0..4 {
        ground.started(run, no).await;
        scheduler.kill();
        scheduler = ground.scheduler(CALM);
        ground.ended(attempt(run, JobNo(no), 1), "w1", done()).await;
        scheduler.kill();
        scheduler = ground.scheduler(CALM);
    }
    let view = ground.until_status(run, RunStatus::Success).await;
    assert_eq!(view.orders.map(|orders| (orders.total, orders.succeeded)), Some((4, 4)));
    once(&ground.log(run).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_shown_in_the_pages_of_everything_that_needed_it() {
    let ground = Ground::new().await;
    let needs: Vec<Vec<u32>> = (0..100_u32).map(|n| n.checked_sub(1).into_iter().collect()).collect();
    let needs: Vec<&[u32]> = needs.iter().map(Vec::as_slice).collect();
    let trigger = orders(&needs, 64);
    let run = trigger.run;
    ground.submit(&trigger).await;
    let _scheduler = ground.scheduler(CALM);
    ground.started(run, 0).await;
    ground.until_job(run, 99, "blocked").await;
    ground.report(attempt(run, JobNo(0), 1), "w1", failed()).await;
    let view = ground.until_status(run, RunStatus::Failed).await;
    assert_eq!(view.orders.map(|orders| orders.failed), Some(100));
    for no in [1, 31, 32, 99] {
        let job = ground.job(run, no).await.expect("shown before its run's view");
        assert_eq!((job.status.as_str(), job.failure.map(|failure| failure.kind)), ("failed", Some("dependency_failed".to_owned())));
    }
}

/// Two schedulers, one of them killed with a decision in the store and its orders unpublished: the other goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_and_not_published_is_published_by_whoever_comes() {
    let ground = Ground::new().await;
    let trigger = orders(&[&[], &[]], 1);
    ground.wrote(&trigger, &[Input::Dispatch { places: vec![(PoolName::default(), 9)] }]).await;
    let _scheduler = ground.scheduler(Wish { lease: 600, sweep: 1 });
    for no in 0..2 {
        ground.started(trigger.run, no).await;
        ground.ended(attempt(trigger.run, JobNo(no), 1), "w1", done()).await;
    }
    ground.until_status(trigger.run, RunStatus::Success).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_over_all_runs_are_kept_and_submitters_take_turns() {
    let ground = Ground::new().await;
    let wide: Vec<&[u32]> = vec![&[]; 6];
    let (first, second) = (orders(&wide, 64), Trigger { by: "bob".to_owned(), ..orders(&wide, 64) });
    ground.submit(&first).await;
    let _scheduler = ground.scheduler_with(CALM, |settings| settings.scheduler.max_orders = 4);
    let out = |run| ground.until(run, "orders out", |view| view.orders.is_some_and(|orders| orders.queued == 4));
    out(first.run).await;
    ground.submit(&second).await;
    // All four places are ada's. Each that becomes free is bob's, until each of the two has as many.
    for no in 0..2 {
        ground.started(first.run, no).await;
        ground.ended(attempt(first.run, JobNo(no), 1), "w1", done()).await;
    }
    let counts = |run, what, queued| ground.until(run, what, move |view| view.orders.is_some_and(|orders| orders.queued == queued));
    counts(second.run, "bob's share", 2).await;
    let ada = ground.until(first.run, "ada's share", |view| view.orders.is_some_and(|orders| orders.succeeded == 2)).await;
    assert_eq!(ada.orders.map(|orders| (orders.queued, orders.ready)), Some((2, 2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_gets_the_bundle_of_its_own_order_and_of_no_other() {
    let ground = Ground::new().await;
    let mut trigger = orders(&[&[], &[], &[]], 64);
    trigger.has_secrets = true;
    let RunSpec::Orders(spec) = &mut trigger.spec else { unreachable!() };
    spec.page_starts = vec![0, 2];
    let run = trigger.run;
    let bundle = |n: u32| OrderBundle {
        run_key: Secret::new("00"),
        cmds: vec![format!("echo {n}")],
        env_vars: BTreeMap::from([("TOKEN".to_owned(), Secret::new(format!("secret-{n}")))]),
        source: proto::orders::CodeSource::None,
        ssm_paths: Vec::new(),
        secret_manager_paths: Vec::new(),
        sops_key: None,
    };
    let bundles: Vec<_> = (0..3).map(bundle).collect();
    ground.seal_pages(run, &[0, 2], &bundles).await;
    ground.submit(&trigger).await;
    let _scheduler = ground.scheduler(CALM);
    for no in 0..3_u32 {
        let (id, keys) = (attempt(run, JobNo(no), 1), bus::KeyPair::generate());
        let worker: WorkerId = "w1".parse().unwrap();
        let what = AskWhat::Begin { public_key: keys.public_hex() };
        let ask = proto::message::Ask { id, pool: PoolName::default(), worker, nonce: "w1".to_owned(), what };
        let permit = eventually("a permit", || async {
            if let Some(AskAnswer::Permit(permit)) = ground.ask_as(&ask).await { Some(permit) } else { None }
        })
        .await;
        let plain = keys.open(&permit.secrets.expect("a bundle"), &id.to_string()).unwrap();
        assert_eq!(proto::codec::decode::<OrderBundle>(&plain).unwrap(), bundles[no as usize]);
        assert!(!String::from_utf8(plain).unwrap().contains(&format!("secret-{}", (no + 1) % 3)));
        assert_eq!(permit.budget_ms, 600_000);
        ground.report(id, "w1", failed()).await;
    }
    ground.until_status(run, RunStatus::Failed).await;
    eventually("the bundles to be gone", || async { ground.bus.sealed().list().await.ok()?.is_empty().then_some(()) }).await;
}

/// Orders of one run may be of several pools: a worker of another has no say about them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_belongs_to_its_own_pool() {
    let ground = Ground::new().await;
    let mut trigger = orders(&[&[], &[]], 64);
    let RunSpec::Orders(spec) = &mut trigger.spec else { unreachable!() };
    spec.graph.0[1].pool = "gpu".parse().unwrap();
    ground.bus.migrate(&bus::Layout { pools: vec!["gpu".parse().unwrap()], ..bus::Layout::default() }).await.unwrap();
    ground.submit(&trigger).await;
    let _scheduler = ground.scheduler(CALM);
    ground.until_job(trigger.run, 1, "queued").await;
    let refused = ground.begin(attempt(trigger.run, JobNo(1), 1), "w1", "w1").await;
    assert!(matches!(refused, Some(AskAnswer::Refused { .. })), "{refused:?}");
    ground.began(attempt(trigger.run, JobNo(0), 1), "w1").await;
    let permits = ground.log(trigger.run).await.into_iter().filter(|event| matches!(event, Event::Permitted { .. })).count();
    assert_eq!(permits, 1);
}
