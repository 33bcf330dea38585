//! All of it together: who there is, what may happen next, and how a history is told to its end.

mod delivery;

use crate::{
    choice::Choices,
    core::{Core, Ctx, NodeId, Task, Wait},
    faults::Weather,
    lies, people,
    shell::{Shell, turn::Outcome},
    sometimes::{Case, Counts},
    worker::{Answer, Question, Worker},
};
use domain::{
    dispatch::Limits,
    run::{Event, JobState, Policy, Run},
};
use jiff::SignedDuration;
use proto::{WorkerId, ids::AttemptId, lock::LockKey, message::StopSignal};
use std::{collections::BTreeSet, rc::Rc};

/// Steps that the end of a history may take: once nothing goes wrong any more, everything must come to its end.
const CLOSING_STEPS: u32 = 60_000;
/// How long an approval waits here, in ms.
pub(crate) const APPROVAL_TTL: i64 = 10 * 60_000;

/// Something on its way.
#[derive(Debug, Clone)]
pub enum Parcel {
    Ask(Question),
    Answer { question: Question, answer: Answer },
    Beat { worker: WorkerId, running: BTreeSet<AttemptId> },
    Stop { worker: WorkerId, signal: StopSignal },
    Told { reply: people::Reply, outcome: Outcome },
}

/// What a history came to.
#[derive(Debug)]
pub struct Told {
    pub steps: u64,
    /// How much time passed in it, in ms.
    pub passed: u64,
    pub runs: usize,
    pub counts: Counts,
    pub violation: Option<String>,
    pub choices: Vec<u32>,
}

#[derive(Debug)]
enum Role {
    Scheduler(Shell),
    Worker(Worker),
    People,
}

/// The world.
#[derive(Debug)]
pub struct World {
    core: Rc<Core>,
    tasks: Vec<Task>,
    /// Index is the node; `None`: it is down.
    roles: Vec<Option<Role>>,
    schedulers: usize,
    workers: usize,
}

/// Tells a history of so many steps, and its end.
pub fn tell(choices: Choices, steps: u32) -> Told {
    tell_aloud(choices, steps, false)
}

/// The same; aloud, it says on stderr what happens.
pub fn tell_aloud(choices: Choices, steps: u32, aloud: bool) -> Told {
    let mut world = World::new(choices);
    world.core.trace.set(aloud);
    let mut told = 0;
    for _ in 0..steps {
        world.step(false);
        told += 1;
        if world.is_broken() {
            return world.over(told);
        }
    }
    world.close();
    for _ in 0..CLOSING_STEPS {
        world.step(true);
        told += 1;
        if world.is_broken() || world.is_done() {
            return world.over(told);
        }
    }
    world.complain();
    world.over(told)
}

impl World {
    fn new(mut choices: Choices) -> Self {
        let weather = Weather::drawn(&mut choices);
        let schedulers = 1 + choices.draw(3) as usize;
        let workers = 1 + choices.draw(8) as usize;
        let policy = Policy { approval_ttl: SignedDuration::from_millis(APPROVAL_TTL), ..Policy::default() };
        // Mostly so few that runs take turns.
        let all = [1, 2, 4, 100][choices.draw(4) as usize];
        let limits = Limits { all, per_pool: 1 + all / 2 };
        let core = Core::new(choices, policy, limits);
        core.weather.set(weather);
        core.nodes.borrow_mut().resize_with(schedulers + workers + 1, Default::default);
        let mut world = Self { core, tasks: Vec::new(), roles: Vec::new(), schedulers, workers };
        for node in 0..=schedulers + workers {
            world.roles.push(None);
            world.start(node);
        }
        let ctx = Ctx { core: world.core.clone(), node: schedulers + workers };
        for _ in 0..2 {
            ctx.spawn(people::decide(ctx.clone()));
        }
        ctx.spawn(people::submit(ctx.clone()));
        world
    }

    fn start(&mut self, node: NodeId) {
        let ctx = Ctx { core: self.core.clone(), node };
        self.core.nodes.borrow_mut()[node].up = true;
        self.roles[node] = Some(if node < self.schedulers {
            let shell = Shell::new(ctx);
            shell.start();
            Role::Scheduler(shell)
        } else if node < self.schedulers + self.workers {
            let name = format!("w{}", node - self.schedulers).parse().expect("a name");
            let worker = Worker::new(ctx, name);
            worker.start();
            Role::Worker(worker)
        } else {
            Role::People
        });
    }

    /// SIGKILL. `machine`: the power goes, and with it what the process had started.
    fn crash(&mut self, node: NodeId, machine: bool) {
        self.core.say(|| format!("{} dies, machine: {machine}", self.name(node)));
        if let Some(Role::Scheduler(shell)) = &self.roles[node]
            && shell.is_publishing()
        {
            self.core.met(Case::KilledBeforePublish);
        }
        let away = if self.core.chance(200) { self.core.draw(400_000) } else { self.core.draw(20_000) };
        {
            let mut nodes = self.core.nodes.borrow_mut();
            nodes[node].up = false;
            nodes[node].back_at = self.core.now.get() + u64::from(away);
        }
        self.roles[node] = None;
        self.tasks.retain(|task| task.node != node);
        self.core.born.borrow_mut().retain(|task| task.node != node);
        let now = self.core.now.get();
        let mut tools = self.core.tools.borrow_mut();
        if machine {
            tools.lose_machine(node, now);
        } else {
            tools.lose_worker(node, now);
        }
    }

    fn name(&self, node: NodeId) -> String {
        match &self.roles[node] {
            Some(Role::Worker(worker)) => worker.name.to_string(),
            Some(Role::Scheduler(_)) => format!("scheduler {node}"),
            Some(Role::People) => "people".to_owned(),
            None => format!("node {node} (down)"),
        }
    }

    fn is_broken(&self) -> bool {
        self.core.oracle.borrow().violation.is_some()
    }

    fn acts(&self, node: NodeId) -> bool {
        let nodes = self.core.nodes.borrow();
        nodes[node].up && nodes[node].paused_until <= self.core.now.get()
    }

    fn reaches(&self, node: NodeId) -> bool {
        self.acts(node) && self.core.nodes.borrow()[node].cut_until <= self.core.now.get()
    }

    /// Something happens.
    fn step(&mut self, calm: bool) {
        self.tasks.append(&mut self.core.born.borrow_mut());
        let weather = self.core.weather.get();
        if !calm && self.core.chance(weather.blow) {
            return self.blow();
        }
        if !calm && self.core.chance(weather.lie) {
            return lies::tell(&self.core, self.workers);
        }
        let happened = match self.core.draw(20) {
            0..=11 => self.poll() || self.deliver(),
            12..=17 => self.deliver() || self.poll(),
            _ if calm => self.poll() || self.deliver(),
            _ => false,
        };
        if !happened {
            self.pass_time(calm);
        }
    }

    fn poll(&mut self) -> bool {
        let now = self.core.now.get();
        let able: Vec<usize> =
            (0..self.tasks.len()).filter(|at| self.tasks[*at].wait.is_over(now) && self.acts(self.tasks[*at].node)).collect();
        if able.is_empty() {
            return false;
        }
        let at = able[self.core.draw(able.len() as u32) as usize];
        if !self.core.poll(&mut self.tasks[at]) {
            drop(self.tasks.swap_remove(at));
        }
        true
    }

    /// The clock goes on: a little, or to when something is due.
    fn pass_time(&mut self, calm: bool) {
        let now = self.core.now.get();
        let next = || {
            let tasks = self.tasks.iter().filter(|task| !matches!(task.wait, Wait::Ready)).map(|task| task.wait.latest());
            let packets = self.core.net.borrow().iter().map(|packet| packet.due).min();
            let store = self.core.store.borrow();
            let letters = store.inbox.iter().map(|letter| letter.visible_at);
            let orders = store.work.iter().map(|order| order.visible_at);
            let nodes = self.core.nodes.borrow();
            let paused = nodes.iter().map(|node| node.paused_until).filter(|until| *until > now).min();
            let back = nodes.iter().filter(|node| !node.up).map(|node| node.back_at).min();
            tasks.chain(packets).chain(letters).chain(orders).chain(paused).chain(back).filter(|at| *at > now && *at != u64::MAX).min()
        };
        let jump = if calm { 0 } else { self.core.draw(8) };
        let to = match jump {
            0..=4 => next().unwrap_or(now + 1_000),
            5 => now + u64::from(self.core.draw(1_000)),
            6 => now + u64::from(self.core.draw(5_000)),
            _ => now + u64::from(self.core.draw(20_000)),
        };
        self.core.now.set(to.max(now + 1));
        for node in 0..self.roles.len() {
            if self.roles[node].is_none() && self.core.nodes.borrow()[node].back_at <= self.core.now.get() {
                self.start(node);
            }
        }
    }

    /// Something breaks, or is mended.
    fn blow(&mut self) {
        let now = self.core.now.get();
        let last = self.schedulers + self.workers;
        // Most blows fall where something is done, and most of all where the world is being changed: there it hurts.
        let changing = self.core.tools.borrow().0.values().find(|tool| tool.effects && tool.runs(now)).map(|tool| tool.node);
        let works = |node: &NodeId| matches!(&self.roles[*node], Some(Role::Worker(worker)) if !worker.running.borrow().is_empty());
        let anywhere = self.core.draw(last as u32) as usize;
        let waits = |node: &NodeId| matches!(&self.roles[*node], Some(Role::Worker(worker)) if worker.waits_for_the_last_word());
        let node = match self.core.draw(8) {
            0..=3 => None,
            4 => (0..last).find(works),
            5 => (0..last).find(waits),
            _ => changing,
        };
        let node = node.unwrap_or(anywhere);
        if !self.core.nodes.borrow()[node].up {
            return;
        }
        let blow = self.core.draw(8);
        self.core.say(|| format!("blow {blow} for {}", self.name(node)));
        match blow {
            0 | 1 => self.crash(node, false),
            2 => self.crash(node, true),
            3 | 4 => self.core.nodes.borrow_mut()[node].paused_until = now + u64::from(self.core.draw(150_000)),
            5 | 6 => self.core.nodes.borrow_mut()[node].cut_until = now + u64::from(self.core.draw(150_000)),
            _ => {
                let hours = i64::from(self.core.draw(3)) - 1;
                self.core.nodes.borrow_mut()[node].skew = hours * 3_600_000;
            }
        }
    }

    /// Nothing goes wrong any more, and nothing new begins.
    fn close(&mut self) {
        self.core.weather.set(Weather::calm());
        self.core.choices.borrow_mut().settle();
        self.core.closing.set(true);
        let now = self.core.now.get();
        self.core.closing_since.set(now);
        for node in 0..self.schedulers + self.workers {
            {
                let mut nodes = self.core.nodes.borrow_mut();
                nodes[node].paused_until = now;
                nodes[node].cut_until = now;
                nodes[node].skew = 0;
            }
            if self.roles[node].is_none() {
                self.start(node);
            }
        }
    }

    /// Everything that was accepted came to its end, and no lock is left.
    fn is_done(&self) -> bool {
        let oracle = self.core.oracle.borrow();
        let store = self.core.store.borrow();
        oracle.open().is_empty()
            && oracle.spooled.is_subset(&oracle.told)
            && self.busy_workers().is_empty()
            && self.places_taken() == 0
            && oracle.accepted.iter().all(|run| oracle.truths.contains_key(run))
            && store.inbox.is_empty()
            && oracle.services.unkept().is_empty()
            && store.lock_records().iter().all(|record| record.holder.is_none() && record.queue.is_empty())
    }

    /// Places that schedulers count as taken.
    fn places_taken(&self) -> u32 {
        let taken = |role: &Option<Role>| match role {
            Some(Role::Scheduler(shell)) => shell.places_taken(),
            Some(Role::Worker(_) | Role::People) | None => 0,
        };
        self.roles.iter().map(taken).sum()
    }

    /// Workers that still have something to do.
    fn busy_workers(&self) -> Vec<String> {
        let busy = |role: &Option<Role>| match role {
            Some(Role::Worker(worker)) if !worker.running.borrow().is_empty() => Some(worker.name.to_string()),
            Some(Role::Worker(_) | Role::Scheduler(_) | Role::People) | None => None,
        };
        self.roles.iter().filter_map(busy).collect()
    }

    fn complain(&self) {
        let mut oracle = self.core.oracle.borrow_mut();
        let store = self.core.store.borrow();
        let open: Vec<_> = oracle.open().iter().take(3).map(|run| format!("{run}: {:?}", stand(&oracle.truths[run].run))).collect();
        let lost: Vec<_> = oracle.accepted.iter().filter(|run| !oracle.truths.contains_key(run)).map(ToString::to_string).collect();
        let by = |record: &proto::lock::LockRecord| {
            let holder = record.holder.as_ref()?.run;
            let over = oracle.truths.get(&holder).map(|truth| truth.run.is_over());
            let queue: Vec<_> = record.queue.iter().map(|waiter| waiter.run.to_string()).collect();
            Some(format!("{} by {holder} (over: {over:?}), then {queue:?}", record.key))
        };
        let held: Vec<_> = store.lock_records().iter().filter_map(by).collect();
        let text = format!(
            "I10: after the faults it did not come to an end; {} open, such as {open:?}; lost {lost:?}; held {held:?}; untold {:?}; unkept {:?}; busy {:?}; {} messages, {} orders, {} places taken",
            oracle.open().len(),
            oracle.spooled.difference(&oracle.told).collect::<Vec<_>>(),
            oracle.services.unkept(),
            self.busy_workers(),
            store.inbox.len(),
            store.work.len(),
            self.places_taken()
        );
        oracle.violated(text);
    }

    fn over(self, steps: u64) -> Told {
        let oracle = self.core.oracle.borrow();
        Told {
            steps,
            passed: self.core.now.get(),
            runs: oracle.truths.len(),
            counts: self.core.counts.borrow().clone(),
            violation: oracle.violation.clone(),
            choices: self.core.choices.borrow().recorded().to_vec(),
        }
    }
}

fn stand(run: &Run) -> Vec<(String, JobState, usize)> {
    run.jobs.iter().map(|job| (job.name.clone(), job.state, job.attempts.len())).collect()
}

/// Runs that name one directory so far take two here when `by` says so, because sets are taken all or none: the directory
/// of the run, and a shared one.
pub fn widen(run: &mut Run, events: &mut [Event]) {
    if run.by != "wide" {
        return;
    }
    for event in events {
        if let Event::Accepted { locks, .. } = event {
            let text = locks.first().map(|key| key.as_str().replace("dir-0", "dir-1")).unwrap_or_default();
            let second = text.replace("dir-2", "dir-1");
            let second: LockKey = serde_json::from_value(serde_json::Value::String(second)).expect("a key is a text");
            let mut all: BTreeSet<LockKey> = locks.iter().cloned().collect();
            all.insert(second);
            *locks = all.into_iter().collect();
            run.locks.clone_from(locks);
        }
    }
}
