//! Reads back everything that was stored, and holds it against what the writers were told.

use super::writers::{Answer, Entry, Told};
use crate::support::cluster::Cluster;
use crate::support::eventually;
use async_nats::jetstream::{self, consumer};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    seq: u64,
    entry: Entry,
}

/// The history of each key, oldest first.
type History = BTreeMap<String, Vec<Stored>>;

/// What came out. The lists are violations, in words.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) wins: u64,
    pub(super) conflicts: u64,
    pub(super) ambiguous: u64,
    pub(super) ambiguous_committed: u64,
    pub(super) unavailable: u64,
    pub(super) stored: u64,
    /// Two were stored that expected the same.
    pub(super) double_winners: Vec<String>,
    /// A writer was told that it was stored, and it is not, or elsewhere.
    pub(super) lost: Vec<String>,
    /// A writer was told that it was not stored, and it is.
    pub(super) stored_although_refused: Vec<String>,
    /// Stored, and nobody wrote it; or stored twice; or it did not stand behind what it expected.
    pub(super) unaccounted: Vec<String>,
    /// Another leader tells another history.
    pub(super) changed_later: Vec<String>,
}

pub(super) async fn judge(cluster: &Cluster, client: &async_nats::Client, told: Vec<Told>) -> Findings {
    let history = history(client).await;
    let mut findings = compare(&history, &told);
    // Whoever leads next must tell the same: a follower that was behind, or ahead, would show now.
    for _ in 0..2 {
        client.request("$JS.API.STREAM.LEADER.STEPDOWN.RUNS", Bytes::new()).await.unwrap();
        cluster.until_whole(client, "RUNS").await;
        let again = self::history(client).await;
        let differs = history.iter().chain(&again).find(|(key, _)| history.get(*key) != again.get(*key));
        findings.changed_later.extend(differs.map(|(key, stored)| format!("{key}: {stored:?}")));
    }
    findings
}

async fn history(client: &async_nats::Client) -> History {
    eventually("the history", || async { read(client).await.ok() }).await
}

/// All that the stream has, through a consumer that starts at its beginning.
async fn read(client: &async_nats::Client) -> Result<History, async_nats::Error> {
    let stream = jetstream::new(client.clone()).get_stream("RUNS").await?;
    let messages = stream.cached_info().state.messages;
    let config = consumer::pull::Config { ack_policy: consumer::AckPolicy::None, ..consumer::pull::Config::default() };
    let reader = stream.create_consumer(config).await?;
    let mut history = History::new();
    let mut read = 0;
    while read < messages {
        let batch: Vec<jetstream::Message> = reader.fetch().max_messages(1000).messages().await?.try_collect().await?;
        if batch.is_empty() {
            return Err("the history ended early".into());
        }
        for message in batch {
            let stored = Stored { seq: message.info()?.stream_sequence, entry: serde_json::from_slice(&message.payload)? };
            history.entry(message.subject.to_string()).or_default().push(stored);
            read += 1;
        }
    }
    Ok(history)
}

fn compare(history: &History, told: &[Told]) -> Findings {
    let mut findings = Findings::default();
    let mut places: HashMap<(usize, u64), (String, Stored)> = HashMap::new();
    for (key, stored) in history {
        let mut before = 0;
        let mut expected = HashSet::new();
        for one in stored {
            findings.stored += 1;
            if !expected.insert(one.entry.expected) {
                findings.double_winners.push(format!("{key}: {one:?}"));
            }
            let twice = places.insert((one.entry.writer, one.entry.counter), (key.clone(), one.clone()));
            if one.entry.expected != before || twice.is_some() {
                findings.unaccounted.push(format!("{key}: {one:?} behind {before}, before: {twice:?}"));
            }
            before = one.seq;
        }
    }
    for one in told {
        let place = places.remove(&(one.entry.writer, one.entry.counter));
        let here = place.as_ref().is_some_and(|(key, stored)| *key == proto::subject::run(one.key) && stored.entry == one.entry);
        match one.answer {
            Answer::Won(seq) => {
                findings.wins += 1;
                if !here || place.as_ref().is_none_or(|(_, stored)| stored.seq != seq) {
                    findings.lost.push(format!("{one:?}, found {place:?}"));
                }
            }
            Answer::Lost => findings.conflicts += 1,
            Answer::NotStored => findings.unavailable += 1,
            Answer::Unknown => {
                findings.ambiguous += 1;
                findings.ambiguous_committed += u64::from(place.is_some());
            }
        }
        if matches!(one.answer, Answer::Lost | Answer::NotStored) && place.is_some() {
            findings.stored_although_refused.push(format!("{one:?}, found {place:?}"));
        }
    }
    findings.unaccounted.extend(places.into_values().map(|place| format!("nobody wrote {place:?}")));
    findings
}

#[cfg(test)]
mod tests {
    use super::super::writers::key;
    use super::*;

    fn stored(seq: u64, writer: usize, counter: u64, expected: u64) -> Stored {
        Stored { seq, entry: Entry { writer, counter, expected } }
    }

    fn told(stored: &Stored, answer: Answer) -> Told {
        Told { key: key(0), entry: stored.entry, answer }
    }

    fn of(stored: &[Stored]) -> History {
        History::from([(proto::subject::run(key(0)), stored.to_vec())])
    }

    #[test]
    fn each_violation_is_found() {
        let (first, second) = (stored(1, 0, 0, 0), stored(2, 1, 0, 1));
        let good = [told(&first, Answer::Won(1)), told(&second, Answer::Unknown)];
        let fine = compare(&of(&[first.clone(), second.clone()]), &good);
        assert_eq!((fine.wins, fine.ambiguous, fine.ambiguous_committed, fine.stored), (1, 1, 1, 2));
        assert!(fine.double_winners.is_empty() && fine.lost.is_empty() && fine.unaccounted.is_empty());

        let rival = stored(2, 1, 0, 0);
        let double = compare(&of(&[first.clone(), rival.clone()]), &[told(&first, Answer::Won(1)), told(&rival, Answer::Won(2))]);
        assert_eq!(double.double_winners.len(), 1);
        let lost = compare(&of(&[]), &good);
        assert_eq!((lost.lost.len(), lost.ambiguous_committed), (1, 0));
        let refused = compare(&of(std::slice::from_ref(&first)), &[told(&first, Answer::Lost)]);
        assert_eq!(refused.stored_although_refused.len(), 1);
        let unavailable = compare(&of(std::slice::from_ref(&first)), &[told(&first, Answer::NotStored)]);
        assert_eq!(unavailable.stored_although_refused.len(), 1);
        let strange = compare(&of(&[first, second]), &good[..1]);
        assert_eq!(strange.unaccounted.len(), 1);
    }
}
