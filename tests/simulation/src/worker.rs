//! A worker: pulls orders, asks, works, reports; what it wrote down survives its process, what it runs may too. As in
//! the crate `worker` (`slot`, `attempt/begin`, `attempt/stage`, `attempt/deliver`, `attempt/recover`).

use crate::{
    core::Ctx,
    oracle,
    shell::planted::wrong,
    sometimes::Case,
    store::{Once, Waiting},
    tool::{End, Tool},
    world::Parcel,
};
use proto::{
    PoolName, WorkerId,
    git::CommitId,
    ids::AttemptId,
    message::{AttemptOutcome, Evidence, Failure, InboxMessage, JobResult, PERMIT_LIFE_MS, Report, ReportWhat, StopMode, StopSignal, Work},
    terraform::{ApplyResult, PlanArtifact, PlanResult, PlanSummary, Tool as ToolKind, ToolUsed},
};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

const ANSWER_WAIT: u64 = 2_000;
const TRIES: u32 = 4;
const BEAT_EVERY: u64 = 5_000;

/// A question to the scheduler and where its answer goes.
#[derive(Debug, Clone)]
pub struct Question {
    pub id: AttemptId,
    pub worker: WorkerId,
    pub nonce: String,
    /// May the side effects start? Otherwise: may I begin?
    pub last_word: bool,
    pub slot: Rc<AnswerSlot>,
}

/// Where an answer arrives.
#[derive(Debug, Default)]
pub struct AnswerSlot {
    pub answer: RefCell<Option<Answer>>,
    pub there: Rc<Cell<bool>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Answer {
    Permit(Rc<Work>),
    Go,
    Refused,
    Later,
}

/// What a worker wrote down.
#[derive(Debug, Default)]
pub struct Disk {
    records: BTreeMap<AttemptId, Record>,
}

#[derive(Debug, Clone)]
struct Record {
    work: Rc<Work>,
    effects: bool,
    report: Option<Report>,
}

/// A worker's process.
#[derive(Debug, Clone)]
pub struct Worker {
    pub ctx: Ctx,
    pub name: WorkerId,
    pub running: Rc<RefCell<BTreeMap<AttemptId, Rc<Cell<bool>>>>>,
}

/// Leaves the list of what runs when it is dropped.
#[derive(Debug)]
struct Enlisted<'a>(&'a Worker, AttemptId);

impl Drop for Enlisted<'_> {
    fn drop(&mut self) {
        self.0.running.borrow_mut().remove(&self.1);
    }
}

impl Worker {
    pub fn new(ctx: Ctx, name: WorkerId) -> Self {
        Self { ctx, name, running: Rc::default() }
    }

    /// Starts: heartbeats, and what the former process left.
    pub fn start(&self) {
        let beating = self.clone();
        self.ctx.spawn(async move {
            loop {
                if !beating.ctx.is_cut() {
                    let running: BTreeSet<_> = beating.running.borrow().keys().copied().collect();
                    beating.ctx.core.send(Parcel::Beat { worker: beating.name.clone(), running });
                }
                beating.ctx.sleep(BEAT_EVERY).await;
            }
        });
        let left: Vec<_> = self.with_disk(|disk| disk.records.iter().map(|(id, record)| (*id, record.clone())).collect());
        for (id, record) in left {
            let worker = self.clone();
            worker.running.borrow_mut().insert(id, Rc::default());
            self.ctx.spawn(async move {
                let enlisted = Enlisted(&worker, id);
                worker.take_up(id, record).await;
                drop(enlisted);
            });
        }
    }

    fn with_disk<T>(&self, change: impl FnOnce(&mut Disk) -> T) -> T {
        change(self.ctx.core.disks.borrow_mut().entry(self.ctx.node).or_default())
    }

    /// Whether something stands right before its side effects.
    pub fn waits_for_the_last_word(&self) -> bool {
        let tools = self.ctx.core.tools.borrow();
        let waits = |(id, record): (&AttemptId, &Record)| record.effects && record.report.is_none() && !tools.0.contains_key(id);
        self.with_disk(|disk| disk.records.iter().any(waits))
    }

    fn now(&self) -> u64 {
        self.ctx.core.now.get()
    }

    /// A stop signal; one for an attempt that is not here is for nobody.
    pub fn stop(&self, signal: &StopSignal) {
        let Some(told) = self.running.borrow().get(&signal.id).cloned() else { return };
        told.set(true);
        let patience = u64::from(self.ctx.core.draw(30_000));
        let mut tools = self.ctx.core.tools.borrow_mut();
        match signal.mode {
            StopMode::Interrupt => tools.interrupt(signal.id, self.now(), patience),
            StopMode::Kill => tools.kill(signal.id, self.now()),
        }
    }

    /// An order.
    pub async fn take(self, waiting: Waiting) {
        let id = waiting.order.id;
        if self.running.borrow().contains_key(&id) {
            return self.give_back(waiting.seq, 30_000).await;
        }
        let told: Rc<Cell<bool>> = Rc::default();
        self.running.borrow_mut().insert(id, told.clone());
        let enlisted = Enlisted(&self, id);
        let nonce = self.ctx.core.serial().to_string();
        let asked = self.now();
        match self.ask(id, &nonce, false).await {
            Some(Answer::Permit(work)) => {
                let _ = self.ctx.write(|store| store.ack_order(waiting.seq)).await;
                if asked + PERMIT_LIFE_MS < self.now() && !wrong!(OldAnswerUsed) {
                    self.ctx.core.met(Case::PermitTooLate);
                    let unstarted = AttemptOutcome::NotStarted { reason: "too late".to_owned() };
                    self.send(&self.report(id, unstarted)).await;
                } else {
                    oracle::answer_used(&self.ctx.core, id);
                    self.with_disk(|disk| disk.records.insert(id, Record { work: work.clone(), effects: false, report: None }));
                    let outcome = self.perform(id, &nonce, &work, &told).await;
                    self.deliver(id, outcome).await;
                }
            }
            Some(Answer::Refused) => {
                let _ = self.ctx.write(|store| store.ack_order(waiting.seq)).await;
            }
            Some(Answer::Go | Answer::Later) | None => self.give_back(waiting.seq, 1_000).await,
        }
        drop(enlisted);
    }

    async fn give_back(&self, seq: u64, away: u64) {
        let at = self.now() + away;
        let _ = self.ctx.write(|store| store.nak_order(seq, at)).await;
    }

    async fn ask(&self, id: AttemptId, nonce: &str, last_word: bool) -> Option<Answer> {
        for _ in 0..TRIES {
            let slot: Rc<AnswerSlot> = Rc::default();
            let question = Question { id, worker: self.name.clone(), nonce: nonce.to_owned(), last_word, slot: slot.clone() };
            if !self.ctx.is_cut() {
                self.ctx.core.send(Parcel::Ask(question));
            }
            self.ctx.flag(&slot.there, true, self.now() + ANSWER_WAIT).await;
            match slot.answer.take() {
                Some(Answer::Later) | None => {}
                Some(answer) => return Some(answer),
            }
            self.ctx.sleep(100).await;
        }
        None
    }

    async fn perform(&self, id: AttemptId, nonce: &str, work: &Rc<Work>, told: &Rc<Cell<bool>>) -> AttemptOutcome {
        match &**work {
            Work::TerraformPlan { commit, .. } => self.plan(id, commit.clone()).await,
            Work::TerraformApply { plan, .. } => {
                // Written first: a later process must not believe that nothing was allowed.
                self.note_effects(id, true);
                if !wrong!(NoLastWord)
                    && let Err(reason) = self.last_word(id, nonce, told).await
                {
                    self.note_effects(id, false);
                    return AttemptOutcome::NotStarted { reason };
                }
                self.apply(id, plan).await
            }
            Work::Shell { spec } => self.order(id, nonce, spec, told).await,
            Work::Select { spec, commit, .. } => self.select(id, spec, commit.as_ref()).await,
            Work::Release { commit, .. } => self.release(id, commit).await,
            Work::Sync { sync, .. } => self.sync(id, nonce, sync, told).await,
            Work::Probe { .. } => AttemptOutcome::Succeeded { result: JobResult::Nothing },
        }
    }

    pub(crate) fn note_effects(&self, id: AttemptId, effects: bool) {
        self.with_disk(|disk| {
            if let Some(record) = disk.records.get_mut(&id) {
                record.effects = effects;
            }
        });
    }

    pub(crate) async fn last_word(&self, id: AttemptId, nonce: &str, told: &Rc<Cell<bool>>) -> Result<(), String> {
        loop {
            let asked = self.now();
            match self.ask(id, nonce, true).await {
                Some(Answer::Go) if asked + PERMIT_LIFE_MS < self.now() && !wrong!(OldAnswerUsed) => {}
                Some(Answer::Go) => return Ok(()),
                Some(Answer::Refused) => return Err("refused".to_owned()),
                Some(Answer::Permit(_)) => return Err("another answer".to_owned()),
                Some(Answer::Later) | None => {}
            }
            if told.get() {
                return Err("told to stop".to_owned());
            }
            self.ctx.sleep(1_000).await;
        }
    }

    async fn plan(&self, id: AttemptId, bound: Option<CommitId>) -> AttemptOutcome {
        let commit = if let Some(commit) = bound {
            commit
        } else {
            // What the branch is at this moment; a push may come before the next attempt asks.
            let commit = self.ctx.core.store.borrow().head();
            let told = self.post(Once::Report(id, 1), ReportWhat::CommitResolved { commit: commit.clone() }, id).await;
            if told.is_err() {
                return failed("the commit could not be told");
            }
            commit
        };
        let plan_sha256 = format!("plan-{id}");
        self.run(id, false, &plan_sha256, &commit).await;
        match self.ended(id) {
            AttemptOutcome::Succeeded { .. } => {
                let tool = ToolUsed { tool: ToolKind::Terraform, version: "1.11.4".to_owned() };
                let artifact = PlanArtifact { object: String::new(), plan_sha256, bytes: 1, commit, tool };
                AttemptOutcome::Succeeded { result: JobResult::Plan(Box::new(PlanResult { artifact, summary: PlanSummary::default() })) }
            }
            other => other,
        }
    }

    async fn apply(&self, id: AttemptId, plan: &PlanArtifact) -> AttemptOutcome {
        let found = if wrong!(AppliesAnyPlan) { "another" } else { &plan.plan_sha256 };
        self.run(id, true, found, &plan.commit).await;
        self.ended(id)
    }

    /// Starts the tool and waits for its end. Between the decision to start and the start nothing happens.
    pub(crate) async fn run(&self, id: AttemptId, effects: bool, plan_sha256: &str, commit: &CommitId) {
        let core = &self.ctx.core;
        let takes = 1 + if core.chance(core.weather.get().slow_tool) { core.draw(200_000) } else { core.draw(8_000) };
        let end = if core.chance(100) { End::Failure } else { End::Success };
        let tool = Tool {
            node: self.ctx.node,
            effects,
            plan_sha256: plan_sha256.to_owned(),
            commit: commit.clone(),
            ends_at: self.now() + u64::from(takes),
            deaf: core.chance(300),
            end,
            killed: None,
            disturbed: Rc::default(),
        };
        oracle::tool_starts(core, id, &self.name, &tool);
        core.tools.borrow_mut().0.insert(id, tool);
        self.wait_for_tool(id).await;
    }

    pub(crate) async fn wait_for_tool(&self, id: AttemptId) {
        loop {
            let (runs, disturbed, ends_at) = {
                let tools = self.ctx.core.tools.borrow();
                let Some(tool) = tools.0.get(&id) else { return };
                (tool.runs(self.now()), tool.disturbed.clone(), tool.ends_at)
            };
            if !runs {
                return;
            }
            disturbed.set(false);
            self.ctx.flag(&disturbed, true, ends_at).await;
        }
    }

    /// How the tool ended, as its worker can tell.
    pub(crate) fn ended(&self, id: AttemptId) -> AttemptOutcome {
        let tools = self.ctx.core.tools.borrow();
        let Some(tool) = tools.0.get(&id) else { return AttemptOutcome::Unclear { evidence: Evidence::default() } };
        match (tool.killed, tool.end) {
            (Some(true), _) if tool.effects => AttemptOutcome::Stopped { clean: false, timed_out: false },
            (Some(true), _) => AttemptOutcome::Stopped { clean: true, timed_out: false },
            (Some(false), _) => AttemptOutcome::Unclear { evidence: Evidence::default() },
            (None, End::Stopped | End::TimedOut) => AttemptOutcome::Stopped { clean: true, timed_out: false },
            (None, End::Failure) => failed("the tool failed"),
            (None, End::Success) => {
                AttemptOutcome::Succeeded { result: JobResult::Apply(ApplyResult { outputs: String::new(), serial_before: None }) }
            }
        }
    }

    /// What the former process had begun.
    async fn take_up(&self, id: AttemptId, record: Record) {
        if wrong!(SpoolForgotten) {
            self.with_disk(|disk| disk.records.remove(&id));
            return;
        }
        if let Some(report) = record.report {
            self.send(&report).await;
            self.with_disk(|disk| disk.records.remove(&id));
            return;
        }
        if wrong!(RestartedStartsAgain)
            && let (true, Work::TerraformApply { plan, .. }) = (record.effects, &*record.work)
        {
            let outcome = self.apply(id, plan).await;
            return self.deliver(id, outcome).await;
        }
        if wrong!(CommandsRunAgain)
            && let (true, Work::Shell { spec }) = (record.effects, &*record.work)
        {
            self.run_commands(id, spec).await;
        }
        self.wait_for_tool(id).await;
        let outcome = match &*record.work {
            Work::Shell { .. } if record.effects => self.order_ended(id),
            Work::Sync { sync, .. } if record.effects => self.synced(id, sync),
            Work::TerraformApply { .. } if record.effects => self.ended(id),
            Work::TerraformPlan { .. }
            | Work::TerraformApply { .. }
            | Work::Probe { .. }
            | Work::Shell { .. }
            | Work::Select { .. }
            | Work::Release { .. }
            | Work::Sync { .. } => AttemptOutcome::Unclear { evidence: Evidence::default() },
        };
        if record.effects && matches!(outcome, AttemptOutcome::Succeeded { .. }) {
            self.ctx.core.met(Case::ToldApplied);
        }
        self.deliver(id, outcome).await;
    }

    /// Written down, sent until it is stored, then forgotten.
    async fn deliver(&self, id: AttemptId, outcome: AttemptOutcome) {
        let report = self.report(id, outcome);
        self.with_disk(|disk| {
            if let Some(record) = disk.records.get_mut(&id) {
                record.report = Some(report.clone());
            }
        });
        self.ctx.core.oracle.borrow_mut().spooled.insert(id);
        self.send(&report).await;
        self.with_disk(|disk| disk.records.remove(&id));
    }

    fn report(&self, id: AttemptId, outcome: AttemptOutcome) -> Report {
        Report { id, pool: PoolName::default(), worker: self.name.clone(), at: self.ctx.wall(), what: ReportWhat::Ended(outcome) }
    }

    async fn send(&self, report: &Report) {
        while self.post(Once::Report(report.id, 2), report.what.clone(), report.id).await.is_err() {
            self.ctx.sleep(1_000).await;
        }
        self.ctx.core.oracle.borrow_mut().told.insert(report.id);
    }

    pub(crate) async fn post(&self, once: Once, what: ReportWhat, id: AttemptId) -> Result<(), crate::core::Away> {
        let report = Report { id, pool: PoolName::default(), worker: self.name.clone(), at: self.ctx.wall(), what };
        self.ctx.write(|store| store.post(once, InboxMessage::Report(Box::new(report)), None)).await.map(|_| ())
    }
}

/// A failure with a word.
pub fn failed(why: &str) -> AttemptOutcome {
    let failure = Failure { kind: "tool".to_owned(), phase: "apply".to_owned(), message: why.to_owned(), next_action: String::new() };
    AttemptOutcome::Failed { failure }
}
