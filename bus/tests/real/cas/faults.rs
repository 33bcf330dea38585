//! What is done to the servers: one after the other killed, or made to stand still for some seconds; half of the time the
//! one that leads.

use crate::support::cluster::Cluster;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) kills: u32,
    pub(super) pauses: u32,
}

/// Numbers that look random and are the same every time (splitmix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) % u64::from(bound)).expect("it is below the bound")
    }

    fn millis(&mut self, from: u32, to: u32) -> Duration {
        Duration::from_millis(u64::from(from + self.below(to - from)))
    }
}

/// Breaks and mends until the time is over, but each kind of fault at least once; the cluster is whole afterwards.
pub(super) async fn rage(cluster: &mut Cluster, client: &async_nats::Client, span: Duration) -> Faults {
    let until = Instant::now() + span;
    let (mut faults, mut random) = (Faults::default(), Random::new(span.as_secs()));
    while Instant::now() < until || faults.kills == 0 || faults.pauses == 0 {
        // A fault hits a cluster that works, or the writers never get to write.
        cluster.until_whole(client, "RUNS").await;
        sleep(random.millis(300, 1200)).await;
        let leader = cluster.leader_of(client, "RUNS").await;
        let n = if random.below(2) == 0 { leader } else { random.below(3) as usize };
        if faults.kills <= faults.pauses {
            cluster.kill(n).await;
            sleep(random.millis(200, 1500)).await;
            cluster.start_again(n);
            faults.kills += 1;
        } else {
            cluster.pause(n);
            sleep(random.millis(1000, 4000)).await;
            cluster.resume(n);
            faults.pauses += 1;
        }
    }
    cluster.until_whole(client, "RUNS").await;
    faults
}
