//! Keys of AWS, and where a worker has them from.

use crate::access::AwsKeySource;
use crate::error::Cause;
use crate::local::read_private;
use proto::Secret;
use std::collections::BTreeMap;

const ID: &str = "AWS_ACCESS_KEY_ID";
const KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION: &str = "AWS_SESSION_TOKEN";

/// What signs a request.
#[derive(Debug, Clone)]
pub struct Keys {
    pub access_key_id: String,
    pub secret_access_key: Secret,
    /// Of short-lived keys.
    pub session_token: Option<Secret>,
}

impl Keys {
    /// The keys in variables of the usual names; nothing when either of the first two is missing or empty.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let get = |name| get(name).filter(|value| !value.is_empty());
        Some(Self { access_key_id: get(ID)?, secret_access_key: Secret::new(get(KEY)?), session_token: get(SESSION).map(Secret::new) })
    }
}

/// The keys of now.
pub(super) fn load(source: &AwsKeySource, environment: fn(&str) -> Option<String>) -> Result<Keys, Cause> {
    match source {
        AwsKeySource::Given(keys) => Ok(keys.clone()),
        AwsKeySource::Environment => Keys::from_variables(environment)
            .ok_or_else(|| Cause::denied(format!("this worker runs without {ID} and {KEY}; its operator must set both"))),
        AwsKeySource::File(path) => {
            let lines = of_default_profile(read_private(path)?.expose());
            Keys::from_variables(|name| lines.get(name).cloned())
                .ok_or_else(|| Cause::denied(format!("the worker's file {} does not hold {ID} and {KEY}", path.display())))
        }
    }
}

/// `name = value` lines by their name in capitals, outside of a profile or in the one named `default`.
fn of_default_profile(text: &str) -> BTreeMap<String, String> {
    let (mut lines, mut counts) = (BTreeMap::new(), true);
    for line in text.lines().map(str::trim) {
        if let Some(profile) = line.strip_prefix('[') {
            counts = profile.trim_end_matches(']').trim() == "default";
        } else if counts && let Some((name, value)) = line.split_once('=') {
            lines.insert(name.trim().to_ascii_uppercase(), value.trim().to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn keys_come_from_the_environment_or_a_private_file() {
        fn both(name: &str) -> Option<String> {
            matches!(name, "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY").then(|| format!("of {name}"))
        }
        let keys = load(&AwsKeySource::Environment, both).unwrap();
        assert_eq!((keys.access_key_id.as_str(), keys.secret_access_key.expose()), ("of AWS_ACCESS_KEY_ID", "of AWS_SECRET_ACCESS_KEY"));
        assert!(keys.session_token.is_none());
        assert!(matches!(load(&AwsKeySource::Environment, |_| None), Err(Cause::Denied(_))));

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        for (text, id) in [
            ("AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=hunter2\nAWS_SESSION_TOKEN=t\n", Some("A")),
            (
                "[other]\naws_access_key_id = X\naws_secret_access_key = y\n[default]\naws_access_key_id = B\naws_secret_access_key = hunter2\naws_session_token = t",
                Some("B"),
            ),
            ("[other]\naws_access_key_id = X\naws_secret_access_key = y\n", None),
            ("AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=\n", None),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let keys = load(&AwsKeySource::File(path.clone()), |_| None);
            assert_eq!(keys.as_ref().ok().map(|keys| keys.access_key_id.as_str()), id, "{text}");
            assert!(keys.is_err() || keys.as_ref().unwrap().session_token.as_ref().unwrap().expose() == "t");
            assert!(!format!("{keys:?}").contains("hunter2"));
        }
    }
}
