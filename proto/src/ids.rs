//! Names of things that cross process borders. Each is a type of its own, so that no id can stand in for another.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use uuid::Uuid;

/// Why a text is not the id it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// Not a hyphenated UUID.
    #[error("`{0}` is not a run id: a run id is a UUID such as 0192f0c1-7e3a-7abc-8def-0123456789ab")]
    Run(String),
    /// Not usable as one token of a NATS subject.
    #[error("`{0}` is not a name: 1 to 64 of a-z, 0-9, - and _, starting with a letter or digit")]
    Name(String),
}

/// One accepted trigger. A UUIDv7 whose last byte is the shard, so that whoever knows the run knows where it lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Uuid);

impl RunId {
    /// A new id that sorts by the time it was made.
    pub fn fresh(shard: ShardNo) -> Self {
        Self::with_shard(Uuid::now_v7(), shard)
    }

    /// The id that a repeat of the same request gets again: built from what makes the request the same one.
    /// It carries no time, so it does not sort; version 8 says so.
    pub fn from_repeatable(parts: &[&str], shard: ShardNo) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        let hash = digest.finalize();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self::with_shard(uuid::Builder::from_custom_bytes(bytes).into_uuid(), shard)
    }

    fn with_shard(id: Uuid, shard: ShardNo) -> Self {
        let mut bytes = id.into_bytes();
        bytes[15] = shard.0;
        Self(Uuid::from_bytes(bytes))
    }

    /// The shard that decides about this run.
    pub fn shard(self) -> ShardNo {
        ShardNo(self.0.as_bytes()[15])
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for RunId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        // Only the hyphenated form: one run has one spelling, in URLs, subjects and keys alike.
        if text.len() != 36 {
            return Err(BadId::Run(shorten(text)));
        }
        Uuid::parse_str(text).map(Self).map_err(|_| BadId::Run(shorten(text)))
    }
}

impl TryFrom<String> for RunId {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

/// Which scheduler shard a run and its locks belong to: the hash of the lock domain, modulo the shard count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardNo(pub u8);

impl ShardNo {
    /// The shard of a lock domain (a repository, say). `count` 0 counts as 1.
    pub fn of(lock_domain: &str, count: u8) -> Self {
        let hash = Sha256::digest(lock_domain.as_bytes());
        Self(hash[0] % count.max(1))
    }
}

impl fmt::Display for ShardNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A job's place in its run, from 0. Subjects and keys use it; people read the job's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobNo(pub u32);

impl fmt::Display for JobNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which try of a job, from 1. Everything a worker sends carries it; a report of an older one changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptNo(pub u32);

impl AttemptNo {
    /// The first try.
    pub const FIRST: Self = Self(1);

    /// The try after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for AttemptNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One attempt of one job of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The run.
    pub run: RunId,
    /// The job.
    pub job: JobNo,
    /// The try.
    pub attempt: AttemptNo,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.run, self.job, self.attempt)
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text, usable as one token of a subject or a key.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(BadId::Name(shorten(text))) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name_type!(
    /// A set of workers that serve the same queue.
    PoolName
);
name_type!(
    /// One worker process. It keeps its name over a restart, so that it can deliver what it had spooled.
    WorkerId
);

name_type!(
    /// A repository whose pushes are followed, as the settings name it.
    SourceId
);

/// Where a worker sits: the pool it serves, and its name. Both are tokens of every subject it speaks or listens on, so that
/// the permissions of a NATS user can hold it to its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seat {
    /// The pool.
    pub pool: PoolName,
    /// The worker.
    pub worker: WorkerId,
}

impl Seat {
    /// The seat in two tokens of a subject, if they are names.
    pub fn of_tokens(pool: &str, worker: &str) -> Option<Self> {
        Some(Self { pool: pool.parse().ok()?, worker: worker.parse().ok()? })
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.pool, self.worker)
    }
}

impl Default for PoolName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

/// Enough of a hostile text to recognise it, and no control characters.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_knows_its_shard_and_survives_text() {
        let id = RunId::fresh(ShardNo(3));
        assert_eq!(id.shard(), ShardNo(3));
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn a_repeat_of_the_same_parts_gets_the_same_id_and_joins_do_not_collide() {
        let shard = ShardNo(0);
        assert_eq!(RunId::from_repeatable(&["a", "b"], shard), RunId::from_repeatable(&["a", "b"], shard));
        assert_ne!(RunId::from_repeatable(&["a", "b"], shard), RunId::from_repeatable(&["ab", ""], shard));
    }

    #[test]
    fn only_the_hyphenated_form_is_a_run_id() {
        for bad in ["", "x", "0192f0c17e3a7abc8def0123456789ab", "{0192f0c1-7e3a-7abc-8def-0123456789ab}", "../../etc"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_one_subject_token() {
        for (text, good) in
            [("default", true), ("gpu-1_a", true), ("", false), ("a.b", false), ("*", false), (">", false), ("-x", false), ("A", false)]
        {
            assert_eq!(text.parse::<PoolName>().is_ok(), good, "{text}");
        }
    }
}
