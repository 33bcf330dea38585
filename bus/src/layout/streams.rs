//! What every stream, bucket and consumer must be. Why, in a word beside each; the table for people is made from the same.

use super::{DAY, HOUR, Layout, STORED_PREFIX};
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Republish, RetentionPolicy, StorageType};
use proto::{PoolName, subject};
use std::time::Duration;

/// A worker that has not said a word for so long is gone from the list.
const FLEET_MAX_AGE: Duration = Duration::from_mins(1);
/// How long the note that a key is gone stays, so that watchers see it.
const GONE_MARKER: Duration = HOUR;
/// A delivery that nobody has acknowledged for so long is given to somebody else.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// More pulls than any fleet has slots; beyond it the server answers 409 at once.
const MAX_WAITING: i64 = 20_000;
/// Repeats of one trigger within a day are one trigger. Measured: a message with an id, on a subject of its own, costs the
/// server about 400 bytes of memory (64,000 of them 26 MB).
const INBOX_DUPLICATES: Duration = DAY;
const WORK_DUPLICATES: Duration = HOUR;

/// How long what webhooks brought can be looked at, and a delivery that comes again is known. INBOX forgets it after a day.
const DELIVERIES_MAX_AGE: Duration = Duration::from_hours(30 * 24);

/// More dead letters than anybody reads; older ones make room.
const MOST_DEAD: i64 = 10_000;

/// A stream with the reason for it, and the consumers that live with it.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) config: Config,
    pub(crate) consumers: Vec<consumer::Config>,
    /// Who writes.
    pub(crate) writer: &'static str,
    /// Why it is as it is.
    pub(crate) why: &'static str,
}

/// The stream under a KV bucket.
pub(crate) fn bucket_stream(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// The subject of a bucket's key.
pub(crate) fn bucket_subject(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}

/// The stream under an object store.
pub(crate) fn object_stream(store: &str) -> String {
    format!("OBJ_{store}")
}

impl Layout {
    /// Everything, in the order it is created.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        let mut wanted = vec![
            self.inbox(),
            self.runs(),
            self.locks(),
            self.work(),
            self.logs(),
            self.views(),
            self.fleet(),
            self.secrets(),
            self.keys(),
            self.notices(),
            self.services(),
            self.deliveries(),
            self.deployments(),
            self.nonces(),
        ];
        wanted.extend(self.pools.iter().map(|pool| self.artifacts(pool)));
        wanted.push(self.dead());
        wanted
    }

    fn stream(&self, name: &str, subjects: &str, max_age: Duration) -> Config {
        Config {
            name: name.to_owned(),
            subjects: vec![subjects.to_owned()],
            storage: StorageType::File,
            num_replicas: self.replicas,
            max_age,
            max_bytes: -1,
            max_messages: -1,
            max_messages_per_subject: -1,
            // Said aloud, because since 2.15 a server gives a stream that says nothing at most 1000.
            max_consumers: -1,
            ..Config::default()
        }
    }

    /// A stream that `nats kv` takes for the bucket it is.
    fn bucket(&self, bucket: &str, max_age: Duration) -> Config {
        Config {
            max_messages_per_subject: 1,
            discard: DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            ..self.stream(&bucket_stream(bucket), &bucket_subject(bucket, ">"), max_age)
        }
    }

    fn inbox(&self) -> Wanted {
        let consumers = (0..self.shards.max(1)).map(|shard| {
            let shard = proto::ShardNo(shard);
            durable(subject::shard_consumer(shard), subject::inbox_of_shard(shard))
        });
        Wanted {
            config: Config {
                duplicate_window: INBOX_DUPLICATES.min(self.inbox_max_age),
                discard: DiscardPolicy::New,
                ..self.stream(subject::INBOX, "inbox.>", self.inbox_max_age)
            },
            consumers: consumers.collect(),
            writer: "gateway, workers",
            why: "kept by age, not until acknowledged: only so does de-duplication survive a restart of the server",
        }
    }

    fn runs(&self) -> Wanted {
        Wanted {
            config: Config {
                allow_atomic_publish: true,
                allow_direct: true,
                deny_delete: true,
                deny_purge: true,
                discard: DiscardPolicy::New,
                ..self.stream(subject::RUNS, "run.>", self.run_max_age)
            },
            consumers: Vec::new(),
            writer: "scheduler",
            why: "one subject a run, every decision about it in order; nothing can be taken out by hand",
        }
    }

    fn locks(&self) -> Wanted {
        Wanted {
            config: Config {
                allow_atomic_publish: true,
                // Followers may lag, and a lock is a decision: only the leader answers.
                allow_direct: false,
                ..self.bucket(subject::LOCKS, Duration::ZERO)
            },
            consumers: Vec::new(),
            writer: "scheduler",
            why: "never expires by itself: a lock that goes away under a running apply is worse than one that stays",
        }
    }

    fn work(&self) -> Wanted {
        let consumers = self.pools.iter().map(|pool| durable(subject::pool_consumer(pool), format!("work.{pool}.>")));
        Wanted {
            config: Config {
                retention: RetentionPolicy::WorkQueue,
                duplicate_window: WORK_DUPLICATES,
                discard: DiscardPolicy::New,
                ..self.stream(subject::WORK, "work.>", Duration::ZERO)
            },
            consumers: consumers.collect(),
            writer: "scheduler",
            why: "an order is gone once a worker has its permit; redelivered without end, because only a permit starts anything",
        }
    }

    fn logs(&self) -> Wanted {
        Wanted {
            config: Config {
                allow_direct: true,
                republish: Some(Republish { source: "log.>".to_owned(), destination: format!("{STORED_PREFIX}log.>"), headers_only: true }),
                ..self.stream(subject::LOGS, "log.>", self.log_max_age)
            },
            consumers: Vec::new(),
            writer: "workers",
            why: "chunks of up to 16 KiB; announced without their bytes on `stored.log.>` once they are stored",
        }
    }

    fn views(&self) -> Wanted {
        Wanted {
            config: with_markers(self.bucket(subject::VIEWS, self.run_max_age)),
            consumers: Vec::new(),
            writer: "scheduler",
            why: "derived from RUNS; losing it loses nothing",
        }
    }

    fn fleet(&self) -> Wanted {
        Wanted {
            config: with_markers(self.bucket(subject::FLEET, FLEET_MAX_AGE)),
            consumers: Vec::new(),
            writer: "workers",
            why: "a heartbeat every 5 s; on disk, because a server that restarts forgets a stream in memory altogether",
        }
    }

    fn secrets(&self) -> Wanted {
        Wanted {
            config: with_markers(self.bucket(subject::SECRETS, self.run_max_age)),
            consumers: Vec::new(),
            writer: "gateway; deleted by the scheduler",
            why: "sealed to the scheduler's key; gone with the end of the run, at the latest with its age",
        }
    }

    fn keys(&self) -> Wanted {
        Wanted {
            config: self.bucket(subject::KEYS, Duration::ZERO),
            consumers: Vec::new(),
            writer: "gateway (API keys), scheduler (its public key)",
            why: "digests of API keys and public keys, nothing secret",
        }
    }

    fn notices(&self) -> Wanted {
        Wanted {
            config: self.bucket(subject::NOTICES, self.run_max_age),
            consumers: Vec::new(),
            writer: "gateway",
            why: "which comment is a run's, what it shows, which callbacks were answered: so that nothing is told twice",
        }
    }

    fn services(&self) -> Wanted {
        Wanted {
            config: self.bucket(subject::SERVICES, Duration::ZERO),
            consumers: Vec::new(),
            writer: "scheduler",
            why: "how each service stands in each environment, and the last mapping of each source that could be read; derived",
        }
    }

    fn deliveries(&self) -> Wanted {
        Wanted {
            config: self.bucket(subject::DELIVERIES, DELIVERIES_MAX_AGE),
            consumers: Vec::new(),
            writer: "gateway",
            why: "what webhooks brought and what became of it; a delivery is accepted once, however often and wherever it comes",
        }
    }

    fn deployments(&self) -> Wanted {
        Wanted {
            config: self.bucket(subject::DEPLOYMENTS, self.run_max_age),
            consumers: Vec::new(),
            writer: "gateway",
            why: "which run a deployment of a version is: gateways agree on one, whoever is asked",
        }
    }

    fn nonces(&self) -> Wanted {
        Wanted {
            config: self.bucket(subject::NONCES, crate::nonces::Nonces::REMEMBERED),
            consumers: Vec::new(),
            writer: "gateway",
            why: "nonces of stamped signatures: each is good once, at one gateway",
        }
    }

    fn dead(&self) -> Wanted {
        Wanted {
            config: Config {
                allow_direct: true,
                max_messages: MOST_DEAD,
                // As long as the message itself may come again.
                duplicate_window: self.inbox_max_age,
                ..self.stream(subject::DEAD, "dead.>", self.run_max_age)
            },
            consumers: Vec::new(),
            writer: "scheduler, workers",
            why: "messages that nobody could handle, as they were, with the reason; for people, nothing is decided by it",
        }
    }

    fn artifacts(&self, pool: &PoolName) -> Wanted {
        let store = subject::artifacts(pool);
        Wanted {
            config: Config {
                subjects: vec![format!("$O.{store}.C.>"), format!("$O.{store}.M.>")],
                discard: DiscardPolicy::New,
                allow_rollup: true,
                // A plan that was just stored must be found: only the leader answers.
                allow_direct: false,
                ..self.stream(&object_stream(&store), "", self.run_max_age)
            },
            consumers: Vec::new(),
            writer: "the pool's workers",
            why: "an object store for each pool: sealed plans, archived logs, state files that could not be saved",
        }
    }
}

/// A bucket whose keys may go away by themselves says so to watchers.
fn with_markers(config: Config) -> Config {
    Config { allow_message_ttl: true, subject_delete_marker_ttl: Some(GONE_MARKER), ..config }
}

/// A consumer that a group of processes shares.
fn durable(name: String, filter: String) -> consumer::Config {
    consumer::Config {
        durable_name: Some(name.clone()),
        name: Some(name),
        filter_subject: filter,
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: -1,
        max_waiting: MAX_WAITING,
        ..consumer::Config::default()
    }
}
