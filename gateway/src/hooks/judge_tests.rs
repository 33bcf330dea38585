//! What payloads mean: tables of rows of hostile inputs, and what settings make of them.

use super::*;
use crate::hooks::{fixtures, payload};
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

#[test]
fn w28_what_an_ignored_sender_pushes_starts_nothing_and_says_why() {
    let bot = source(|of| of.ignore_senders = vec!["Navvy-Bot[bot]".into(), "ren\u{e9}".into()]);
    let by = |login: &str| push(&json!({"sender": {"login": login}}));
    for (login, told) in [
        ("navvy-bot[bot]", Some("Pushed by navvy-bot[bot], which is among the source's ignore_senders")),
        ("ren\u{e9}", Some("Pushed by ren\\u{e9}, which is among the source's ignore_senders")),
        ("navvy-bot", None),
        ("other-bot[bot]", None),
        ("ghost", None),
    ] {
        let (moved, meaning) = judged(&bot, "push", &by(login));
        let why = match &meaning {
            Meaning::Nothing(why) => Some(why.to_string()),
            Meaning::Sync(facts) => {
                assert_eq!(facts.sender, login);
                None
            }
        };
        assert_eq!(why.as_deref(), told, "{login}");
        assert!(moved.sender.is_some(), "{login}");
    }
    // Without anybody's name it is nobody's; whoever does not want that says so.
    let nobody = push(&json!({"sender": null}));
    assert!(matches!(judged(&bot, "push", &nobody).1, Meaning::Sync(facts) if facts.sender == "unknown"));
    let named = source(|of| of.ignore_senders = vec!["unknown".into()]);
    assert!(matches!(judged(&named, "push", &nobody).1, Meaning::Nothing(Ignored::Sender(_))));
    // The tags that releases make are no branch, whoever pushes them.
    let tag = push(&json!({"ref": "refs/tags/v1.2.4", "sender": {"login": "ann"}}));
    assert_eq!(ignored(&source(|_| {}), "push", &tag), "Not a branch: tags are deployed with POST /deploy");
}

fn recorded(source: &Source, event: &str, body: &[u8]) -> Delivery {
    use crate::hooks::{
        proof::Proven,
        record::{BodyDigest, Verdict},
    };
    let (moved, _) = judged(source, event, body);
    let key = source.secrets().find(|_| subtle::Choice::from(1)).unwrap();
    let proven = Proven { key, signed_id: None, unbound: false };
    Delivery::new(source, event, "d1", Verdict::Ignored).telling(moved, &proven, &BodyDigest::of(body))
}

#[test]
fn what_was_ignored_is_judged_by_the_settings_as_they_are_now() {
    let now = source(|of| of.ignore_senders = vec!["bot".into()]);
    let other = source(|of| {
        of.branch = "release".into();
        of.full_name = Some("acme/old".into());
    });
    let of = |change: &Value| recorded(&other, "push", &push(change));
    let facts = again(&now, &of(&json!({}))).unwrap();
    let (_, Meaning::Sync(first)) = judged(&now, "push", &push(&json!({}))) else { panic!("a sync") };
    assert_eq!((&facts.push.before, &facts.push.after, &facts.sender), (&first.push.before, &first.push.after, &first.sender));
    assert!(facts.push.files.is_empty() && !facts.push.files_complete, "git compares");
    for (change, still) in [
        (json!({"ref": "refs/heads/other"}), Still::Nothing(Ignored::Branch { followed: "main".into() })),
        (json!({"ref": "refs/tags/v1"}), Still::Nothing(Ignored::Tag)),
        (json!({"repository": {"id": 42, "full_name": "acme/else"}}), Still::Nothing(Ignored::Repository("acme/else".into()))),
        (json!({"after": "0".repeat(40)}), Still::Nothing(Ignored::Deleted)),
        (json!({"sender": {"login": "bot"}}), Still::Nothing(Ignored::Sender("bot".into()))),
    ] {
        assert_eq!(again(&now, &of(&change)), Err(still), "{change}");
    }
    assert_eq!(again(&now, &recorded(&other, "ping", b"{}")), Err(Still::NoPush));
    // By the forge's id, where that is configured now.
    let by_id = source(|of| of.repository_id = Some("42".into()));
    assert!(again(&by_id, &of(&json!({"repository": {"id": 42, "full_name": "acme/else"}}))).is_ok());
    // A record of an older gateway, and one of a delivery that moved others too.
    let older = Delivery { repository: None, repository_id: None, ..of(&json!({})) };
    let more = Delivery { others: 1, ..of(&json!({"ref": "refs/heads/other"})) };
    assert_eq!((again(&now, &older), again(&now, &more)), (Err(Still::NotKept), Err(Still::NotKept)));
    assert!(again(&now, &Delivery { others: 1, ..of(&json!({})) }).is_ok(), "the one that is followed is kept");
}
