//! Named probes that say whether this process can do its work now.
//!
//! A probe asks for real (a round trip, not a flag). Probes run side by side, each with its own time-out, and one that
//! hangs or panics counts as failed: doubt means not ready.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// How long one probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

type Outcome = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Probe = Arc<dyn Fn() -> Outcome + Send + Sync>;

/// The probes of the process. Clones are the same set; roles add theirs as they start.
#[derive(Clone)]
pub struct Readiness {
    probes: Arc<Mutex<Vec<(String, Counts, Probe)>>>,
    timeout: Duration,
    among_others: bool,
}

/// Whether a probe that fails makes the process unready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Yes,
    /// It is told. What needs the thing is refused by itself, and the rest works.
    No,
}

/// What `/readyz` says.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// True when there is at least one probe that counts, and every one of those succeeded.
    pub ready: bool,
    /// In the order in which they were added.
    pub probes: Vec<ProbeResult>,
}

/// What one probe found.
#[derive(Debug, Clone, Serialize)]
pub struct ProbeResult {
    /// Its name.
    pub name: String,
    /// Did it succeed?
    pub ok: bool,
    /// Whether the process works for the most part without it: then it does not count for `ready`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// What is wrong, in words without secrets; absent when it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { probes: Arc::default(), timeout: PROBE_TIMEOUT, among_others: false }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.all().into_iter().map(|(name, _, _)| name).collect();
        f.debug_struct("Readiness").field("probes", &names).finish_non_exhaustive()
    }
}

impl Readiness {
    /// No probes yet, which is not ready: a role that has not come so far as to add its probe cannot work.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a probe. Its error text is shown to everyone who can reach `/readyz`. Each has 2 s.
    pub fn add<P, F>(&self, name: impl Into<String>, probe: P)
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.push(name.into(), Counts::Yes, Arc::new(move || Box::pin(probe())));
    }

    /// Adds a probe that is told and does not count: what needs the thing is refused by itself, and the rest works.
    pub fn add_partial<P, F>(&self, name: impl Into<String>, probe: P)
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.push(name.into(), Counts::No, Arc::new(move || Box::pin(probe())));
    }

    /// Adds a probe of something that all work of one role needs. In a process of that role alone it counts; where there are others,
    /// it does not: they go on.
    pub fn add_of_role<P, F>(&self, name: impl Into<String>, probe: P)
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let counts = if self.among_others { Counts::No } else { Counts::Yes };
        self.push(name.into(), counts, Arc::new(move || Box::pin(probe())));
    }

    /// The same set, for roles that share their process with others.
    #[must_use]
    pub fn among_others(&self) -> Self {
        Self { among_others: true, ..self.clone() }
    }

    fn push(&self, name: String, counts: Counts, probe: Probe) {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).push((name, counts, probe));
    }

    /// From the moment `drain` is cancelled this process is not ready, so that balancers turn away from it.
    pub fn until(&self, drain: CancellationToken) {
        self.add("accepting", move || {
            let draining = drain.is_cancelled();
            async move { if draining { Err("shutting down".into()) } else { Ok(()) } }
        });
    }

    /// Runs all probes now.
    pub async fn check(&self) -> Report {
        let runs = self.all().into_iter().map(|(name, counts, probe)| run(name, counts, probe, self.timeout));
        let probes = join_all(runs).await;
        let mut needed = probes.iter().filter(|probe| !probe.partial).peekable();
        Report { ready: needed.peek().is_some() && needed.all(|probe| probe.ok), probes }
    }

    fn all(&self) -> Vec<(String, Counts, Probe)> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn run(name: String, counts: Counts, probe: Probe, timeout: Duration) -> ProbeResult {
    let begun = Instant::now();
    // The call itself may panic as well as the future it makes.
    let asked = AssertUnwindSafe(async { probe().await }).catch_unwind();
    let outcome = match tokio::time::timeout(timeout, asked).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => Err("the probe panicked".to_owned()),
        Err(_elapsed) => Err(format!("no answer within {} ms", timeout.as_millis())),
    };
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    ProbeResult { name, ok: outcome.is_ok(), partial: counts == Counts::No, error: outcome.err(), took_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> Readiness {
        Readiness { timeout: Duration::from_millis(20), ..Readiness::default() }
    }

    #[tokio::test]
    async fn without_probes_nothing_is_ready() {
        assert!(!Readiness::new().check().await.ready);
    }

    #[tokio::test]
    async fn every_probe_is_listed_and_one_failure_is_enough() {
        let readiness = quick();
        readiness.add("good", || async { Ok(()) });
        assert!(readiness.check().await.ready);
        readiness.add("bad", || async { Err("down".into()) });
        readiness.add("hangs", std::future::pending);
        readiness.add("panics", || async { panic!("boom") });
        readiness.add("panics early", || -> std::future::Ready<Result<(), String>> { panic!("boom") });
        let report = readiness.check().await;
        assert!(!report.ready);
        let found: Vec<_> = report.probes.iter().map(|p| (p.name.as_str(), p.error.as_deref())).collect();
        let expected = [
            ("good", None),
            ("bad", Some("down")),
            ("hangs", Some("no answer within 20 ms")),
            ("panics", Some("the probe panicked")),
            ("panics early", Some("the probe panicked")),
        ];
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn what_only_a_part_needs_is_told_and_does_not_count() {
        let readiness = quick();
        readiness.add_partial("vault", || async { Err("away".into()) });
        assert!(!readiness.check().await.ready, "alone it says nothing");
        readiness.add("nats", || async { Ok(()) });
        readiness.among_others().add_of_role("secrets", || async { Err("away".into()) });
        let report = readiness.check().await;
        let told: Vec<_> = report.probes.iter().map(|probe| (probe.name.as_str(), probe.ok, probe.partial)).collect();
        assert_eq!((report.ready, told), (true, vec![("vault", false, true), ("nats", true, false), ("secrets", false, true)]));
        readiness.add_of_role("secrets of a role that is alone", || async { Err("away".into()) });
        assert!(!readiness.check().await.ready);
    }

    #[tokio::test]
    async fn a_draining_process_is_not_ready() {
        let (readiness, drain) = (quick(), CancellationToken::new());
        readiness.until(drain.clone());
        assert!(readiness.check().await.ready);
        drain.cancel();
        let report = readiness.check().await;
        assert!(!report.ready && report.probes[0].error.as_deref() == Some("shutting down"));
    }
}
