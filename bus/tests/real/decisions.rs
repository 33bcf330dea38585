//! Decisions as whoever shows them reads them: in order, some at a time.

use crate::support::words::run;
use crate::support::{Ground, soon};
use bus::{Bus, Decision};
use proto::RunId;

async fn decide(bus: &Bus, run: RunId, sizes: &[usize]) -> Vec<Decision> {
    let (mut last, mut decided) = (0, Vec::new());
    for size in sizes {
        let entry = vec![b'x'; *size];
        last = bus.run_log().commit(run, last, entry.clone(), true).await.unwrap();
        decided.push(Decision { seq: last, entry: entry.into() });
    }
    decided
}

/// Everything up to a decision, and how much each request brought.
async fn read(bus: &Bus, run: RunId, mut after: u64, until: u64) -> (Vec<Decision>, Vec<usize>) {
    let (mut all, mut portions) = (Vec::new(), Vec::new());
    loop {
        let some = bus.decisions().between(run, after, until).await.unwrap();
        let Some(last) = some.last() else { return (all, portions) };
        after = last.seq;
        portions.push(some.iter().map(|decision| decision.entry.len()).sum());
        all.extend(some);
    }
}

#[tokio::test]
async fn decisions_come_in_order_from_any_place_up_to_any_place() {
    let ground = Ground::new().await;
    let (this, other) = (run(), run());
    decide(&ground.bus, other, &[1]).await;
    let decided = decide(&ground.bus, this, &[3; 600]).await;
    decide(&ground.bus, other, &[]).await;
    let last = decided[599].seq;
    assert_eq!(ground.bus.decisions().first(this).await.unwrap().as_ref(), Some(&decided[0]));
    assert_eq!(read(&ground.bus, this, 0, last).await.0, decided);
    assert_eq!(read(&ground.bus, this, decided[10].seq, decided[300].seq).await.0, decided[11..=300]);
    assert_eq!(read(&ground.bus, this, last, last + 100).await.0, []);
    assert_eq!(ground.bus.decisions().first(run()).await.unwrap(), None);
    assert_eq!(ground.bus.decisions().between(run(), 0, last).await.unwrap(), []);
}

#[tokio::test]
async fn a_request_brings_a_bounded_portion_however_long_decisions_are() {
    let ground = Ground::new().await;
    let run = run();
    let decided = decide(&ground.bus, run, &[400_000, 900_000, 900_000, 10, 900_000, 400_000, 400_000, 400_000, 400_000]).await;
    let (all, portions) = read(&ground.bus, run, 0, decided[8].seq).await;
    assert_eq!(all, decided);
    assert!(portions.iter().all(|bytes| *bytes < 1_200_000), "{portions:?}");
}

#[tokio::test]
async fn what_no_scheduler_wrote_is_passed_over() {
    let ground = Ground::new().await;
    let run = run();
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let foreign = async || js.publish(proto::subject::run(run), "+ACK".into()).await.unwrap().await.unwrap().sequence;
    let before = foreign().await;
    let first = ground.bus.run_log().commit(run, before, b"a".to_vec(), true).await.unwrap();
    let mut between = first;
    for _ in 0..300 {
        between = foreign().await;
    }
    let second = ground.bus.run_log().commit(run, between, b"b".to_vec(), true).await.unwrap();
    let seqs: Vec<u64> = read(&ground.bus, run, 0, second).await.0.iter().map(|decision| decision.seq).collect();
    assert_eq!(seqs, [first, second]);
    assert_eq!(ground.bus.decisions().first(run).await.unwrap().unwrap().seq, first);
}

#[tokio::test]
async fn a_change_of_what_is_shown_rings() {
    let ground = Ground::new().await;
    let (this, other) = (run(), run());
    let mut wake = ground.bus.views().wake(this).await.unwrap();
    ground.bus.views().put(&crate::support::words::view(other, 1)).await.unwrap();
    ground.bus.views().put(&crate::support::words::view(this, 1)).await.unwrap();
    soon("the bell", wake.notified()).await;
    assert!(wake.run_changed());
    assert!(!wake.run_changed());
}
