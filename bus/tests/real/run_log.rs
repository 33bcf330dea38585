//! Decisions are stored in order or not at all, alone or in company.

use crate::support::words::{SHARD, run};
use crate::support::{Ground, eventually, soon};
use bus::{BusError, Decided, Layout, Looked, RunLog};
use proto::RunId;
use std::collections::HashSet;

fn entry(n: u64) -> Vec<u8> {
    n.to_string().into_bytes()
}

#[tokio::test]
async fn decisions_are_loaded_in_the_order_they_were_committed() {
    let ground = Ground::new().await;
    let (log, run) = (ground.bus.run_log(), run());
    assert_eq!(log.load(run).await.unwrap(), []);
    let mut committed = Vec::new();
    let mut last = 0;
    for n in 0..50 {
        last = log.commit(run, last, entry(n), true).await.unwrap();
        committed.push((last, entry(n)));
    }
    assert_eq!(log.load(run).await.unwrap(), committed);
}

#[tokio::test]
async fn a_long_run_is_loaded_whole() {
    let ground = Ground::new().await;
    let (log, run) = (ground.bus.run_log(), run());
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let subject = proto::subject::run(run);
    // More than one request brings, and more bytes than the server sends at once.
    let mut acks = Vec::new();
    for n in 0..2500_u64 {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Navvy-Run-After", n.to_string().as_str());
        let payload = vec![b'x'; 200 + (n % 7) as usize];
        acks.push(js.publish_with_headers(subject.clone(), headers, payload.into()).await.unwrap());
        // The time for an acknowledgement runs from here on, and a busy server stores what came before first.
        if acks.len() == 100 {
            for ack in acks.drain(..) {
                ack.await.unwrap();
            }
        }
    }
    let loaded = log.load(run).await.unwrap();
    assert_eq!(loaded.len(), 2500);
    assert!(loaded.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(loaded[2499].1.len(), 200);
}

#[tokio::test]
async fn a_log_whose_beginning_has_expired_is_an_error_and_not_a_shorter_log() {
    let ground = Ground::new().await;
    let (log, old, young) = (ground.bus.run_log(), run(), run());
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let first = log.commit(old, 0, entry(1), true).await.unwrap();
    let mut short = js.get_stream("RUNS").await.unwrap().cached_info().config.clone();
    (short.max_messages, short.discard) = (2, async_nats::jetstream::stream::DiscardPolicy::Old);
    js.update_stream(short).await.unwrap();
    let second = log.commit(old, first, entry(2), true).await.unwrap();
    assert_eq!(log.load(old).await.unwrap(), [(first, entry(1)), (second, entry(2))]);
    log.commit(young, 0, entry(1), true).await.unwrap();
    let cut = log.load(old).await;
    assert!(matches!(cut, Err(BusError::Corrupt { .. })), "{cut:?}");
    assert_eq!(log.load(young).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_second_of_two_who_decide_at_once_is_told_and_stores_nothing() {
    let ground = Ground::new().await;
    let (log, other, run) = (ground.bus.run_log(), ground.connect().await.run_log(), run());
    let first = log.commit(run, 0, entry(1), true).await.unwrap();
    for expected in [0, first + 1, first + 100] {
        let lost = other.commit(run, expected, entry(2), true).await;
        assert!(matches!(lost, Err(BusError::Conflict { .. })), "{lost:?}");
    }
    assert_eq!(log.load(run).await.unwrap(), [(first, entry(1))]);
    other.commit(run, first, entry(3), true).await.unwrap();
}

#[tokio::test]
async fn open_runs_are_those_whose_last_decision_left_them_open() {
    let ground = Ground::new().await;
    let log = ground.bus.run_log();
    assert_eq!(log.open_runs(SHARD).await.unwrap(), []);
    let mut open = HashSet::new();
    for n in 0..40 {
        let run = run();
        let seq = log.commit(run, 0, entry(n), true).await.unwrap();
        if n % 4 == 0 {
            open.insert(run);
        } else {
            log.commit(run, seq, entry(n), false).await.unwrap();
        }
    }
    let elsewhere = RunId::fresh(proto::ShardNo(1));
    log.commit(elsewhere, 0, entry(0), true).await.unwrap();
    let found: HashSet<RunId> = log.open_runs(SHARD).await.unwrap().into_iter().collect();
    assert_eq!(found, open);
    assert_eq!(log.open_runs(proto::ShardNo(1)).await.unwrap(), [elsewhere]);
}

/// Commits that wait at the same time; returns what each was told.
async fn at_once(log: &RunLog, commits: Vec<(RunId, u64, Vec<u8>)>) -> Vec<Result<u64, BusError>> {
    let waiting: Vec<_> = commits
        .into_iter()
        .map(|(run, expected, entry)| {
            let log = log.clone();
            tokio::spawn(async move { log.commit(run, expected, entry, true).await })
        })
        .collect();
    let mut told = Vec::new();
    for one in waiting {
        told.push(soon("a commit", one).await.unwrap());
    }
    told
}

#[tokio::test]
async fn sixty_four_commits_at_once_are_all_stored_and_a_wrong_one_among_them_alone_is_refused() {
    let ground = Ground::new().await;
    let log = ground.bus.run_log();
    for round in 0..5 {
        let runs: Vec<RunId> = (0..64).map(|_| run()).collect();
        // The last to be queued, so that it is in a batch and not among the first, which go alone.
        let wrong = 63;
        let commits = runs.iter().enumerate().map(|(n, run)| (*run, if n == wrong { 12_345 } else { 0 }, entry(n as u64)));
        let told = at_once(&log, commits.collect()).await;
        for (n, (run, told)) in runs.iter().zip(told).enumerate() {
            let stored = log.load(*run).await.unwrap();
            if n == wrong {
                assert!(matches!(told, Err(BusError::Conflict { .. })), "round {round}: {told:?}");
                assert_eq!(stored, []);
            } else {
                assert_eq!(stored, [(told.unwrap(), entry(n as u64))], "round {round}, commit {n}");
            }
        }
    }
}

#[tokio::test]
async fn many_commits_at_once_go_in_batches() {
    let ground = Ground::new().await;
    let log = ground.bus.run_log();
    let runs: Vec<RunId> = (0..300).map(|_| run()).collect();
    let told = at_once(&log, runs.iter().map(|run| (*run, 0, entry(1))).collect()).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    // A message of a batch says so in its headers.
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let stream = js.get_stream("RUNS").await.unwrap();
    let mut in_batches = 0;
    for run in &runs {
        let stored = stream.get_last_raw_message_by_subject(&proto::subject::run(*run)).await.unwrap();
        in_batches += usize::from(stored.headers.get("Nats-Batch-Id").is_some());
    }
    assert!(in_batches > 150, "{in_batches} of 300");
}

#[tokio::test]
async fn commits_of_one_run_at_once_are_never_both_stored() {
    let ground = Ground::new().await;
    let (log, run) = (ground.bus.run_log(), run());
    let told = at_once(&log, (0..64).map(|n| (run, 0, entry(n))).collect()).await;
    assert_eq!(told.iter().filter(|t| t.is_ok()).count(), 1, "{told:?}");
    assert!(told.iter().all(|t| matches!(t, Ok(_) | Err(BusError::Conflict { .. }))), "{told:?}");
    assert_eq!(log.load(run).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_committed_is_there_after_the_server_was_killed_in_the_middle() {
    let mut ground = Ground::new().await;
    let log = ground.connect().await.run_log();
    let committing = tokio::spawn(async move {
        let mut histories = Vec::new();
        for _ in 0..16 {
            let log = log.clone();
            histories.push(tokio::spawn(async move {
                let run = run();
                let mut known: Vec<(u64, Vec<u8>)> = Vec::new();
                for n in 0..40 {
                    // What a scheduler does: unknown means read back and look for the own entry.
                    known = eventually("a commit", || async {
                        let last = known.last().map_or(0, |(seq, _)| *seq);
                        if let Ok(seq) = log.commit(run, last, entry(n), true).await {
                            return Some([known.clone(), vec![(seq, entry(n))]].concat());
                        }
                        let there = log.load(run).await.ok()?;
                        (there.last().is_some_and(|(_, e)| *e == entry(n))).then_some(there)
                    })
                    .await;
                }
                (run, known)
            }));
        }
        let mut done = Vec::new();
        for history in histories {
            done.push(history.await.unwrap());
        }
        done
    });
    for _ in 0..3 {
        ground.kill_and_start_again().await;
        eventually("a working server", || async { ground.bus.probe().await.ok() }).await;
    }
    let log = ground.bus.run_log();
    for (run, known) in soon("every commit", committing).await.unwrap() {
        let stored = log.load(run).await.unwrap();
        assert_eq!(stored, known);
        let entries: Vec<_> = stored.into_iter().map(|(_, e)| e).collect();
        assert_eq!(entries, (0..40).map(entry).collect::<Vec<_>>(), "in order, each once");
    }
}

#[tokio::test]
async fn a_decision_longer_than_the_server_takes_is_refused() {
    let ground = Ground::new().await;
    let run = run();
    let refused = ground.bus.run_log().commit(run, 0, vec![b'x'; 2 << 20], true).await;
    assert!(matches!(refused, Err(BusError::TooLarge { .. })), "{refused:?}");
    assert_eq!(ground.bus.run_log().load(run).await.unwrap(), []);
}

#[tokio::test]
async fn what_was_decided_since_the_last_look_is_all_that_is_told() {
    let ground = Ground::new().await;
    let log = ground.bus.run_log();
    let (first, second, third) = (run(), run(), run());
    let mut looked = Looked::default();
    let one = log.commit(first, 0, b"1".to_vec(), true).await.unwrap();
    let two = log.commit(second, 0, b"2".to_vec(), true).await.unwrap();
    let told = |run, seq, open| Decided { run, seq, open };
    let by_seq = |mut all: Vec<Decided>| {
        all.sort_unstable_by_key(|decided| decided.seq);
        all
    };
    let all = log.decided_since(SHARD, &mut looked).await.unwrap();
    assert_eq!(by_seq(all), [told(first, one, true), told(second, two, true)]);
    assert_eq!(log.decided_since(SHARD, &mut looked).await.unwrap(), []);
    log.commit(first, one, b"3".to_vec(), true).await.unwrap();
    let four = log.commit(third, 0, b"4".to_vec(), true).await.unwrap();
    let last = log.load(first).await.unwrap().last().unwrap().0;
    let five = log.commit(first, last, b"5".to_vec(), false).await.unwrap();
    let since = log.decided_since(SHARD, &mut looked).await.unwrap();
    assert_eq!(by_seq(since), [told(third, four, true), told(first, five, false)]);
    // Another stream of the same name is looked through from its beginning.
    let js = async_nats::jetstream::new(ground.plain_client().await);
    js.delete_stream("RUNS").await.unwrap();
    ground.bus.migrate(&Layout::default()).await.unwrap();
    let anew = log.commit(second, 0, b"6".to_vec(), true).await.unwrap();
    assert_eq!(log.decided_since(SHARD, &mut looked).await.unwrap(), [told(second, anew, true)]);
}

#[tokio::test]
async fn a_log_that_begins_again_is_read_from_there() {
    let ground = Ground::new().await;
    let (log, run) = (ground.bus.run_log(), run());
    let one = log.commit(run, 0, b"1".to_vec(), true).await.unwrap();
    let two = log.commit(run, one, b"2".to_vec(), true).await.unwrap();
    assert!(matches!(log.begin_again(run, one, b"late".to_vec()).await, Err(BusError::Conflict { .. })), "somebody decided in between");
    let again = log.begin_again(run, two, b"1 and 2".to_vec()).await.unwrap();
    let three = log.commit(run, again, b"3".to_vec(), true).await.unwrap();
    assert_eq!(log.load(run).await.unwrap(), [(again, b"1 and 2".to_vec()), (three, b"3".to_vec())]);
}

#[tokio::test]
#[ignore = "a measurement: cargo test -p bus --test all look_costs -- --ignored --nocapture"]
async fn look_costs() {
    let ground = Ground::new().await;
    let log = ground.bus.run_log();
    let commits: Vec<_> = (0..24_000).map(|_| run()).collect();
    for chunk in commits.chunks(500) {
        futures_util::future::join_all(chunk.iter().map(|run| log.commit(*run, 0, b"x".to_vec(), false))).await;
    }
    let mut looked = Looked::default();
    for what in ["first look at 24,000 runs", "next look, nothing new"] {
        let began = std::time::Instant::now();
        let found = log.decided_since(SHARD, &mut looked).await.unwrap().len();
        println!("{what}: {found} found in {:?}", began.elapsed());
    }
    let began = std::time::Instant::now();
    log.open_runs(SHARD).await.unwrap();
    println!("open_runs: {:?}", began.elapsed());
    for run in &commits[..300] {
        let seq = log.last_seq(*run).await.unwrap();
        log.commit(*run, seq, b"y".to_vec(), false).await.unwrap();
    }
    let began = std::time::Instant::now();
    let found = log.decided_since(SHARD, &mut looked).await.unwrap().len();
    println!("next look, {found} decided: {:?}", began.elapsed());
}
