//! Bringing the layout about, and checking that it is there. Nothing is ever deleted.
//!
//! The one refusal: runs that are open while their locks are gone. Creating an empty LOCKS bucket then would let two
//! applies into one directory; a person has to look first.

use super::streams::Wanted;
use super::{Layout, bucket_stream, differences, object_stream};
use crate::connect::{Bus, new_enough};
use crate::error::{BusError, Op};
use crate::run_log;
use async_nats::jetstream::consumer;
use async_nats::jetstream::stream::{Config, Info};
use proto::{PoolName, subject};
use serde_json::json;

impl Bus {
    /// Creates what is missing and updates what differs, and tells what it did. Idempotent; deletes nothing.
    /// Refuses ([`BusError::Layout`]) when LOCKS is missing while RUNS has open runs, and names whatever the server
    /// does not let be changed.
    pub async fn migrate(&self, layout: &Layout) -> Result<Vec<String>, BusError> {
        self.refuse_lost_locks().await?;
        let mut done = Vec::new();
        let mut problems = Vec::new();
        for wanted in layout.wanted() {
            match self.bring_about(&wanted).await {
                Ok(what) => done.extend(what),
                Err(BusError::Refused { what, why, .. }) => problems.push(format!("{what}: {why}")),
                Err(other) => return Err(other),
            }
        }
        if problems.is_empty() { Ok(done) } else { Err(BusError::Layout { problems }) }
    }

    /// What a worker may see of the layout: the orders and artifacts of its pool. The rest the other roles check.
    pub async fn check_pool(&self, pool: &PoolName, layout: &Layout) -> Result<(), BusError> {
        let (store, consumer) = (object_stream(&subject::artifacts(pool)), subject::pool_consumer(pool));
        let mut problems = Vec::new();
        for mut wanted in layout.wanted() {
            if wanted.config.name == store {
                problems.extend(self.problems_of(&wanted).await?);
            } else if wanted.config.name == subject::WORK {
                wanted.consumers.retain(|known| known.name.as_deref() == Some(&consumer));
                problems.extend(self.problems_of_consumers(&wanted).await?);
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(BusError::Layout { problems }) }
    }

    /// Reads the layout back and names everything that is missing or different.
    ///
    /// Not visible to a client, so not checked: the server's `sync_interval`. It is in the server's configuration and in
    /// its monitoring endpoint (`/jsz`, `config.sync_always`).
    pub async fn check_layout(&self, layout: &Layout) -> Result<(), BusError> {
        let version = self.server_version();
        if !new_enough(&version) {
            return Err(BusError::OldServer { version });
        }
        let mut problems = Vec::new();
        for wanted in layout.wanted() {
            problems.extend(self.problems_of(&wanted).await?);
        }
        if problems.is_empty() { Ok(()) } else { Err(BusError::Layout { problems }) }
    }

    async fn refuse_lost_locks(&self) -> Result<(), BusError> {
        let locks = bucket_stream(subject::LOCKS);
        if self.stream(&locks).await?.is_some() || self.stream(subject::RUNS).await?.is_none() {
            return Ok(());
        }
        let open = run_log::open_runs(&self.link, "run.>").await?.len();
        if open == 0 {
            return Ok(());
        }
        Err(BusError::Layout {
            problems: vec![format!(
                "the bucket LOCKS is missing while {open} runs are open: who holds which lock is lost. Restore the stream {locks} \
                 from a backup; or stop every worker, make sure that nothing is being applied, and move the stream RUNS away too"
            )],
        })
    }

    async fn bring_about(&self, wanted: &Wanted) -> Result<Vec<String>, BusError> {
        let name = &wanted.config.name;
        let mut done = Vec::new();
        match self.stream(name).await? {
            None => {
                self.put_stream("create stream", &format!("STREAM.CREATE.{name}"), &wanted.config).await?;
                done.push(format!("created stream {name}"));
            }
            Some(found) => {
                let differences = differences::of_stream(&found.config, &wanted.config);
                if !differences.is_empty() {
                    let corrected = differences::corrected(&found.config, &wanted.config);
                    self.put_stream("update stream", &format!("STREAM.UPDATE.{name}"), &corrected).await?;
                    done.push(format!("updated stream {name}: {}", differences.join(", ")));
                }
            }
        }
        for consumer in &wanted.consumers {
            let consumer_name = consumer.name.as_deref().unwrap_or_default();
            let verb = match self.consumer(name, consumer_name).await? {
                None => "created",
                Some(found) if differences::of_consumer(&found.config, consumer).is_empty() => continue,
                Some(_) => "updated",
            };
            self.put_consumer(name, consumer).await?;
            done.push(format!("{verb} consumer {consumer_name} of {name}"));
        }
        Ok(done)
    }

    async fn problems_of(&self, wanted: &Wanted) -> Result<Vec<String>, BusError> {
        let name = &wanted.config.name;
        let Some(found) = self.stream(name).await? else {
            return Ok(vec![format!("stream {name} is missing (run `navvy admin migrate`)")]);
        };
        let mut problems: Vec<String> =
            differences::of_stream(&found.config, &wanted.config).into_iter().map(|d| format!("stream {name}: {d}")).collect();
        problems.extend(self.problems_of_consumers(wanted).await?);
        Ok(problems)
    }

    async fn problems_of_consumers(&self, wanted: &Wanted) -> Result<Vec<String>, BusError> {
        let name = &wanted.config.name;
        let mut problems = Vec::new();
        for consumer in &wanted.consumers {
            let consumer_name = consumer.name.as_deref().unwrap_or_default();
            match self.consumer(name, consumer_name).await? {
                None => problems.push(format!("consumer {consumer_name} of {name} is missing (run `navvy admin migrate`)")),
                Some(found) => problems.extend(
                    differences::of_consumer(&found.config, consumer)
                        .into_iter()
                        .map(|d| format!("consumer {consumer_name} of {name}: {d}")),
                ),
            }
        }
        Ok(problems)
    }

    async fn stream(&self, name: &str) -> Result<Option<Info>, BusError> {
        absent_is_none(self.link.api(Op("look at stream", &format!("STREAM.INFO.{name}")), &json!({})).await)
    }

    async fn consumer(&self, stream: &str, name: &str) -> Result<Option<consumer::Info>, BusError> {
        absent_is_none(self.link.api(Op("look at consumer", &format!("CONSUMER.INFO.{stream}.{name}")), &json!({})).await)
    }

    async fn put_stream(&self, verb: &'static str, subject: &str, config: &Config) -> Result<(), BusError> {
        let made: Info = self.link.api(Op(verb, subject), config).await?;
        // An old server drops what it does not know without a word.
        let ignored = differences::of_stream(&made.config, config);
        if ignored.is_empty() {
            return Ok(());
        }
        Err(BusError::Layout { problems: ignored.into_iter().map(|d| format!("stream {}: the server ignored {d}", config.name)).collect() })
    }

    async fn put_consumer(&self, stream: &str, config: &consumer::Config) -> Result<(), BusError> {
        let subject = format!("CONSUMER.CREATE.{stream}.{}.{}", config.name.as_deref().unwrap_or_default(), config.filter_subject);
        let body = json!({ "stream_name": stream, "config": config, "action": "" });
        let _: consumer::Info = self.link.api(Op("create consumer", &subject), &body).await?;
        Ok(())
    }
}

fn absent_is_none<T>(found: Result<T, BusError>) -> Result<Option<T>, BusError> {
    match found {
        Ok(info) => Ok(Some(info)),
        Err(BusError::NotFound { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
