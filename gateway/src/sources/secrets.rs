//! The secrets of a source's webhook: one, or two while one is being replaced.

use proto::Secret;
use service::settings::ForgeKind;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Shortest secret, in bytes: 128 bits as hexadecimal digits.
const SHORTEST: usize = 32;
/// How many may be in force at a time.
const MOST: usize = 2;

/// Says which secret it was, in logs and records; nothing of the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyId(String);

impl KeyId {
    /// Eight hexadecimal digits of a digest.
    fn of(secret: &Secret) -> Self {
        Self(hex::encode(&Sha256::digest(format!("navvy webhook secret {}", secret.expose()))[..4]))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One or two secrets, in the order of the file.
/// None by default: nothing is believed then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets(Vec<(KeyId, Secret)>);

impl Secrets {
    /// One a line. What is wrong is told without any of it.
    pub(crate) fn parse(text: &str, kind: ForgeKind) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty: write the webhook's secret into it".to_owned());
        }
        let mut secrets = Vec::new();
        // `lines` takes the end of a line away, `\r` included; a last line may go without.
        for (n, line) in (1..).zip(text.lines()) {
            if n > MOST {
                return Err(format!("has more than two lines: at most {MOST} secrets are in force at a time, one a line"));
            }
            if line.len() < SHORTEST {
                let bytes = line.len();
                return Err(format!(
                    "is no good: line {n} has {bytes} bytes, a secret at least {SHORTEST}; make one with: openssl rand -hex 32"
                ));
            }
            if kind == ForgeKind::AzureDevops && !line.contains(':') {
                return Err(format!("is no good: line {n} is not `user:password`, which Azure DevOps logs in with"));
            }
            let secret = Secret::new(line);
            secrets.push((KeyId::of(&secret), secret));
        }
        Ok(Self(secrets))
    }

    /// How many are in force.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Which of them `holds`, if one does. Each is tried, whether or not one before it held: the time says nothing.
    pub(crate) fn find(&self, holds: impl Fn(&Secret) -> subtle::Choice) -> Option<KeyId> {
        let tried: Vec<bool> = self.0.iter().map(|(_, secret)| holds(secret).into()).collect();
        self.0.iter().zip(tried).find(|(_, holds)| *holds).map(|((id, _), _)| id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use subtle::ConstantTimeEq as _;

    #[test]
    fn each_secret_is_tried_and_named() {
        let (one, two) = ("a".repeat(32), "b".repeat(32));
        let both = Secrets::parse(&format!("{one}\r\n{two}\n"), ForgeKind::Github).unwrap();
        let which = |wanted: &str| both.find(|secret| secret.expose().as_bytes().ct_eq(wanted.as_bytes()));
        let ids: Vec<_> = [&one, &two].map(|secret| which(secret).unwrap()).into();
        assert!(ids[0] != ids[1] && ids.iter().all(|id| id.as_str().len() == 8));
        assert_eq!(which("c"), None);
        assert!(!format!("{both:?}").contains(&one));
    }
}
