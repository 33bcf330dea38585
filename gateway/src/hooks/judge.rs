//! What a delivery that comes from its forge means for its source: a sync, or nothing, and why. Pure.

use super::{
    SHOWN,
    payload::{Change, Payload, Pushed, Repository},
    shown,
};
use crate::sources::Source;
use proto::{git::CommitId, sync::Push};
use std::fmt;

/// What a delivery means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The branch that is followed was put somewhere.
    Sync(Facts),
    Nothing(Ignored),
}

/// What is to be synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) push: Push,
    /// Who pushed, as it may be shown.
    pub(crate) sender: String,
}

/// Why nothing is done about a delivery. The words of the service that Navvy replaces, where it had any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ignored {
    /// It tells of no push; the event, as it may be shown.
    Event(String),
    /// Another repository than the source's; its name, as it may be shown.
    Repository(String),
    /// Tags are deployed when somebody says so.
    Tag,
    /// Another branch than the one that is followed; that one.
    Branch { followed: String },
    /// The branch is gone.
    Deleted,
    /// It moved nothing.
    Empty,
}

impl Ignored {
    /// The event, where it is the reason.
    pub(crate) fn event(&self) -> Option<&str> {
        match self {
            Self::Event(event) => Some(event),
            Self::Repository(_) | Self::Tag | Self::Branch { .. } | Self::Deleted | Self::Empty => None,
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(f, "`{event}` is no push"),
            Self::Repository(name) => write!(f, "Not the repository of this source: {name}"),
            Self::Tag => f.write_str("Not a branch: tags are deployed with POST /deploy"),
            Self::Branch { followed } => write!(f, "Not {followed} branch"),
            Self::Deleted => f.write_str("The branch was deleted"),
            Self::Empty => f.write_str("No branch was moved"),
        }
    }
}

/// What a delivery moved, for its record: of several references the one that is followed, else the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// As it may be shown.
    pub(crate) reference: Option<String>,
    pub(crate) before: Option<CommitId>,
    pub(crate) after: Option<CommitId>,
    pub(crate) forced: bool,
    /// As it may be shown.
    pub(crate) sender: Option<String>,
}

/// What a payload means for its source.
pub(crate) fn judge(source: &Source, payload: Payload) -> (Moved, Meaning) {
    let Some(pushed) = payload.pushed else {
        return (Moved::default(), Meaning::Nothing(Ignored::Event(shown(&payload.event, SHOWN))));
    };
    let Pushed { repository, sender, mut changes } = pushed;
    let sender = shown(&sender, SHOWN);
    // Of several pushes to one branch in one delivery the last one tells where it is.
    let ours = changes.iter().rposition(|change| change.reference == source.git_ref.as_str());
    if changes.is_empty() {
        return (Moved { sender: Some(sender), ..Moved::default() }, Meaning::Nothing(Ignored::Empty));
    }
    let change = changes.swap_remove(ours.unwrap_or(0));
    let moved = Moved {
        reference: Some(shown(&change.reference, SHOWN)),
        before: change.before.clone(),
        after: change.after.clone(),
        forced: change.forced,
        sender: Some(sender.clone()),
    };
    (moved, meaning(source, &repository, change, sender))
}

fn meaning(source: &Source, repository: &Repository, change: Change, sender: String) -> Meaning {
    if !is_of(source, repository) {
        return Meaning::Nothing(Ignored::Repository(shown(&repository.full_name, SHOWN)));
    }
    if change.reference != source.git_ref.as_str() {
        let tag = change.reference.starts_with("refs/tags/");
        return Meaning::Nothing(if tag { Ignored::Tag } else { Ignored::Branch { followed: source.branch.clone() } });
    }
    let Some(after) = change.after else { return Meaning::Nothing(Ignored::Deleted) };
    let push =
        Push { before: change.before, after, forced: change.forced, files: change.files.paths, files_complete: change.files.complete };
    Meaning::Sync(Facts { push, sender })
}

/// By the forge's own id where the settings have it: names may be given away.
fn is_of(source: &Source, repository: &Repository) -> bool {
    match &source.repository_id {
        Some(id) => id.trim_matches(['{', '}']).eq_ignore_ascii_case(&repository.id),
        None => source.full_name.eq_ignore_ascii_case(&repository.full_name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{fixtures, payload};
    use super::*;
    use crate::sources::tests::source;
    use serde_json::{Value, json};
    use service::settings::ForgeKind;

    const A: &str = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
    const B: &str = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7";

    fn judged(source: &Source, event: &str, body: &[u8]) -> (Moved, Meaning) {
        judge(source, payload::read(source.kind, event, body).unwrap())
    }

    fn push(change: &Value) -> Vec<u8> {
        let mut push = fixtures::github_push(A, B, &["libs/x"]);
        push.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        push.to_string().into_bytes()
    }

    fn ignored(source: &Source, event: &str, body: &[u8]) -> String {
        match judged(source, event, body).1 {
            Meaning::Nothing(why) => why.to_string(),
            Meaning::Sync(facts) => panic!("{facts:?}"),
        }
    }

    #[test]
    fn a_push_to_the_branch_is_a_sync() {
        let (moved, Meaning::Sync(facts)) = judged(&source(|_| {}), "push", &push(&json!({}))) else { panic!("a sync") };
        assert_eq!((moved.reference.as_deref(), moved.sender.as_deref()), (Some("refs/heads/main"), Some("ann")));
        assert_eq!((facts.push.before.as_ref().map(CommitId::as_str), facts.push.after.as_str()), (Some(A), B));
        assert_eq!((facts.push.files.as_slice(), facts.push.files_complete), (["libs/x".to_owned()].as_slice(), true));
        let (_, Meaning::Sync(new)) = judged(&source(|_| {}), "push", &push(&json!({"before": "0".repeat(40)}))) else { panic!("a sync") };
        assert_eq!((new.push.before, new.push.files_complete), (None, false));
        // The one of several that is followed.
        let bitbucket = source(|of| of.kind = ForgeKind::BitbucketCloud);
        let (_, Meaning::Sync(facts)) = judged(&bitbucket, "repo:push", fixtures::BITBUCKET_CLOUD_PUSH) else { panic!("a sync") };
        assert!(facts.push.forced);
    }

    #[test]
    fn what_is_authentic_and_uninteresting_says_why() {
        let one = source(|_| {});
        let master = source(|of| of.full_name = Some("codertocat/hello-world".into()));
        for (source, event, body, told) in [
            (&one, "ping", fixtures::GITHUB_PING.to_vec(), "`ping` is no push"),
            (&one, "create", fixtures::GITHUB_CREATE_TAG.to_vec(), "`create` is no push"),
            (&one, "delete", fixtures::GITHUB_DELETE_TAG.to_vec(), "`delete` is no push"),
            (&one, "push", fixtures::GITHUB_PUSH_NEW_BRANCH.to_vec(), "Not the repository of this source: Codertocat/Hello-World"),
            (&master, "push", fixtures::GITHUB_PUSH_NEW_BRANCH.to_vec(), "Not main branch"),
            (&master, "push", fixtures::GITHUB_PUSH_NEW_TAG.to_vec(), "Not a branch: tags are deployed with POST /deploy"),
            (&master, "push", fixtures::GITHUB_PUSH_TAG_GONE.to_vec(), "Not a branch: tags are deployed with POST /deploy"),
            (&one, "push", push(&json!({"after": "0".repeat(40), "deleted": true})), "The branch was deleted"),
            (&one, "push", push(&json!({"ref": "refs/heads/main2"})), "Not main branch"),
            (&one, "push", push(&json!({"ref": "main"})), "Not main branch"),
        ] {
            assert_eq!(ignored(source, event, &body), told);
        }
        let empty = br#"{"repository":{"uuid":"u","full_name":"acme/infra"},"push":{"changes":[]}}"#;
        assert_eq!(ignored(&source(|of| of.kind = ForgeKind::BitbucketCloud), "repo:push", empty), "No branch was moved");
    }

    #[test]
    fn w22_w23_w24_a_hostile_branch_is_a_name_and_nothing_else() {
        let long = "x".repeat(4_096);
        for (branch, told) in [
            ("$(id)", "refs/heads/$(id)"),
            (";id", "refs/heads/;id"),
            ("a|b", "refs/heads/a|b"),
            ("`id`", "refs/heads/`id`"),
            ("'", "refs/heads/'"),
            ("<script>alert(1)</script>", "refs/heads/<script>alert(1)</script>"),
            ("--upload-pack=touch x", "refs/heads/--upload-pack=touch x"),
            ("-x", "refs/heads/-x"),
            ("a\u{202e}b\u{200b}", "refs/heads/a\\u{202e}b\\u{200b}"),
            ("\u{43c}ain", "refs/heads/\\u{43c}ain"),
            ("a\u{1b}[2J\n", "refs/heads/a\\u{1b}[2J\\u{a}"),
        ] {
            let body = push(&json!({"ref": format!("refs/heads/{branch}")}));
            let (moved, meaning) = judged(&source(|_| {}), "push", &body);
            assert_eq!(moved.reference.as_deref(), Some(told), "{branch}");
            assert!(matches!(meaning, Meaning::Nothing(Ignored::Branch { .. })), "{branch}");
        }
        let (moved, _) = judged(&source(|_| {}), "push", &push(&json!({"ref": format!("refs/heads/{long}")})));
        assert_eq!(moved.reference.map(|text| text.chars().count()), Some(SHOWN + 1));
        // Followed, it is synced by its commit: what git is given is the reference of the settings, in full.
        let odd = source(|of| of.branch = "$(id)".into());
        let (_, meaning) = judged(&odd, "push", &push(&json!({"ref": "refs/heads/$(id)"})));
        assert!(matches!(meaning, Meaning::Sync(_)));
    }

    #[test]
    fn w25_addresses_in_a_payload_are_not_looked_at() {
        for url in ["ext::sh -c id", "file:///etc", "ssh://-oProxyCommand=x/y", "http://169.254.169.254/", "https://github.com@evil/x"] {
            let body = push(&json!({"repository": {"id": 42, "full_name": "acme/infra", "clone_url": url, "ssh_url": url}}));
            assert!(matches!(judged(&source(|_| {}), "push", &body).1, Meaning::Sync(_)), "{url}");
            let elsewhere = push(&json!({"repository": {"id": 42, "full_name": url, "clone_url": "https://github.com/acme/infra.git"}}));
            assert!(ignored(&source(|_| {}), "push", &elsewhere).starts_with("Not the repository"), "{url}");
        }
    }

    #[test]
    fn w26_a_push_to_a_fork_is_another_repository() {
        let body = push(&json!({"repository": {"id": 43, "full_name": "mallory/infra", "fork": false}}));
        assert_eq!(ignored(&source(|_| {}), "push", &body), "Not the repository of this source: mallory/infra");
    }

    #[test]
    fn w27_a_repository_is_known_by_its_id_where_that_is_configured() {
        let by_id = source(|of| of.repository_id = Some("42".into()));
        let renamed = push(&json!({"repository": {"id": 42, "full_name": "acme/platform"}}));
        assert!(matches!(judged(&by_id, "push", &renamed).1, Meaning::Sync(_)), "renamed");
        let taken = push(&json!({"repository": {"id": 77, "full_name": "acme/infra"}}));
        assert!(ignored(&by_id, "push", &taken).starts_with("Not the repository"), "somebody else has the name now");
        let cloud = source(|of| {
            of.kind = ForgeKind::BitbucketCloud;
            of.repository_id = Some("{673A6070-3421-46c9-9d48-90745f7bfe8e}".into());
        });
        assert!(matches!(judged(&cloud, "repo:push", fixtures::BITBUCKET_CLOUD_PUSH).1, Meaning::Sync(_)));
    }
}
