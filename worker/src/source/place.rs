//! Where a zip archive lies, read from the text in the order. Pure; whether it may be fetched from there is decided in
//! `download` and `local`.

use super::SourceError;
use std::path::{Component, Path, PathBuf};
use url::Url;

/// Longest location, in bytes: a signed address is long.
const MAX_BYTES: usize = 4096;
/// Longest key of an object, in bytes.
const MAX_KEY: usize = 1024;

/// Where an archive lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// http or https, without a user.
    Address(Url),
    Object {
        bucket: String,
        key: String,
    },
    /// Absolute and without `..`.
    File(PathBuf),
}

impl Place {
    pub(super) fn parse(location: &str) -> Result<Self, SourceError> {
        let refused = |why| Err(SourceError::Location { why });
        if location.is_empty() || location.len() > MAX_BYTES || location.chars().any(char::is_control) {
            return refused("a location is a text of 1 to 4096 bytes without control characters");
        }
        if let Some(object) = location.strip_prefix("s3://") {
            return Self::object(object);
        }
        if location.starts_with('/') {
            let path = Path::new(location);
            return if path.components().any(|part| part == Component::ParentDir) {
                refused("a path may not lead through `..`: give the absolute path of the file")
            } else {
                Ok(Self::File(path.to_owned()))
            };
        }
        let Ok(url) = Url::parse(location) else {
            return refused("it is neither s3://BUCKET/KEY nor an http or https address nor an absolute path");
        };
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return refused("only s3, https and http addresses and absolute paths are known");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("the address carries a user or password: use a signed address, or s3:// with the worker's credentials");
        }
        Ok(Self::Address(url))
    }

    fn object(text: &str) -> Result<Self, SourceError> {
        let (bucket, key) = text.split_once('/').unwrap_or((text, ""));
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let good = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|b| letter(b) || matches!(b, b'-' | b'.'))
            && bucket.bytes().next().is_some_and(letter)
            && bucket.bytes().last().is_some_and(letter)
            && !bucket.contains("..");
        if !good {
            return Err(SourceError::Location { why: "the name of the bucket is not one: s3://BUCKET/KEY" });
        }
        // On its way the key is part of an address, where such parts lead to another object or bucket.
        if key.is_empty() || key.len() > MAX_KEY || key.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(SourceError::Location { why: "the key is empty, too long, or has an empty, `.` or `..` part: s3://BUCKET/KEY" });
        }
        Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// As it may be shown: what follows the path of an address may be a signature.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Address(url) => {
                let mut shown = url.clone();
                shown.set_query(None);
                shown.set_fragment(None);
                shown.to_string()
            }
            Self::Object { bucket, key } => format!("s3://{bucket}/{key}"),
            Self::File(path) => path.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_its_spelling() {
        for (location, shown) in [
            ("https://files.example/a.zip?X-Signature=canary#canary", "https://files.example/a.zip"),
            ("http://[::1]:8080/a%20b.zip", "http://[::1]:8080/a%20b.zip"),
            ("s3://my-bucket.x/runs/1/code.zip", "s3://my-bucket.x/runs/1/code.zip"),
            ("s3://abc/k?x#y", "s3://abc/k?x#y"),
            ("/srv/code/a.zip", "/srv/code/a.zip"),
        ] {
            assert_eq!(Place::parse(location).unwrap().shown(), shown);
        }
    }

    #[test]
    fn what_is_no_place_is_refused_without_repeating_it() {
        for location in [
            "",
            "canary.zip",
            "./canary.zip",
            "ftp://canary.example/a.zip",
            "file:///canary.zip",
            "https:///",
            "https://user:canary@files.example/a.zip",
            "https://canary@files.example/a.zip",
            "s3://",
            "s3://canary",
            "s3://canary/",
            "s3://CANARY/a.zip",
            "s3://a/b.zip",
            "s3://-canary/a.zip",
            "s3://canary..x/a.zip",
            "s3://canary/../other/a.zip",
            "s3://canary//a.zip",
            "/srv/../canary.zip",
            "/srv/canary\n.zip",
        ] {
            let refused = Place::parse(location).expect_err(location);
            assert!(matches!(refused, SourceError::Location { .. }), "{location}");
            assert!(!format!("{refused} {refused:?}").contains("canary"), "{refused}");
        }
        assert!(Place::parse(&format!("/{}", "x".repeat(MAX_BYTES))).is_err());
    }
}
