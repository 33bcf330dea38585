//! KEYS: digests of API keys and the scheduler's public sealing key, as JSON. Nothing secret stands here.

use crate::bucket::Bucket;
use crate::error::{BusError, Op};
use crate::link::Link;
use proto::subject;
use serde::{Serialize, de::DeserializeOwned};

/// JSON values by key.
#[derive(Debug, Clone)]
pub struct Keys {
    bucket: Bucket,
}

impl Keys {
    pub(crate) fn new(link: Link) -> Self {
        Self { bucket: Bucket::new(link, subject::KEYS) }
    }

    /// Writes, whatever is there.
    pub async fn put<T: Serialize>(&self, key: &str, value: &T) -> Result<(), BusError> {
        valid(key)?;
        self.bucket.put(key, value).await.map(|_| ())
    }

    /// Writes where nothing is. [`BusError::Conflict`]: there is something.
    pub async fn create<T: Serialize>(&self, key: &str, value: &T) -> Result<(), BusError> {
        valid(key)?;
        let there = self.bucket.get::<serde::de::IgnoredAny>(key).await?;
        if there.value.is_some() {
            return Err(BusError::Conflict { what: format!("create {key}") });
        }
        self.bucket.put_if(key, value, there.revision).await.map(|_| ())
    }

    /// What a key holds, as the leader has it.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, BusError> {
        valid(key)?;
        Ok(self.bucket.get(key).await?.value)
    }

    /// Every key that begins so, with its value.
    pub async fn list<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<(String, T)>, BusError> {
        let mut found = Vec::new();
        for key in self.bucket.keys().await?.into_iter().filter(|key| key.starts_with(prefix)) {
            found.extend(self.bucket.get(&key).await?.value.map(|value| (key, value)));
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// Removes a key; nothing to remove is a success.
    pub async fn delete(&self, key: &str) -> Result<(), BusError> {
        valid(key)?;
        self.bucket.remove(key, None).await
    }
}

/// What NATS takes for a key; anything else would become another subject, or a wildcard.
fn valid(key: &str) -> Result<(), BusError> {
    let token = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'=' | b'/'));
    if key.len() <= 200 && key.split('.').all(token) {
        return Ok(());
    }
    let shown: String = key.chars().take(80).flat_map(char::escape_debug).collect();
    Err(BusError::invalid(Op("use key", &shown), "a key is letters, digits, - _ = / and single dots between"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_be_a_wildcard_or_leave_its_bucket() {
        for (key, good) in [
            ("api.1", true),
            ("sealing.public", true),
            ("", false),
            ("a..b", false),
            (".a", false),
            ("a.*", false),
            (">", false),
            ("a b", false),
            ("a\r\nPUB", false),
        ] {
            assert_eq!(valid(key).is_ok(), good, "{key}");
        }
    }
}
