//! Secrets of services that are made if they are missing: entries of a secret in Vault that get a random value once and are
//! never changed. Written under check-and-set, so that of two that make the same entry one wins and the other sees it.

use crate::error::Cause;
use crate::vault::{Vault, understood};
use aws_lc_rs::rand;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

/// Length of a value that is made, in characters. The replaced service made as many.
const LENGTH: usize = 24;
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// How often somebody else may be quicker.
const TRIES: u32 = 5;

/// How a secret stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSecret {
    /// Number of its latest version; 0: there is none.
    pub version: u64,
    /// Those of the keys that have no value.
    pub missing: Vec<String>,
}

struct Read {
    version: u64,
    entries: Map<String, Value>,
}

impl Vault {
    /// Looks which of the keys have a value.
    pub(crate) async fn kept(&self, path: &str, keys: &[String]) -> Result<KeptSecret, Cause> {
        let read = self.entries(path).await?;
        Ok(KeptSecret { version: read.version, missing: missing(&read.entries, keys) })
    }

    /// Makes the values that are missing. The version is the one that has them all.
    pub(crate) async fn ensure(&self, path: &str, keys: &[String]) -> Result<KeptSecret, Cause> {
        for _ in 0..TRIES {
            let Read { version, mut entries } = self.entries(path).await?;
            let missing = missing(&entries, keys);
            if missing.is_empty() {
                return Ok(KeptSecret { version, missing });
            }
            for key in &missing {
                entries.insert(key.clone(), Value::String(random()?));
            }
            let body = json!({ "options": { "cas": version }, "data": entries });
            let url = self.data_url(path)?;
            let answer = self.authorised(|| self.client().post(url.clone()).json(&body)).await?;
            // Somebody was quicker; or this was sent twice, and the first one counted.
            let raced = answer.status == StatusCode::BAD_REQUEST && String::from_utf8_lossy(&answer.body).contains("check-and-set");
            if !raced {
                let document: Value = parsed(&understood(answer)?.body)?;
                let version = document["data"]["version"].as_u64().ok_or_else(|| Cause::malformed("Vault's answer has no version"))?;
                return Ok(KeptSecret { version, missing });
            }
        }
        Err(Cause::Unreachable("somebody else writes the same secret again and again".to_owned()))
    }

    async fn entries(&self, path: &str) -> Result<Read, Cause> {
        let url = self.data_url(path)?;
        let answer = self.authorised(|| self.client().get(url.clone())).await?;
        if answer.status == StatusCode::NOT_FOUND {
            // A secret whose latest version was deleted is answered so too, with its version. Nobody deletes by mistake what
            // a database was set up with: making a new one would lock the service out.
            let deleted = serde_json::from_slice::<Value>(&answer.body).is_ok_and(|body| body["data"]["metadata"].is_object());
            if deleted {
                return Err(Cause::denied("its latest version is deleted: undelete it, or write a new one yourself"));
            }
            return Ok(Read { version: 0, entries: Map::new() });
        }
        let document = parsed(&understood(answer)?.body)?;
        let data = &document["data"];
        match (data["metadata"]["version"].as_u64(), &data["data"]) {
            (Some(version), Value::Object(entries)) => Ok(Read { version, entries: entries.clone() }),
            _ => Err(Cause::malformed("Vault's answer has no data.data and version: is the mount of version 2?")),
        }
    }
}

fn parsed(body: &[u8]) -> Result<Value, Cause> {
    serde_json::from_slice(body).map_err(|error| Cause::malformed(format!("Vault's answer is no JSON (line {})", error.line())))
}

fn missing(entries: &Map<String, Value>, keys: &[String]) -> Vec<String> {
    let filled = |key: &str| match entries.get(key) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Null) | None => false,
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => true,
    };
    keys.iter().filter(|key| !filled(key)).cloned().collect()
}

/// Letters and digits, each as likely as any other.
fn random() -> Result<String, Cause> {
    let mut text = String::with_capacity(LENGTH);
    while text.len() < LENGTH {
        let mut bytes = [0; 64];
        rand::fill(&mut bytes).map_err(|_| Cause::Unreachable("this machine gives no random numbers".to_owned()))?;
        // 248 is four times 62: what lies above would make the first letters likelier.
        let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
        text.extend(fair.take(LENGTH - text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_made_of_letters_and_digits_and_never_twice_the_same() {
        let made: Vec<String> = (0..50).map(|_| random().unwrap()).collect();
        assert!(made.iter().all(|text| text.len() == LENGTH && text.bytes().all(|byte| LETTERS.contains(&byte))), "{made:?}");
        assert_eq!(made.iter().collect::<std::collections::BTreeSet<_>>().len(), made.len());
    }

    #[test]
    fn empty_and_null_are_missing_and_everything_else_is_there() {
        let entries = json!({ "A": "x", "B": "", "C": null, "D": 0 });
        let keys = ["A", "B", "C", "D", "E"].map(str::to_owned);
        assert_eq!(missing(entries.as_object().unwrap(), &keys), ["B", "C", "E"]);
    }
}
