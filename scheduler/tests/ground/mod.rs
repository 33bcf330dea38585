//! What a story about one shard stands on: a nats-server of its own, schedulers that can be killed or made to stand still,
//! and the words of gateways and workers.

mod labour;
pub mod syncs;

use bus::{Bus, ConnectOptions, Held, KeyPair, Layout, Role, Server, ServerOptions};
use domain::run::{Entry, Event, Input, Policy, Run, accept, decide};
use jiff::Timestamp;
use proto::{
    AttemptNo, JobNo, PoolName, RunId, Seat, ShardNo, WorkerId, codec,
    ids::AttemptId,
    lock::{LockHolder, LockRecord, LockWaiter},
    message::{
        Ask, AskAnswer, AskWhat, AttemptOutcome, Command, CommandAnswer, CommandVerb, Heartbeat, InboxMessage, JobResult, ProbeSpec,
        Report, ReportWhat, RunSpec, Trigger,
    },
    orders::{Graph, OrderBundle, OrderNode, OrdersSpec},
    terraform::{PlanArtifact, PlanResult, PlanSummary, Tool, ToolUsed},
    view::{RunStatus, RunView},
};
use service::{
    metrics::Metrics,
    ops::Readiness,
    settings::{Period, Settings},
    shutdown::{Reason, Shutdown, Tasks},
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

pub const SHARD: ShardNo = ShardNo(0);
pub const PLAN: JobNo = JobNo(0);
pub const APPLY: JobNo = JobNo(1);
/// Reached only by what does not come about.
pub const GENEROUS: Duration = Duration::from_mins(1);
const ANSWER_WAIT: Duration = Duration::from_secs(2);

pub struct Ground {
    server: tokio::sync::Mutex<Option<Server>>,
    pid: AtomicU32,
    options: ConnectOptions,
    ways: Box<dyn Fn(Role) -> ConnectOptions + Send + Sync>,
    pub bus: Bus,
    sealing: Arc<KeyPair>,
    dir: TempDir,
}

/// A scheduler on a thread and runtime of its own: ending those is as near to SIGKILL as one process allows.
pub struct Scheduler {
    pub metrics: Metrics,
    pub readiness: Readiness,
    pub shutdown: Shutdown,
    kill: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    handle: tokio::runtime::Handle,
}

/// Seconds.
#[derive(Clone, Copy)]
pub struct Wish {
    pub lease: u64,
    pub sweep: u64,
}

pub const CALM: Wish = Wish { lease: 600, sweep: 1 };

impl Ground {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(ServerOptions::in_dir(dir.path())).await.unwrap();
        let bus = Bus::connect(server.connect_options("test")).await.unwrap();
        bus.migrate(&Layout::default()).await.unwrap();
        let (options, pid) = (server.connect_options("scheduler"), AtomicU32::new(server.pid()));
        let ways = Box::new(server.ways_to_connect("test"));
        Self { server: Some(server).into(), pid, options, ways, bus, sealing: Arc::new(KeyPair::generate()), dir }
    }

    fn options(&self) -> ConnectOptions {
        self.options.clone()
    }

    /// SIGKILL for NATS, and a new life after a while, with everything it had stored.
    pub async fn nats_away(&self, span: Duration) {
        let mut server = self.server.lock().await;
        sigkill(self.pid.load(Ordering::Relaxed));
        if let Some(mut gone) = server.take() {
            gone.wait().await;
        }
        sleep(span).await;
        let again = Server::start(ServerOptions::in_dir(self.dir.path())).await.unwrap();
        self.pid.store(again.pid(), Ordering::Relaxed);
        assert_eq!(again.connect_options("scheduler").url, self.options.url, "clients find it where it was");
        *server = Some(again);
    }

    pub async fn raw(&self) -> async_nats::jetstream::Context {
        let options = self.options();
        let with = async_nats::ConnectOptions::new().user_and_password(options.user.unwrap(), options.password.unwrap());
        async_nats::jetstream::new(with.connect(options.url).await.unwrap())
    }

    pub fn scheduler(&self, wish: Wish) -> Scheduler {
        self.scheduler_with(wish, |_| {})
    }

    pub fn scheduler_with(&self, wish: Wish, change: impl FnOnce(&mut Settings)) -> Scheduler {
        self.scheduler_by(wish, self.options(), change)
    }

    /// With the user of its role and no more rights than that has.
    pub fn scheduler_as(&self, wish: Wish, role: Role) -> Scheduler {
        self.scheduler_by(wish, (self.ways)(role), |_| {})
    }

    /// Takes a line out of what a user may do, while the server runs.
    pub async fn forbid(&self, user: &str, line: &str) {
        let (config, log) = (self.dir.path().join("nats.conf"), self.dir.path().join("nats.log"));
        let text = std::fs::read_to_string(&config).unwrap();
        let (before, from) = text.split_once(&format!("user: \"{user}\"")).unwrap();
        let shortened = from.replacen(&format!("\"{line}\""), "", 1);
        assert_ne!(shortened, from, "{line} is one of its lines");
        std::fs::write(&config, format!("{before}user: \"{user}\"{shortened}")).unwrap();
        signal("-HUP", self.pid.load(Ordering::Relaxed));
        eventually("the server to read it", || async {
            std::fs::read_to_string(&log).ok()?.contains("Reloaded server configuration").then_some(())
        })
        .await;
    }

    fn scheduler_by(&self, wish: Wish, options: ConnectOptions, change: impl FnOnce(&mut Settings)) -> Scheduler {
        let sealing = self.sealing.clone();
        let mut settings = Settings::default();
        change(&mut settings);
        settings.scheduler.lease = Period::seconds(wish.lease);
        settings.scheduler.sweep = Period::seconds(wish.sweep);
        let (metrics, readiness, shutdown) = (Metrics::new("0", "0"), Readiness::new(), Shutdown::new());
        let (kill, killed) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (tasks, counted, probed) = (Tasks::new(shutdown.clone()), metrics.clone(), readiness.clone());
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let run = async {
                    let bus = Bus::connect(options).await.unwrap();
                    let settings = Arc::new(settings);
                    let deps = scheduler::Deps { bus, settings, metrics: counted, readiness: probed, sealing, tasks: tasks.clone() };
                    if let Err(error) = scheduler::run(deps).await {
                        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                        tasks.shutdown().begin(Reason::Failed(format!("{error}: {cause}")));
                    }
                };
                tokio::select! {
                    () = run => {}
                    _ = killed => {}
                }
            });
            runtime.shutdown_background();
        });
        Scheduler { metrics, readiness, shutdown, kill: Some(kill), thread: Some(thread), handle }
    }

    /// Stores bundles as a gateway does, in pages that begin with these orders.
    pub async fn seal_pages(&self, run: RunId, starts: &[u32], bundles: &[OrderBundle]) {
        let ends = starts.iter().skip(1).map(|start| *start as usize).chain([bundles.len()]);
        for ((page, start), end) in (0..).zip(starts).zip(ends) {
            let plain = codec::encode(&bundles[*start as usize..end].to_vec()).unwrap();
            let sealed = bus::seal_to(&self.sealing.public_hex(), &run.to_string(), &plain).unwrap();
            self.bus.sealed().put_page(run, page, &sealed).await.unwrap();
        }
    }

    pub async fn submit(&self, trigger: &Trigger) {
        let message = InboxMessage::Trigger(Box::new(trigger.clone()));
        self.bus.inbox().publish(trigger.run, &message, &format!("trigger.{}", trigger.run), None).await.unwrap();
    }

    pub async fn command(&self, run: RunId, verb: CommandVerb) -> Option<CommandAnswer> {
        self.command_as(run, verb, &uuid::Uuid::new_v4().to_string()).await
    }

    /// A command under a message id of the test's choice.
    pub async fn command_as(&self, run: RunId, verb: CommandVerb, id: &str) -> Option<CommandAnswer> {
        let answer = self.bus.inbox().reply_box().await.unwrap();
        let reply_to = Some(answer.subject.clone());
        let command = InboxMessage::Command(Command { run, by: "ada".to_owned(), at: Timestamp::now(), verb, reply_to });
        self.bus.inbox().publish(run, &command, id, None).await.unwrap();
        answer.wait(GENEROUS).await
    }

    /// Whether a trigger or a command for the run stands in the INBOX.
    pub async fn is_stored(&self, run: RunId) -> bool {
        let inbox = self.raw().await.get_stream("INBOX").await.unwrap();
        inbox.get_last_raw_message_by_subject(&proto::subject::inbox(run)).await.is_ok()
    }

    pub async fn report(&self, id: AttemptId, worker: &str, what: ReportWhat) {
        let message =
            InboxMessage::Report(Box::new(Report { id, pool: PoolName::default(), worker: name(worker), at: Timestamp::now(), what }));
        self.bus.inbox().publish(id.run, &message, &uuid::Uuid::new_v4().to_string(), None).await.unwrap();
    }

    pub async fn ended(&self, id: AttemptId, worker: &str, result: JobResult) {
        self.report(id, worker, ReportWhat::Ended(AttemptOutcome::Succeeded { result })).await;
    }

    async fn ask(&self, id: AttemptId, worker: &str, nonce: &str, what: AskWhat) -> Option<AskAnswer> {
        self.ask_as(&Ask { id, pool: PoolName::default(), worker: name(worker), nonce: nonce.to_owned(), what }).await
    }

    /// Whoever it says that it is.
    pub async fn ask_as(&self, ask: &Ask) -> Option<AskAnswer> {
        self.bus.asks().ask(ask, ANSWER_WAIT).await.ok()
    }

    pub async fn begin(&self, id: AttemptId, worker: &str, nonce: &str) -> Option<AskAnswer> {
        self.ask(id, worker, nonce, AskWhat::Begin { public_key: KeyPair::generate().public_hex() }).await
    }

    /// Asks until the answer is a yes.
    pub async fn began(&self, id: AttemptId, worker: &str) {
        eventually("a permit", || async { matches!(self.begin(id, worker, worker).await, Some(AskAnswer::Permit(_))).then_some(()) }).await;
    }

    pub async fn start_effects(&self, id: AttemptId, worker: &str) -> Option<AskAnswer> {
        self.ask(id, worker, worker, AskWhat::StartEffects { serial_before: Some(7) }).await
    }

    pub async fn beat(&self, worker: &str, running: Vec<AttemptId>) {
        let beat = Heartbeat {
            worker: name(worker),
            pool: PoolName::default(),
            at: Timestamp::now(),
            started_at: Timestamp::UNIX_EPOCH,
            version: "0".to_owned(),
            slots: 1,
            running,
            draining: false,
            tools: Vec::new(),
        };
        // Without NATS nobody hears it; the next one may be heard.
        let _ = self.bus.fleet().beat(&beat).await;
    }

    pub async fn until(&self, run: RunId, what: &str, wanted: impl Fn(&RunView) -> bool) -> RunView {
        let wanted = &wanted;
        eventually(what, || async move { self.bus.views().get(run).await.ok().flatten().filter(|view| wanted(view)) }).await
    }

    pub async fn until_status(&self, run: RunId, status: RunStatus) -> RunView {
        self.until(run, &format!("{status:?} of {run}"), |view| view.status == status).await
    }

    pub async fn probe_done(&self) {
        let trigger = probe();
        let id = attempt(trigger.run, PLAN, 1);
        self.submit(&trigger).await;
        self.began(id, "w0").await;
        self.ended(id, "w0", JobResult::Nothing).await;
        self.until_status(trigger.run, RunStatus::Success).await;
    }

    pub async fn log(&self, run: RunId) -> Vec<Event> {
        let stored = self.bus.run_log().load(run).await.unwrap();
        stored.iter().flat_map(|(_, bytes)| codec::decode::<Entry>(bytes).unwrap().events).collect()
    }

    /// Writes a run's log by hand, as a scheduler that died right afterwards would have left it.
    pub async fn wrote(&self, trigger: &Trigger, inputs: &[Input]) -> (Run, u64) {
        let policy = Policy::default();
        let (mut run, events) = accept(trigger, Timestamp::now(), &policy);
        let mut seq = self.append(&run, 0, events, None).await;
        for input in inputs {
            let events = decide(&mut run, input, Timestamp::now(), &policy).unwrap();
            seq = self.append(&run, seq, events, None).await;
        }
        (run, seq)
    }

    /// Writes one more decision by hand, that follows the command of this id.
    pub async fn wrote_for(&self, (run, seq): (&mut Run, u64), input: &Input, command: &str) -> u64 {
        let events = decide(run, input, Timestamp::now(), &Policy::default()).unwrap();
        self.append(run, seq, events, Some(command.to_owned())).await
    }

    async fn append(&self, run: &Run, after: u64, events: Vec<Event>, cause: Option<String>) -> u64 {
        let entry = Entry { cause, ..Entry::new(uuid::Uuid::new_v4().to_string(), Timestamp::now(), events) };
        self.bus.run_log().commit(run.id, after, codec::encode(&entry).unwrap(), !run.is_over()).await.unwrap()
    }

    /// Writes a lock's record by hand.
    pub async fn hold(&self, whose: &Trigger, holder: RunId, line: &[&Trigger]) {
        let Held { value, revision } = lock_of(self, whose).await;
        let waiter = |trigger: &&Trigger| LockWaiter { run: trigger.run, since: Timestamp::now(), wants: vec![value.key.clone()] };
        let queue = line.iter().map(waiter).collect();
        let value = LockRecord { holder: Some(LockHolder { run: holder, since: Timestamp::now() }), queue, ..value };
        self.bus.locks().write_all(&[Held { value, revision }]).await.unwrap();
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        sigkill(self.pid.load(Ordering::Relaxed));
    }
}

fn sigkill(pid: u32) {
    signal("-9", pid);
}

fn signal(which: &str, pid: u32) {
    let _ = std::process::Command::new("kill").args([which, &pid.to_string()]).status();
}

impl Scheduler {
    /// How many messages of the INBOX came to it again.
    pub fn redelivered(&self) -> f64 {
        self.counts("navvy_redeliveries_total{consumer=\"scheduler\"}")
    }

    /// A counter's value, by its name and labels.
    pub fn counts(&self, series: &str) -> f64 {
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.starts_with(series)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Nothing is finished, nothing is said.
    pub fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            let _ = kill.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// The whole process stands still.
    pub fn stand_still(&self, span: Duration) {
        self.handle.spawn(async move { std::thread::sleep(span) });
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn name(worker: &str) -> WorkerId {
    worker.parse().unwrap()
}

/// The worker of this name in the usual pool.
pub fn seat(worker: &str) -> Seat {
    Seat { pool: PoolName::default(), worker: name(worker) }
}

pub fn attempt(run: RunId, job: JobNo, attempt: u32) -> AttemptId {
    AttemptId { run, job, attempt: AttemptNo(attempt) }
}

fn trigger(spec: RunSpec) -> Trigger {
    Trigger {
        run: RunId::fresh(SHARD),
        accepted_at: Timestamp::now(),
        by: "ada".to_owned(),
        spec,
        pool: PoolName::default(),
        has_secrets: false,
        request_digest: None,
        traceparent: None,
    }
}

pub fn probe() -> Trigger {
    trigger(RunSpec::Probe(ProbeSpec::default()))
}

/// A run of orders; each is given with the orders that it needs. Its bundles must be stored before it is submitted.
pub fn orders(needs: &[&[u32]], max_parallel: u32) -> Trigger {
    let node = |needs: &&[u32]| OrderNode {
        name: "order".to_owned(),
        needs: needs.iter().map(|no| JobNo(*no)).collect(),
        optional: false,
        timeout_s: 600,
        pool: PoolName::default(),
    };
    let spec = OrdersSpec {
        trace_id: "0123abcd".to_owned(),
        username: "ada".to_owned(),
        flow_label: "exec".to_owned(),
        pull_request: None,
        search_tag: "tag".to_owned(),
        job_timeout_s: 3600,
        max_parallel,
        priority: 5,
        callbacks: Vec::new(),
        page_starts: vec![0],
        graph: Graph(needs.iter().map(node).collect()),
    };
    trigger(RunSpec::Orders(spec))
}

pub fn terraform(workspace: &str) -> Trigger {
    let spec = serde_json::from_value(serde_json::json!({
        "tool": "terraform", "git_url": "https://git.example/a/b", "git_ref": "main", "workspace": workspace,
        "timeout_minutes": 60, "auto_approve": true, "destroy": false,
    }));
    trigger(RunSpec::Terraform(spec.unwrap()))
}

pub fn twenty_runs() -> Vec<Trigger> {
    (0..14).map(|_| probe()).chain((0..6).map(|n| terraform(&format!("w{}", n % 2)))).collect()
}

pub fn plan() -> JobResult {
    JobResult::Plan(Box::new(PlanResult {
        artifact: PlanArtifact {
            object: "plan/x".to_owned(),
            plan_sha256: "abc".to_owned(),
            bytes: 1,
            commit: "a".repeat(40).parse().unwrap(),
            tool: ToolUsed { tool: Tool::Terraform, version: "1.11.4".to_owned() },
        },
        summary: PlanSummary::default(),
    }))
}

pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + GENEROUS;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come about");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Each attempt was permitted once at most, and the run ended once.
pub fn once(events: &[Event]) {
    let permit = |event: &Event| if let Event::Permitted { job, attempt, .. } = event { Some((*job, *attempt)) } else { None };
    let mut permits: Vec<_> = events.iter().filter_map(permit).collect();
    let all = permits.len();
    permits.sort_unstable();
    permits.dedup();
    assert_eq!(permits.len(), all, "a permit was given twice: {events:?}");
    assert_eq!(events.iter().filter(|event| matches!(event, Event::RunEnded { .. })).count(), 1, "{events:?}");
}

/// A run's lock as the store has it.
pub async fn lock_of(ground: &Ground, trigger: &Trigger) -> Held<LockRecord> {
    let (run, _) = accept(trigger, Timestamp::now(), &Policy::default());
    ground.bus.locks().read(&run.locks).await.unwrap().remove(0)
}
