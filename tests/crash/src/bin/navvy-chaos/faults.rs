//! What befalls the fleet: a fault begins, lasts, and ends; several at a time, never two on the same target.

use crate::{
    Options,
    fleet::{Processes, ROLES, WORKERS},
    seed::Seed,
    servers::Servers,
};
use crash_tests::store::Store;
use nix::sys::signal::Signal;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use system_tests::client::Client;

/// Faults at a time.
const AT_ONCE: usize = 3;
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Streams whose leader is moved.
const STREAMS: [&str; 5] = ["INBOX", "RUNS", "KV_LOCKS", "WORK", "LOGS"];

/// Who is in trouble now. A person who settles an unknown run looks at its worker first.
pub(crate) type Troubled = Arc<Mutex<BTreeSet<String>>>;

/// A kind of fault and its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill(&'static str),
    Pause(&'static str),
    KillMachine(&'static str),
    FillDisk(&'static str),
    KillServer(usize),
    PauseServer(usize),
    FillServerDisk(usize),
    StepDown(&'static str),
}

impl Fault {
    fn kind(self) -> &'static str {
        match self {
            Self::Kill(role) if role.starts_with('g') => "SIGKILL gateway",
            Self::Kill(role) if role.starts_with('s') => "SIGKILL scheduler",
            Self::Kill(_) => "SIGKILL worker",
            Self::Pause(role) if role.starts_with('g') => "SIGSTOP gateway",
            Self::Pause(role) if role.starts_with('s') => "SIGSTOP scheduler",
            Self::Pause(_) => "SIGSTOP worker",
            Self::KillMachine(_) => "SIGKILL worker, runners and tools",
            Self::FillDisk(_) => "worker's disk full",
            Self::KillServer(_) => "SIGKILL nats-server",
            Self::PauseServer(_) => "SIGSTOP nats-server",
            Self::FillServerDisk(_) => "nats-server's disk full",
            Self::StepDown(_) => "leader of a stream steps down",
        }
    }

    /// What no second fault may be on. Servers count as one: a cluster of three survives one of them.
    fn target(self) -> String {
        match self {
            Self::Kill(role) | Self::Pause(role) | Self::KillMachine(role) | Self::FillDisk(role) => role.to_owned(),
            Self::KillServer(_) | Self::PauseServer(_) | Self::FillServerDisk(_) | Self::StepDown(_) => "nats".to_owned(),
        }
    }
}

/// The fleet and what befalls it.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) processes: Processes,
    servers: Servers,
    store: Store,
    seed: Seed,
    longest_pause: Duration,
    active: Vec<(Fault, Instant)>,
    next: Instant,
    pub(crate) counts: BTreeMap<&'static str, usize>,
    /// What could not be done here.
    pub(crate) skipped: BTreeSet<&'static str>,
    troubled: Troubled,
}

impl Faults {
    pub(crate) fn new(processes: Processes, servers: Servers, store: Store, seed: Seed, options: &Options) -> Self {
        Self {
            processes,
            servers,
            store,
            seed,
            longest_pause: Duration::from_secs(options.longest_pause.max(1)),
            active: Vec::new(),
            next: Instant::now() + Duration::from_secs(2),
            counts: BTreeMap::new(),
            skipped: BTreeSet::new(),
            troubled: Troubled::default(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.processes.client()
    }

    pub(crate) fn troubled(&self) -> Troubled {
        self.troubled.clone()
    }

    /// A moment of chaos.
    pub(crate) async fn step(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let (over, active) = std::mem::take(&mut self.active).into_iter().partition(|(_, until)| *until <= now);
        self.active = active;
        for (fault, _) in over {
            self.end(fault)?;
        }
        if now >= self.next && self.active.len() < AT_ONCE {
            let fault = self.choose();
            if self.active.iter().all(|(other, _)| other.target() != fault.target()) {
                self.begin(fault).await?;
            }
            self.next = now + self.seed.between(200, 2500);
        }
        self.processes.look_after()?;
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(())
    }

    fn choose(&mut self) -> Fault {
        let role = *self.seed.one_of(&ROLES);
        let worker = *self.seed.one_of(&WORKERS);
        let server = self.seed.below(self.servers.count());
        match self.seed.below(100) {
            0..=34 => Fault::Kill(role),
            35..=54 => Fault::Pause(role),
            55..=64 => Fault::KillMachine(worker),
            65..=69 => Fault::FillDisk(worker),
            70..=79 => Fault::KillServer(server),
            80..=86 => Fault::PauseServer(server),
            87..=90 => Fault::FillServerDisk(server),
            _ if self.servers.count() > 1 => Fault::StepDown(STREAMS[self.seed.below(STREAMS.len())]),
            _ => Fault::KillServer(server),
        }
    }

    async fn begin(&mut self, fault: Fault) -> anyhow::Result<()> {
        let mut lasts = self.seed.between(0, 5000);
        match fault {
            Fault::Kill(role) => self.processes.kill(role)?,
            Fault::KillMachine(role) => self.processes.kill_machine(role)?,
            Fault::Pause(role) => {
                lasts = self.seed.between(1000, self.longest_pause.as_millis() as u64);
                self.processes.signal(role, Signal::SIGSTOP);
            }
            Fault::FillDisk(role) => {
                let Some(disk) = self.processes.disk(role) else {
                    self.skipped.insert(fault.kind());
                    return Ok(());
                };
                disk.fill();
            }
            Fault::KillServer(n) => self.servers.kill(n)?,
            Fault::PauseServer(n) => {
                lasts = self.seed.between(1000, 10_000);
                self.servers.signal(n, Signal::SIGSTOP);
            }
            Fault::FillServerDisk(n) => {
                let Some(disk) = self.servers.disk(n) else {
                    self.skipped.insert(fault.kind());
                    return Ok(());
                };
                disk.fill();
            }
            Fault::StepDown(stream) => {
                // Refused when there is no leader just now: then it has stepped down already.
                let _ = tokio::time::timeout(Duration::from_secs(2), self.store.step_down(stream)).await;
            }
        }
        *self.counts.entry(fault.kind()).or_default() += 1;
        self.trouble().insert(fault.target());
        self.active.push((fault, Instant::now() + lasts));
        Ok(())
    }

    fn end(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Kill(role) | Fault::KillMachine(role) => self.processes.let_up(role),
            Fault::Pause(role) => self.processes.signal(role, Signal::SIGCONT),
            Fault::FillDisk(role) => {
                if let Some(disk) = self.processes.disk(role) {
                    disk.free();
                }
            }
            Fault::KillServer(n) => self.servers.revive(n)?,
            Fault::PauseServer(n) => self.servers.signal(n, Signal::SIGCONT),
            Fault::FillServerDisk(n) => {
                if let Some(disk) = self.servers.disk(n) {
                    disk.free();
                }
                // A server that could not write switches its streams off until it is started again.
                self.servers.kill(n)?;
                self.servers.revive(n)?;
            }
            Fault::StepDown(_) => {}
        }
        self.trouble().remove(&fault.target());
        Ok(())
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what is under way; everybody comes back.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        for (fault, _) in std::mem::take(&mut self.active) {
            self.end(fault)?;
        }
        self.rest().await
    }

    /// A moment without faults.
    pub(crate) async fn rest(&mut self) -> anyhow::Result<()> {
        self.processes.look_after()?;
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(())
    }

    pub(crate) fn show_logs(&self) {
        self.processes.show_logs();
    }
}
