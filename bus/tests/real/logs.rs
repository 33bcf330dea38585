//! Output arrives whole, and whoever waits for it is woken when it is there to be read.

use crate::support::words::{attempt, output, run, view, written};
use crate::support::{Ground, eventually, soon};
use bus::{Bus, LogChunk};
use bytes::Bytes;
use proto::ids::AttemptId;

async fn write(bus: &Bus, id: AttemptId, offset: u64, bytes: &'static [u8], end: Option<u64>) {
    let sent = bus.logs().publish(&output(id), offset, "plan", Bytes::from_static(bytes), end).await.unwrap();
    sent.wait().await.unwrap();
}

/// Everything from a sequence on, to the end or as far as there is something.
async fn rest(bus: &Bus, id: AttemptId, mut after: u64) -> Vec<LogChunk> {
    let mut found = Vec::new();
    while let Some(chunk) = bus.logs().next(&written(id), after).await.unwrap() {
        after = chunk.seq;
        found.push(chunk);
    }
    found
}

#[tokio::test]
async fn chunks_are_read_in_order_each_attempt_by_itself() {
    let ground = Ground::new().await;
    let (mine, other) = (attempt(run()), attempt(run()));
    assert_eq!(rest(&ground.bus, mine, 0).await, []);
    write(&ground.bus, mine, 0, b"one\n", None).await;
    write(&ground.bus, other, 0, b"another\n", None).await;
    write(&ground.bus, mine, 4, b"two\n", None).await;
    write(&ground.bus, mine, 8, b"", Some(8)).await;
    let read = rest(&ground.bus, mine, 0).await;
    let told: Vec<_> = read.iter().map(|c| (c.offset, c.phase.as_str(), &c.bytes[..], c.end)).collect();
    assert_eq!(told, [(0, "plan", &b"one\n"[..], None), (4, "plan", b"two\n", None), (8, "plan", b"", Some(8))]);
    assert_eq!(rest(&ground.bus, mine, read[0].seq).await, read[1..]);
    assert_eq!(rest(&ground.bus, mine, read[2].seq).await, []);
}

#[tokio::test]
async fn many_chunks_may_be_under_way_at_once() {
    let ground = Ground::new().await;
    let (logs, id) = (ground.bus.logs(), attempt(run()));
    let mut sent = Vec::new();
    for n in 0..200_u64 {
        sent.push(logs.publish(&output(id), n * 16_384, "apply", Bytes::from(vec![b'x'; 16_384]), None).await.unwrap());
    }
    for one in sent {
        one.wait().await.unwrap();
    }
    let read = rest(&ground.bus, id, 0).await;
    let offsets: Vec<u64> = read.iter().map(|chunk| chunk.offset).collect();
    assert_eq!(offsets, (0..200).map(|n| n * 16_384).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_is_woken_finds_what_woke_him() {
    let ground = Ground::new().await;
    let run = run();
    let id = attempt(run);
    let reader = ground.connect().await;
    let mut wake = reader.logs().wake(run).await.unwrap();
    let mut after = 0;
    for n in 0..50_u64 {
        let writer = ground.bus.clone();
        let writing = tokio::spawn(async move { write(&writer, id, n, b"x", None).await });
        // One ring, one look: if the bell rang before the chunk could be read, this would wait for ever.
        soon("the bell", wake.notified()).await;
        let chunk = reader.logs().next(&written(id), after).await.unwrap().expect("the bell rings when it is stored");
        after = chunk.seq;
        assert_eq!(chunk.offset, n);
        writing.await.unwrap();
    }
    ground.bus.views().put(&view(run, 1)).await.unwrap();
    soon("the bell for the view", wake.notified()).await;
    assert_eq!(reader.views().get(run).await.unwrap().unwrap().seq, 1);
}

#[tokio::test]
async fn another_run_does_not_wake() {
    let ground = Ground::new().await;
    let (mine, other) = (run(), run());
    let mut wake = ground.bus.logs().wake(mine).await.unwrap();
    write(&ground.bus, attempt(other), 0, b"x", None).await;
    write(&ground.bus, attempt(mine), 0, b"x", None).await;
    soon("the bell", wake.notified()).await;
    let again = tokio::time::timeout(std::time::Duration::from_millis(50), wake.notified()).await;
    assert!(again.is_err(), "it rang for another run");
}

#[tokio::test]
async fn a_log_has_no_gap_when_the_server_is_killed_while_it_is_written_and_read() {
    let mut ground = Ground::new().await;
    let id = attempt(run());
    let writer = ground.connect().await;
    let writing = tokio::spawn(async move {
        for n in 0..200_u64 {
            // What a worker does: the same chunk again until it is stored.
            eventually("a chunk", || async {
                let end = (n == 199).then_some(200);
                writer.logs().publish(&output(id), n, "apply", Bytes::from_static(b"x"), end).await.ok()?.wait().await.ok()
            })
            .await;
        }
    });
    let reader = ground.connect().await;
    let reading = tokio::spawn(async move {
        let mut wake = eventually("a bell", || async { reader.logs().wake(id.run).await.ok() }).await;
        let (mut after, mut length) = (0, 0);
        loop {
            match reader.logs().next(&written(id), after).await {
                Ok(Some(chunk)) => {
                    after = chunk.seq;
                    assert!(chunk.offset <= length, "a gap at {length}");
                    length = length.max(chunk.offset + chunk.bytes.len() as u64);
                    if chunk.end == Some(length) {
                        return length;
                    }
                }
                Ok(None) => wake.notified().await,
                Err(error) => assert!(error.retryable(), "{error}"),
            }
        }
    });
    for _ in 0..3 {
        ground.kill_and_start_again().await;
        eventually("a working server", || async { ground.bus.probe().await.ok() }).await;
    }
    soon("writing", writing).await.unwrap();
    assert_eq!(soon("reading", reading).await.unwrap(), 200);
}
