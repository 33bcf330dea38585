//! A run as a scheduler plays it: each decision committed to RUNS, then the pages that show it, then the view.

use crate::scheduler::{at, seat};
use bus::Bus;
use bytes::Bytes;
use domain::run::{self, Entry, Input, Policy, Run};
use jiff::Timestamp;
use proto::{
    AttemptNo, JobNo, PoolName, RunId, Seat, ShardNo, codec,
    ids::AttemptId,
    message::{AttemptOutcome, Failure, JobResult, ProbeSpec, ReportWhat, RunSpec, Trigger},
    orders::{Graph, OrderEvent, OrderNode, OrderResult, OrdersSpec},
    view::JobsPage,
};

/// An order that needs these.
pub(crate) fn order(n: u32, needs: &[u32]) -> OrderNode {
    let needs = needs.iter().copied().map(JobNo).collect();
    OrderNode { name: format!("order-{n}"), needs, optional: false, timeout_s: 100, pool: PoolName::default() }
}

/// So many orders that need nothing.
pub(crate) fn orders(count: u32) -> Vec<OrderNode> {
    (0..count).map(|n| order(n, &[])).collect()
}

fn spec(orders: Vec<OrderNode>) -> RunSpec {
    RunSpec::Orders(OrdersSpec {
        trace_id: "0123abcd".into(),
        username: "ada".into(),
        flow_label: "exec".into(),
        pull_request: None,
        search_tag: "tag".into(),
        job_timeout_s: 3600,
        max_parallel: 1000,
        priority: 5,
        callbacks: Vec::new(),
        page_starts: vec![0],
        graph: Graph(orders),
    })
}

/// A run being played.
pub(crate) struct Play {
    pub(crate) bus: Bus,
    pub(crate) run: Run,
    pub(crate) seq: u64,
    now: Timestamp,
}

impl Play {
    pub(crate) async fn of_orders(bus: &Bus, name: &str, orders: Vec<OrderNode>) -> Self {
        Self::new(bus, name, spec(orders), Timestamp::now()).await
    }

    /// A run that was played long ago.
    pub(crate) async fn long_ago(bus: &Bus, name: &str, orders: Vec<OrderNode>) -> Self {
        Self::new(bus, name, spec(orders), at(0)).await
    }

    pub(crate) async fn of_probe(bus: &Bus, name: &str) -> Self {
        Self::new(bus, name, RunSpec::Probe(ProbeSpec::default()), Timestamp::now()).await
    }

    async fn new(bus: &Bus, name: &str, spec: RunSpec, now: Timestamp) -> Self {
        let trigger = Trigger {
            run: RunId::from_repeatable(&[name], ShardNo(0)),
            accepted_at: now,
            by: "ada".into(),
            spec,
            pool: PoolName::default(),
            has_secrets: false,
            request_digest: None,
            traceparent: None,
        };
        let (run, events) = run::accept(&trigger, now, &Policy::default());
        let mut play = Self { bus: bus.clone(), run, seq: 0, now };
        play.commit(events).await;
        play.show().await;
        play
    }

    pub(crate) fn id(&self) -> RunId {
        self.run.id
    }

    /// A decision that nobody is shown yet.
    pub(crate) async fn decide(&mut self, input: &Input) {
        let events = run::decide(&mut self.run, input, self.now, &Policy::default()).expect("it is due");
        self.commit(events).await;
    }

    pub(crate) async fn feed(&mut self, input: &Input) {
        self.decide(input).await;
        self.show().await;
    }

    async fn commit(&mut self, events: Vec<run::Event>) {
        let open = !self.run.is_over();
        let entry = codec::encode(&Entry::new("nonce-of-the-scheduler".into(), self.now, events)).expect("JSON");
        self.seq = self.bus.run_log().commit(self.run.id, self.seq, entry, open).await.expect("stored");
    }

    /// Everything is told again in one entry, as for a run that stays open for very long.
    pub(crate) async fn begin_again(&mut self) {
        let to = self.bus.clone();
        self.retell(&to).await;
    }

    /// The same in a store that has nothing of what was before.
    pub(crate) async fn begin_again_at(&mut self, bus: &Bus) {
        self.seq = 0;
        self.retell(bus).await;
    }

    async fn retell(&mut self, to: &Bus) {
        let log = self.bus.run_log().load(self.run.id).await.expect("loaded");
        let before = log.iter().map(|(_, entry)| codec::decode(entry).expect("an entry")).collect();
        self.bus = to.clone();
        let again = Entry { before, ..Entry::new("nonce-of-the-scheduler".into(), self.now, Vec::new()) };
        let again = codec::encode(&again).expect("JSON");
        self.seq = self.bus.run_log().begin_again(self.run.id, self.seq, again).await.expect("stored");
        self.show().await;
    }

    pub(crate) async fn show(&self) {
        for page in 0..JobsPage::count(self.run.jobs.len() as u32) {
            if let Some(page) = run::jobs_page(&self.run, page, self.seq) {
                self.bus.views().put_jobs(&page).await.expect("stored");
            }
        }
        self.bus.views().put(&run::view(&self.run, self.seq)).await.expect("stored");
    }

    /// Gives every pool places.
    pub(crate) async fn dispatch(&mut self) {
        let pools = self.run.orders.as_ref().expect("orders").ready.keys().cloned();
        let places = pools.map(|pool| (pool, u32::MAX)).collect();
        self.feed(&Input::Dispatch { places }).await;
    }

    /// The attempt that counts.
    pub(crate) fn attempt(&self, no: u32) -> AttemptId {
        let attempt = self.run.job(JobNo(no)).and_then(|job| job.current()).map_or(AttemptNo::FIRST, |attempt| attempt.no);
        AttemptId { run: self.run.id, job: JobNo(no), attempt }
    }

    pub(crate) async fn begin(&mut self, no: u32) {
        let AttemptId { job, attempt, .. } = self.attempt(no);
        let (worker, nonce) = (seat().worker, "nonce-of-a-worker".to_owned());
        self.feed(&Input::Begin { job, attempt, worker: worker.clone(), nonce: nonce.clone() }).await;
        self.feed(&Input::StartEffects { job, attempt, worker, nonce, serial_before: None }).await;
    }

    async fn report(&mut self, no: u32, what: ReportWhat) {
        let AttemptId { job, attempt, .. } = self.attempt(no);
        self.feed(&Input::Report { job, attempt, worker: seat().worker, what }).await;
    }

    pub(crate) async fn tell(&mut self, no: u32, event_type: &str) {
        let event = OrderEvent { event_type: event_type.into(), status: "info".into(), data: serde_json::json!({ "adds": 3 }) };
        self.report(no, ReportWhat::OrderEvents { events: vec![event.clone(), event] }).await;
    }

    pub(crate) async fn succeed(&mut self, no: u32) {
        let result = if self.run.orders.is_some() { JobResult::Order(OrderResult { commands: 1 }) } else { JobResult::Nothing };
        self.report(no, ReportWhat::Ended(AttemptOutcome::Succeeded { result })).await;
    }

    pub(crate) async fn fail(&mut self, no: u32) {
        let failure = Failure {
            kind: "exit_code".into(),
            phase: "orders".into(),
            message: "command 1 of 1 ended with exit code 2".into(),
            next_action: String::new(),
        };
        self.report(no, ReportWhat::Ended(AttemptOutcome::Failed { failure })).await;
    }

    /// The whole output of the attempt that counts, in the pool where the order runs.
    pub(crate) async fn output(&self, no: u32, text: &str) {
        let seat = Seat { pool: self.run.pool_of(JobNo(no)).clone(), worker: seat().worker };
        let to = bus::Output { id: self.attempt(no), seat };
        let (logs, length) = (self.bus.logs(), text.len() as u64);
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        logs.publish(&to, 0, "orders", bytes, None).await.expect("sent").wait().await.expect("stored");
        logs.publish(&to, length, "completed", Bytes::new(), Some(length)).await.expect("sent").wait().await.expect("stored");
    }
}
