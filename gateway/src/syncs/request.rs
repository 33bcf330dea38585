//! What `POST /sync`, `/deploy` (of a version) and `/deploy/status` may ask. Pure.
//!
//! Keys that nobody here knows are passed over: the clients of the service that Navvy replaces send more than it reads. The
//! words of refusals are its own where it had any.

use crate::{answers::Refusal, hooks::shown};
use proto::{
    git::{CommitId, GitRef},
    sync::{Environment, ServiceId, deployment_id},
};
use serde_json::{Map, Value};

/// Environment of a version that names none.
const ENVIRONMENT: &str = "staging";
/// Longest `triggered_by`.
const SHOWN: usize = 200;
/// Most services that are named.
const MOST_SERVICES: usize = 1_000;

/// A body that is sound JSON, and an object.
pub(crate) type Fields = Map<String, Value>;

/// Which services a sync is to be of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asking {
    All,
    These(Vec<ServiceId>),
}

/// A version to deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) environment: Environment,
    /// As it was written: part of the deployment's id.
    pub(crate) reference: String,
    pub(crate) git_ref: GitRef,
    pub(crate) tag: Option<String>,
    /// Absent: all.
    pub(crate) services: Option<Vec<ServiceId>>,
    /// As it may be shown.
    pub(crate) triggered_by: String,
    pub(crate) force: bool,
    pub(crate) wait: bool,
}

/// What a body at `POST /deploy` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Terraform,
    Version,
    Both,
}

/// Told by what only one of them has. What has neither is the runner's, which names what is missing.
pub(crate) fn what_is(fields: &Fields) -> Body {
    let has = |names: &[&str]| names.iter().any(|name| fields.contains_key(*name));
    match (has(&["git_url", "tool"]), has(&["env", "tag", "ref"])) {
        (true, true) => Body::Both,
        (false, true) => Body::Version,
        (true | false, false) => Body::Terraform,
    }
}

impl Version {
    /// The version, or what is wrong. `commits_only`: neither tag nor branch.
    pub(crate) fn read(fields: &Fields, commits_only: bool) -> Result<Self, Refusal> {
        let (environment, tag, reference) = (text(fields, "env")?, text(fields, "tag")?, text(fields, "ref")?);
        // A forge's push has a `ref` too, and the same signature: sent here by somebody else, it must not be a version.
        if environment.is_none() && tag.is_none() && reference.is_some() {
            return Err(Refusal::field("env", "is required with `ref`"));
        }
        let environment = environment
            .unwrap_or(ENVIRONMENT)
            .parse()
            .map_err(|error: proto::sync::BadSyncName| Refusal::field("env", error.to_string()))?;
        let reference = match (tag, reference) {
            (Some(tag), Some(reference)) if tag != reference => {
                return Err(Refusal::field("ref", "and `tag` name different versions: send one of them"));
            }
            (tag, reference) => reference.or(tag).ok_or_else(|| Refusal::field("", "Tag required"))?,
        };
        let is_commit = reference.parse::<CommitId>().is_ok();
        if commits_only && !is_commit {
            return Err(Refusal::field("", "Ref must be an exact 40-character commit SHA"));
        }
        // A tag may be sent as a commit, which it was once.
        let tag = tag.filter(|_| !is_commit).map(|tag| tag.strip_prefix("refs/tags/").unwrap_or(tag));
        let git_ref = match tag {
            Some(tag) => format!("refs/tags/{tag}"),
            None if is_commit => reference.to_ascii_lowercase(),
            None => reference.to_owned(),
        };
        let field = if tag.is_some() { "tag" } else { "ref" };
        Ok(Self {
            environment,
            reference: reference.to_owned(),
            git_ref: git_ref.parse().map_err(|error: proto::git::BadGit| Refusal::field(field, error.to_string()))?,
            tag: tag.map(str::to_owned),
            services: services(fields)?,
            triggered_by: shown(text(fields, "triggered_by")?.unwrap_or("unknown"), SHOWN),
            force: switch(fields, "force")?,
            wait: switch(fields, "wait")?,
        })
    }

    /// The id under which it is found again.
    pub(crate) fn deployment_id(&self) -> String {
        deployment_id(&self.environment, &self.reference, self.services.as_deref())
    }

    /// Whether the reference stays where it is: a tag or a commit, by what it looks like.
    pub(crate) fn stays(&self) -> bool {
        self.tag.is_some() || self.git_ref.as_str().starts_with("refs/tags/") || self.git_ref.full_commit().is_some()
    }
}

/// What a sync is to be of.
pub(crate) fn asking(fields: &Fields) -> Result<Asking, Refusal> {
    if switch(fields, "all")? {
        return Ok(Asking::All);
    }
    match fields.get("services") {
        None | Some(Value::Null) => Err(Refusal::field("", "No services specified")),
        Some(Value::Array(none)) if none.is_empty() => Err(Refusal::field("", "No services specified")),
        Some(_) => services(fields)?.map(Asking::These).ok_or_else(|| Refusal::field("", "No services specified")),
    }
}

/// Whether a text is the id of a deployment of a version.
pub(crate) fn is_deployment_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The services that are named, each once, in the order of their names; `None`: none are.
fn services(fields: &Fields) -> Result<Option<Vec<ServiceId>>, Refusal> {
    let refused = |message: String| Refusal::field("services", message);
    let items = match fields.get("services") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(items)) if (1..=MOST_SERVICES).contains(&items.len()) => items,
        Some(_) => return Err(refused(format!("must be a list of 1 to {MOST_SERVICES} names, each project/service"))),
    };
    let mut names = Vec::new();
    for item in items {
        let name = item.as_str().map(str::trim).ok_or_else(|| refused("must be texts".to_owned()))?;
        names.push(name.parse().map_err(|error: proto::sync::BadSyncName| refused(error.to_string()))?);
    }
    names.sort_unstable();
    names.dedup();
    Ok(Some(names))
}

/// A text that is not empty.
pub(crate) fn text<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a str>, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(Refusal::field(name, "must be a text")),
    }
}

/// A yes or no, also in the words that scripts write.
fn switch(fields: &Fields, name: &str) -> Result<bool, Refusal> {
    let word = match fields.get(name) {
        None | Some(Value::Null) => return Ok(false),
        Some(Value::Bool(is)) => return Ok(*is),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_ascii_lowercase(),
        Some(Value::Array(_) | Value::Object(_)) => "no word".to_owned(),
    };
    match word.as_str() {
        "1" | "true" | "yes" | "y" | "on" => Ok(true),
        "0" | "false" | "no" | "n" | "off" | "" => Ok(false),
        _ => Err(Refusal::field("", format!("{name} must be a boolean"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: &Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    fn version(value: &Value) -> Result<Version, String> {
        Version::read(&fields(value), false).map_err(|refusal| refusal.text())
    }

    #[test]
    fn e1_the_two_bodies_of_deploy_are_told_apart() {
        for (body, expected) in [
            (json!({"tool": "terraform", "git_url": "https://x"}), Body::Terraform),
            (json!({"git_url": "https://x"}), Body::Terraform),
            (json!({}), Body::Terraform),
            (json!({"env": "staging", "tag": "v1"}), Body::Version),
            (json!({"tag": "v1"}), Body::Version),
            (json!({"env": "staging"}), Body::Version),
            (json!({"tool": "tofu", "env": "staging", "tag": "v1"}), Body::Both),
            (json!({"git_url": "https://x", "git_ref": "main", "ref": "main"}), Body::Both),
        ] {
            assert_eq!(what_is(&fields(&body)), expected, "{body}");
        }
    }

    #[test]
    fn e6_a_version_is_a_tag_a_commit_or_what_somebody_wrote() {
        let sha = "A".repeat(40);
        for (body, git_ref, tag, stays) in [
            (json!({"env": "staging", "tag": "v1.2.4", "commit": "abc", "staging_tag": "v1"}), "refs/tags/v1.2.4", Some("v1.2.4"), true),
            (json!({"tag": "refs/tags/v1.2.4"}), "refs/tags/v1.2.4", Some("v1.2.4"), true),
            (json!({"env": "staging", "ref": sha}), &"a".repeat(40), None, true),
            (json!({"tag": sha}), &"a".repeat(40), None, true),
            (json!({"tag": "v1", "ref": "v1"}), "refs/tags/v1", Some("v1"), true),
            (json!({"env": "staging", "ref": "main"}), "main", None, false),
            (json!({"env": "staging", "ref": "abc1234"}), "abc1234", None, false),
        ] {
            let told = version(&body).unwrap();
            assert_eq!((told.git_ref.as_str(), told.tag.as_deref(), told.stays()), (git_ref, tag, stays), "{body}");
            let exact = Version::read(&fields(&body), true).map_err(|refusal| refusal.text());
            assert_eq!(exact.is_ok(), git_ref.len() == 40, "{body}");
        }
        let plain = version(&json!({"tag": "v1"})).unwrap();
        assert_eq!(
            (plain.environment.as_str(), plain.triggered_by.as_str(), plain.force, plain.wait),
            ("staging", "unknown", false, false)
        );
        assert_eq!(version(&json!({"env": "prod", "tag": "v1"})).unwrap().environment.as_str(), "production");
    }

    #[test]
    fn a_deployment_id_is_that_of_the_clients() {
        let told = version(&json!({"env": "staging", "ref": "a".repeat(40)})).unwrap();
        assert_eq!(told.deployment_id(), "d070dfda47757e1e");
        let one = version(&json!({"tag": "v1", "services": [" p/b ", "p/a", "p/b"]})).unwrap();
        assert_eq!(one.deployment_id(), version(&json!({"tag": "v1", "services": ["p/a", "p/b"]})).unwrap().deployment_id());
        assert!(is_deployment_id("d070dfda47757e1e"));
        for bad in ["D070DFDA47757E1E", "d070dfda47757e1", "d070dfda47757e1e0", "", "../../etc/passwd"] {
            assert!(!is_deployment_id(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_version_is_said_in_the_known_words() {
        for (body, told) in [
            (json!({"env": "staging"}), "Tag required"),
            (json!({"env": "staging", "tag": ""}), "Tag required"),
            (json!({"tag": "v1", "wait": "perhaps"}), "wait must be a boolean"),
            (json!({"tag": "v1", "wait": [1]}), "wait must be a boolean"),
        ] {
            assert_eq!(version(&body), Err(told.to_owned()), "{body}");
        }
        for (body, field) in [
            (json!({"env": "a-b", "tag": "v1"}), "env: "),
            (json!({"env": 5, "tag": "v1"}), "env: must be a text"),
            (json!({"tag": ["v1"]}), "tag: must be a text"),
            (json!({"tag": "v1", "ref": "v2"}), "ref: and `tag` name different versions"),
            (json!({"tag": "--upload-pack=x"}), "tag: "),
            (json!({"env": "staging", "ref": "a b"}), "ref: "),
            (json!({"ref": "refs/heads/main", "before": "x", "after": "y"}), "env: is required with `ref`"),
            (json!({"tag": "v1", "services": []}), "services: must be a list of 1 to"),
            (json!({"tag": "v1", "services": "p/a"}), "services: must be a list of 1 to"),
            (json!({"tag": "v1", "services": [5]}), "services: must be texts"),
            (json!({"tag": "v1", "services": ["../etc"]}), "services: "),
        ] {
            assert!(version(&body).unwrap_err().starts_with(field), "{body}: {:?}", version(&body));
        }
        for (word, is) in
            [(json!("yes"), true), (json!("ON"), true), (json!(1), true), (json!("0"), false), (json!(""), false), (json!(false), false)]
        {
            assert_eq!(version(&json!({"tag": "v1", "wait": word})).unwrap().wait, is, "{word}");
        }
    }

    #[test]
    fn a_sync_is_of_all_or_of_some() {
        let asked = |body: Value| asking(&fields(&body)).map_err(|refusal| refusal.text());
        assert_eq!(asked(json!({"all": true, "services": ["nonsense"]})), Ok(Asking::All));
        assert_eq!(asked(json!({"services": ["p/b", "p/a"]})), Ok(Asking::These(vec!["p/a".parse().unwrap(), "p/b".parse().unwrap()])));
        for body in [json!({}), json!({"services": []}), json!({"all": false}), json!({"services": null})] {
            assert_eq!(asked(body), Err("No services specified".to_owned()));
        }
        assert!(asked(json!({"services": ["postgres"]})).unwrap_err().contains("`postgres` is not a service"));
    }
}
