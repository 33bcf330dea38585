//! Compare-and-swap under fire: writers that race for one key and for a thousand, on a cluster whose servers are killed and
//! made to stand still, and an oracle that reads everything back and knows what everybody was told.
//!
//! Everything that Navvy promises rests on this: of two who expect the same, one wins; who won is stored; who lost is not.
//! `make cas-check` runs it long, for a new nats-server or a new client; a short run is a test like the others.

mod faults;
mod oracle;
mod writers;

use crate::support::cluster::Cluster;
use crate::support::eventually;
use bus::Layout;
use faults::Faults;
use oracle::Findings;
use std::time::Duration;
use writers::Writers;

/// How many writers there are. Sixteen share a connection, so that their commits are gathered into batches.
const WRITERS: usize = 24;
const GATHERED: usize = 16;
/// Keys besides the one that everybody wants.
const KEYS: u32 = 1000;

struct Report {
    findings: Findings,
    faults: Faults,
    seconds: u64,
    server: String,
}

impl Report {
    fn text(&self) -> String {
        let Findings { wins, conflicts, ambiguous, ambiguous_committed, unavailable, stored, .. } = &self.findings;
        format!(
            "compare-and-swap, nats-server {}, async-nats {}, three servers, sync always, {WRITERS} writers on 1 and on {KEYS} keys, \
             {} s: {wins} wins, {conflicts} conflicts, {ambiguous} ambiguous ({ambiguous_committed} of them had committed), \
             {unavailable} told that nothing was stored, {} faults ({} kills, {} pauses), {stored} messages read back three times; \
             double winners {}, lost {}, stored although refused {}, unaccounted {}",
            self.server,
            client_version(),
            self.seconds,
            self.faults.kills + self.faults.pauses,
            self.faults.kills,
            self.faults.pauses,
            self.findings.double_winners.len(),
            self.findings.lost.len(),
            self.findings.stored_although_refused.len(),
            self.findings.unaccounted.len(),
        )
    }

    fn check(&self) {
        let findings = &self.findings;
        let violations =
            [&findings.double_winners, &findings.lost, &findings.stored_although_refused, &findings.unaccounted, &findings.changed_later];
        assert!(violations.iter().all(|found| found.is_empty()), "{}\n{findings:#?}", self.text());
        assert!(findings.wins > 0 && findings.conflicts > 0, "nothing was tried: {}", self.text());
        assert!(self.faults.kills > 0 && self.faults.pauses > 0, "nothing was broken: {}", self.text());
    }
}

/// The client's version, as the lock file has it.
fn client_version() -> &'static str {
    let lock = include_str!("../../../../Cargo.lock");
    let (_, from) = lock.split_once("name = \"async-nats\"\nversion = \"").expect("it is in the lock file");
    from.split_once('"').expect("a version").0
}

async fn run(seconds: u64) -> Report {
    let mut cluster = Cluster::start("sync_interval: always");
    let bus = cluster.connect().await;
    let server = bus.server_version();
    let layout = Layout { replicas: 3, ..Layout::default() };
    eventually("the layout", || async { bus.migrate(&layout).await.ok() }).await;
    let client = cluster.plain_client().await;
    let writers = Writers::start(&cluster).await;
    let faults = faults::rage(&mut cluster, &client, Duration::from_secs(seconds)).await;
    let told = writers.stop().await;
    let findings = oracle::judge(&cluster, &client, told).await;
    Report { findings, faults, seconds, server }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_expect_the_same_one_wins_also_while_servers_are_killed_and_stand_still() {
    let report = run(8).await;
    println!("{}", report.text());
    report.check();
}

/// `make cas-check`: for `CAS_SECONDS`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute or more; run by `make cas-check`"]
#[expect(clippy::disallowed_methods, reason = "for how long is said by whoever runs it by hand, and by no setting of Navvy")]
async fn compare_and_swap_holds_for_as_long_as_is_asked() {
    let seconds = std::env::var("CAS_SECONDS").ok().map_or(60, |text| text.parse().expect("CAS_SECONDS is a number of seconds"));
    let report = run(seconds).await;
    println!("{}", report.text());
    report.check();
}
