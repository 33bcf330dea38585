//! Time, nodes and tasks. A task is a future that belongs to a node; it is polled when the world picks it, and gives way
//! at every operation. A crash drops the node's tasks where they stand.

use crate::{
    choice::Choices,
    faults::Weather,
    oracle::Oracle,
    sometimes::{Case, Counts},
    store::Store,
    tool::Tools,
    worker::Disk,
};
use domain::{dispatch::Limits, run::Policy};
use jiff::Timestamp;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// Which machine.
pub type NodeId = usize;

/// When a task goes on.
#[derive(Debug, Clone)]
pub enum Wait {
    Ready,
    /// When the flag is so, at the latest at a time (ms).
    Flag {
        flag: Rc<Cell<bool>>,
        is: bool,
        until: u64,
    },
    Until(u64),
}

impl Wait {
    /// Whether the task can go on.
    pub fn is_over(&self, now: u64) -> bool {
        match self {
            Self::Ready => true,
            Self::Flag { flag, is, until } => flag.get() == *is || now >= *until,
            Self::Until(until) => now >= *until,
        }
    }

    /// The time at which it can at the latest.
    pub fn latest(&self) -> u64 {
        match self {
            Self::Ready => 0,
            Self::Flag { until, .. } | Self::Until(until) => *until,
        }
    }
}

/// A machine and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Node {
    pub up: bool,
    /// Stands still until then (ms).
    pub paused_until: u64,
    /// Reaches nobody until then (ms).
    pub cut_until: u64,
    /// Starts again then (ms), if it is down.
    pub back_at: u64,
    /// What its wall clock is off by, in ms.
    pub skew: i64,
}

/// A future of a node.
pub struct Task {
    pub node: NodeId,
    pub wait: Wait,
    pub future: Pin<Box<dyn Future<Output = ()>>>,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("node", &self.node).field("wait", &self.wait).finish_non_exhaustive()
    }
}

/// Something on its way that nobody stores.
#[derive(Debug, Clone)]
pub struct Packet {
    pub due: u64,
    pub what: crate::world::Parcel,
}

/// What all tasks share.
#[derive(Debug)]
pub struct Core {
    pub now: Cell<u64>,
    pub choices: RefCell<Choices>,
    pub weather: Cell<Weather>,
    pub store: RefCell<Store>,
    pub net: RefCell<Vec<Packet>>,
    pub nodes: RefCell<Vec<Node>>,
    pub disks: RefCell<BTreeMap<NodeId, Disk>>,
    pub tools: RefCell<Tools>,
    pub oracle: RefCell<Oracle>,
    pub counts: RefCell<Counts>,
    pub policy: Policy,
    /// How many orders a scheduler may have out.
    pub limits: Limits,
    /// No new runs: only what is open is brought to its end.
    pub closing: Cell<bool>,
    /// Since when (ms).
    pub closing_since: Cell<u64>,
    /// What happens is told as it happens.
    pub trace: Cell<bool>,
    pub(crate) born: RefCell<Vec<Task>>,
    wait: RefCell<Wait>,
    serial: Cell<u64>,
}

impl Core {
    pub fn new(choices: Choices, policy: Policy, limits: Limits) -> Rc<Self> {
        Rc::new(Self {
            now: Cell::new(0),
            choices: RefCell::new(choices),
            weather: Cell::default(),
            store: RefCell::default(),
            net: RefCell::default(),
            nodes: RefCell::default(),
            disks: RefCell::default(),
            tools: RefCell::default(),
            oracle: RefCell::default(),
            counts: RefCell::default(),
            policy,
            limits,
            closing: Cell::new(false),
            closing_since: Cell::new(0),
            trace: Cell::new(false),
            born: RefCell::default(),
            wait: RefCell::new(Wait::Ready),
            serial: Cell::new(0),
        })
    }

    pub fn draw(&self, below: u32) -> u32 {
        self.choices.borrow_mut().draw(below)
    }

    pub fn chance(&self, of: u32) -> bool {
        self.choices.borrow_mut().chance(of)
    }

    pub fn met(&self, case: Case) {
        self.counts.borrow_mut().met(case);
    }

    /// Tells what happens, if somebody listens.
    pub fn say(&self, what: impl FnOnce() -> String) {
        if self.trace.get() {
            eprintln!("{:>9} ms  {}", self.now.get(), what());
        }
    }

    /// A number that was never given before.
    pub fn serial(&self) -> u64 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }

    /// Polls a task once. `false`: it has ended.
    pub(crate) fn poll(&self, task: &mut Task) -> bool {
        self.wait.replace(Wait::Ready);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let pending = task.future.as_mut().poll(&mut context).is_pending();
        task.wait = self.wait.replace(Wait::Ready);
        pending
    }

    /// Sends something that may be late, lost or doubled.
    pub fn send(&self, what: crate::world::Parcel) {
        let weather = self.weather.get();
        if self.chance(weather.dropped) {
            return;
        }
        let late = if self.chance(weather.late) { u64::from(self.draw(20_000)) } else { u64::from(self.draw(5)) };
        let packet = Packet { due: self.now.get() + late, what };
        if self.chance(weather.duplicate) {
            let again = Packet { due: packet.due + u64::from(self.draw(15_000)), ..packet.clone() };
            self.net.borrow_mut().push(again);
        }
        self.net.borrow_mut().push(packet);
    }
}

/// Why a store operation brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// No answer: it may have been applied.
    Timeout,
    /// Nothing was sent.
    Unavailable,
}

/// A node's way to the world.
#[derive(Debug, Clone)]
pub struct Ctx {
    pub core: Rc<Core>,
    pub node: NodeId,
}

impl Ctx {
    /// Gives way once.
    pub async fn step(&self) {
        self.wait(Wait::Ready).await;
    }

    pub async fn sleep(&self, ms: u64) {
        self.wait(Wait::Until(self.core.now.get() + ms)).await;
    }

    /// Waits for a flag, at the latest until a time.
    pub async fn flag(&self, flag: &Rc<Cell<bool>>, is: bool, until: u64) {
        self.wait(Wait::Flag { flag: flag.clone(), is, until }).await;
    }

    async fn wait(&self, wait: Wait) {
        GiveWay { core: &self.core, wait: Some(wait) }.await;
    }

    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.core.born.borrow_mut().push(Task { node: self.node, wait: Wait::Ready, future: Box::pin(future) });
    }

    /// The node's wall clock, which may be wrong.
    pub fn wall(&self) -> Timestamp {
        let skew = self.core.nodes.borrow()[self.node].skew;
        let ms = 1_700_000_000_000 + self.core.now.get().cast_signed() + skew;
        Timestamp::from_millisecond(ms).expect("a time in this century")
    }

    pub fn is_cut(&self) -> bool {
        self.core.nodes.borrow()[self.node].cut_until > self.core.now.get()
    }

    /// An operation on the store that changes something. It is a step of its own, and so is its answer.
    pub async fn write<T>(&self, apply: impl FnOnce(&mut Store) -> T) -> Result<T, Away> {
        self.write_seen(apply, |_| {}).await
    }

    /// The same, and somebody outside sees it happen, whether or not the answer arrives.
    pub async fn write_seen<T>(&self, apply: impl FnOnce(&mut Store) -> T, seen: impl FnOnce(&T)) -> Result<T, Away> {
        self.step().await;
        if self.is_cut() {
            return Err(Away::Unavailable);
        }
        let weather = self.core.weather.get();
        if self.core.chance(weather.lost) {
            return Err(Away::Timeout);
        }
        self.core.store.borrow_mut().now = self.core.now.get();
        let done = apply(&mut self.core.store.borrow_mut());
        seen(&done);
        if self.core.chance(weather.ambiguous) {
            return Err(Away::Timeout);
        }
        self.step().await;
        Ok(done)
    }

    /// A look at the store. `stale` is how many of the last changes it may miss.
    pub async fn read<T>(&self, look: impl FnOnce(&Store, usize) -> T) -> Result<T, Away> {
        self.step().await;
        let weather = self.core.weather.get();
        if self.is_cut() {
            return Err(Away::Unavailable);
        }
        if self.core.chance(weather.lost) {
            return Err(Away::Timeout);
        }
        let stale = if self.core.chance(weather.stale) { 1 + self.core.draw(2) as usize } else { 0 };
        self.core.store.borrow_mut().now = self.core.now.get();
        Ok(look(&self.core.store.borrow(), stale))
    }
}

struct GiveWay<'a> {
    core: &'a Core,
    wait: Option<Wait>,
}

impl Future for GiveWay<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.wait.take() {
            Some(wait) => {
                self.core.wait.replace(wait);
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}
