//! The end: everything must close, a fresh run must succeed everywhere, and the oracle has the last word.

use crate::{
    Options,
    faults::Faults,
    load::{self, People},
};
use crash_tests::{
    effects::{self, Effect},
    oracle,
    store::{Logged, Store},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// How long obligations may stay open once the faults have stopped.
const CLOSES_WITHIN: Duration = Duration::from_mins(2);

/// What came of it.
#[derive(Debug)]
pub(crate) struct Report {
    seed: u64,
    seconds: u64,
    servers: u8,
    runs: usize,
    endings: BTreeMap<String, usize>,
    /// Kinds of failures.
    failures: BTreeMap<String, usize>,
    /// What they said, each once, so that nobody has to guess what a kind was about.
    samples: BTreeSet<String>,
    effects: usize,
    unknown: usize,
    late: usize,
    said: BTreeMap<&'static str, usize>,
    faults: BTreeMap<&'static str, usize>,
    skipped: BTreeSet<&'static str>,
    restarts: usize,
    closed_after: Duration,
    violations: Vec<String>,
}

/// Waits for what is open, and judges.
pub(crate) async fn judge(people: &People, clients: Vec<JoinHandle<anyhow::Result<()>>>, store: &Store) -> anyhow::Result<Judged> {
    let began = Instant::now();
    let mut violations = Vec::new();
    for (n, client) in clients.into_iter().enumerate() {
        let left = CLOSES_WITHIN.saturating_sub(began.elapsed());
        match tokio::time::timeout(left, client).await {
            Ok(done) => done??,
            Err(_) => violations.push(format!("what client {n} waits for is not settled 120 s after the last fault")),
        }
    }
    let closed_after = began.elapsed();
    for world in &people.worlds {
        match tokio::time::timeout(CLOSES_WITHIN, load::one_more(people, world)).await {
            Ok(Ok(status)) if status == "success" => {}
            other => violations.push(format!("a fresh run in {} does not succeed: {other:?}", world.display())),
        }
    }
    let runs = store.runs().await?;
    let mut all: Vec<Effect> = Vec::new();
    for world in &people.worlds {
        all.extend(effects::read(world)?);
    }
    let promises = people.promises().clone();
    violations.extend(oracle::violations(&promises, &runs, &all));
    if runs.len() != promises.requests() {
        violations.push(format!("{} requests were accepted, and {} runs are in the store", promises.requests(), runs.len()));
    }
    for run in runs.iter().filter(|run| run.ending().is_none()) {
        violations.push(format!("run {} is not over: {}", run.id, run.events.last().unwrap_or(&Value::Null)));
    }
    Ok(Judged { runs, effects: all.len(), closed_after, violations })
}

/// What the oracle found.
#[derive(Debug)]
pub(crate) struct Judged {
    runs: Vec<Logged>,
    effects: usize,
    closed_after: Duration,
    violations: Vec<String>,
}

/// All of it in one place.
pub(crate) fn report(people: &People, faults: &Faults, seed: u64, options: &Options, outcome: Judged) -> Report {
    let mut endings: BTreeMap<String, usize> = BTreeMap::new();
    let mut failures: BTreeMap<String, usize> = BTreeMap::new();
    let mut samples: BTreeSet<String> = BTreeSet::new();
    for failed in outcome.runs.iter().flat_map(|run| run.of("job_failed")) {
        let kind = failed["failure"]["kind"].as_str().unwrap_or("other").to_owned();
        let message = failed["failure"]["message"].as_str().unwrap_or_default().to_owned();
        samples.insert(format!("{kind}: {}", message.chars().take(160).collect::<String>()));
        *failures.entry(kind).or_default() += 1;
    }
    for run in &outcome.runs {
        *endings.entry(run.ending().unwrap_or("open").to_owned()).or_default() += 1;
    }
    let unknown = outcome.runs.iter().filter(|run| run.count("job_unknown") > 0);
    let count = |of: &std::sync::atomic::AtomicUsize| of.load(Ordering::Relaxed);
    let said = BTreeMap::from([
        ("approvals", count(&people.approved)),
        ("cancellations", count(&people.cancelled)),
        ("idempotent repeats", count(&people.repeated)),
        ("resolutions by a person", count(&people.resolved)),
        ("requests without a good answer", count(&people.unanswered)),
    ]);
    Report {
        seed,
        seconds: options.seconds,
        servers: options.servers,
        runs: outcome.runs.len(),
        endings,
        failures,
        samples,
        effects: outcome.effects,
        unknown: unknown.clone().count(),
        late: unknown.filter(|run| run.count("resolved") == 0).count(),
        said,
        faults: faults.counts.clone(),
        skipped: faults.skipped.clone(),
        restarts: faults.processes.restarts,
        closed_after: outcome.closed_after,
        violations: outcome.violations,
    }
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("chaos, seed {}, {} s, {} NATS server(s)\n", self.seed, self.seconds, self.servers);
        let _ = writeln!(text, "  runs            {} {:?}, {} lines of effects", self.runs, self.endings, self.effects);
        let _ = writeln!(text, "  failures        {:?}", self.failures);
        for sample in &self.samples {
            let _ = writeln!(text, "    {sample:?}");
        }
        let _ = writeln!(text, "  people          {:?}", self.said);
        let _ = writeln!(text, "  unknown         {}, of which {} were settled by a late result", self.unknown, self.late);
        let _ = writeln!(text, "  faults          {}", self.faults.values().sum::<usize>());
        for (kind, times) in &self.faults {
            let _ = writeln!(text, "    {times:>4} × {kind}");
        }
        for kind in &self.skipped {
            let _ = writeln!(text, "    SKIPPED: {kind}: needs root and the right to mount");
        }
        let _ = writeln!(text, "  restarts        {} processes ended by themselves and were started again", self.restarts);
        let _ = writeln!(text, "  closed within   {:.1} s after the last fault", self.closed_after.as_secs_f64());
        let _ = write!(text, "  violations      {}", self.violations.len());
        for violation in &self.violations {
            let _ = write!(text, "\n    {violation}");
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "seed": self.seed, "seconds": self.seconds, "servers": self.servers, "runs": self.runs, "endings": self.endings, "failures": self.failures, "failure_messages": self.samples,
            "effects": self.effects, "unknown": self.unknown, "settled_late": self.late, "said": self.said, "faults": self.faults,
            "skipped": self.skipped, "restarts": self.restarts, "closed_after_ms": self.closed_after.as_millis() as u64,
            "violations": self.violations,
        })
    }
}
