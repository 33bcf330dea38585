//! Where a credential lies: `vendor:::scheme:path`, as the replaced order engine spelled it, or a bare path, which means
//! AWS Systems Manager. A location that exists is well-formed; whether it may be read is the worker's decision.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Longest location, in bytes.
const MAX_BYTES: usize = 1024;

/// Who keeps the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// `aws:::ssm:<path>`: a parameter of Systems Manager.
    AwsSsm,
    /// `aws:::secretd:<name or ARN>`: a secret of Secrets Manager.
    AwsSecretsManager,
    /// `env:::var:<NAME>`: a variable of the worker, where its operator allows it.
    Environment,
    /// `file:::json:<absolute path>` (or `sops`, encrypted to the worker), in a folder that the worker's operator allows.
    File { sops: bool },
    /// `vault:::kv2:<mount>/<path>[#field]`: version 2 of the key-value engine of HashiCorp Vault or OpenBao.
    VaultKv2,
}

/// A valid location.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Location {
    provider: Provider,
    path: String,
    text: String,
}

/// Why a text is no location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLocation {
    #[error("a credential location is a text of 1 to {MAX_BYTES} bytes without control characters")]
    Shape,
    #[error("`{0}` is no credential provider: use aws:::ssm, aws:::secretd, env:::var, file:::json, file:::sops or vault:::kv2")]
    UnknownProvider(String),
    #[error("the location of provider `{0}` has no path after the scheme")]
    NoPath(String),
}

impl Location {
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// What comes after the scheme.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The location as it was written: no secret, it may be shown.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Location {
    type Err = BadLocation;
    fn from_str(text: &str) -> Result<Self, BadLocation> {
        if text.is_empty() || text.len() > MAX_BYTES || text.chars().any(char::is_control) {
            return Err(BadLocation::Shape);
        }
        let Some((vendor, rest)) = text.split_once(":::") else {
            return Ok(Self { provider: Provider::AwsSsm, path: text.to_owned(), text: text.to_owned() });
        };
        let (scheme, path) = rest.split_once(':').unwrap_or((rest, ""));
        let provider = match (vendor, scheme) {
            ("aws", "ssm") => Provider::AwsSsm,
            ("aws", "secretd") => Provider::AwsSecretsManager,
            ("env", "var") => Provider::Environment,
            ("file", "json") => Provider::File { sops: false },
            ("file", "sops") => Provider::File { sops: true },
            ("vault", "kv2") => Provider::VaultKv2,
            _ => return Err(BadLocation::UnknownProvider(format!("{vendor}:::{scheme}"))),
        };
        if path.is_empty() {
            return Err(BadLocation::NoPath(format!("{vendor}:::{scheme}")));
        }
        Ok(Self { provider, path: path.to_owned(), text: text.to_owned() })
    }
}

impl TryFrom<String> for Location {
    type Error = BadLocation;
    fn try_from(text: String) -> Result<Self, BadLocation> {
        text.parse()
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.text
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_has_its_spelling() {
        for (text, provider, path) in [
            ("/app/db/password", Provider::AwsSsm, "/app/db/password"),
            ("aws:::ssm:/app/db", Provider::AwsSsm, "/app/db"),
            ("aws:::secretd:prod/db", Provider::AwsSecretsManager, "prod/db"),
            (
                "aws:::secretd:arn:aws:secretsmanager:eu-west-1:1:secret:x",
                Provider::AwsSecretsManager,
                "arn:aws:secretsmanager:eu-west-1:1:secret:x",
            ),
            ("env:::var:TOKEN", Provider::Environment, "TOKEN"),
            ("file:::json:/run/secrets/a.json", Provider::File { sops: false }, "/run/secrets/a.json"),
            ("file:::sops:/srv/a.enc.json", Provider::File { sops: true }, "/srv/a.enc.json"),
            ("vault:::kv2:secret/app#token", Provider::VaultKv2, "secret/app#token"),
        ] {
            let location: Location = text.parse().unwrap();
            assert_eq!((location.provider(), location.path(), location.as_str()), (provider, path, text));
        }
    }

    #[test]
    fn what_nobody_keeps_is_refused() {
        for (text, why) in [
            ("", BadLocation::Shape),
            ("a\0b", BadLocation::Shape),
            ("gcp:::sm:x", BadLocation::UnknownProvider("gcp:::sm".to_owned())),
            ("aws:::ssm:", BadLocation::NoPath("aws:::ssm".to_owned())),
            ("aws:::ssm", BadLocation::NoPath("aws:::ssm".to_owned())),
        ] {
            assert_eq!(text.parse::<Location>(), Err(why), "{text:?}");
        }
    }
}
