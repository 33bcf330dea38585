//! What is told from the payloads of each forge, and from those that are none.

use super::*;
use crate::hooks::fixtures;
use proptest::prelude::*;
use serde_json::{Value, json};

const A: &str = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
const B: &str = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7";

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn pushed(kind: ForgeKind, event: &str, body: &[u8]) -> Pushed {
    read(kind, event, body).unwrap().pushed.expect("a push")
}

fn commit_id(text: &str) -> CommitId {
    text.parse().unwrap()
}

#[test]
fn each_forge_tells_of_a_push_to_a_branch() {
    for (kind, event, body, expected) in [
        (
            ForgeKind::Gitlab,
            "Push Hook",
            fixtures::GITLAB_PUSH,
            "15 acme/infra by ann: platform/01.postgres/compose.yaml platform/01.postgres/extra.yaml",
        ),
        (ForgeKind::Gitea, "push", fixtures::GITEA_PUSH, "140 acme/infra by ann: platform/01.postgres/compose.yaml"),
        (
            ForgeKind::BitbucketCloud,
            "repo:push",
            fixtures::BITBUCKET_CLOUD_PUSH,
            "673a6070-3421-46c9-9d48-90745f7bfe8e acme/infra by ann, forced: ",
        ),
        (ForgeKind::BitbucketServer, "repo:refs_changed", fixtures::BITBUCKET_SERVER_PUSH, "84 ACME/infra by ann: "),
        (ForgeKind::AzureDevops, "", fixtures::AZURE_PUSH, "278d5cd2-584d-4b63-824a-2ba458937249 Acme/infra by ann@example.com: "),
    ] {
        let told = pushed(kind, event, body);
        let change = told.changes.iter().find(|change| change.reference == "refs/heads/main").expect("the branch");
        assert_eq!((change.before.clone(), change.after.clone()), (Some(commit_id(A)), Some(commit_id(B))), "{kind:?}");
        let forced = if change.forced { ", forced" } else { "" };
        let Repository { id, full_name } = &told.repository;
        assert_eq!(format!("{id} {full_name} by {}{forced}: {}", told.sender, change.files.paths.join(" ")), expected);
        assert!(!change.files.complete, "{kind:?} does not tell whether it lists everything");
    }
}

#[test]
fn the_examples_of_github_are_understood() {
    let branch = pushed(ForgeKind::Github, "push", fixtures::GITHUB_PUSH_NEW_BRANCH);
    assert_eq!((branch.repository.full_name.as_str(), branch.sender.as_str()), ("Codertocat/Hello-World", "Codertocat"));
    let [change] = branch.changes.as_slice() else { panic!("{branch:?}") };
    assert_eq!((change.reference.as_str(), &change.before, change.files.complete), ("refs/heads/master", &None, false));
    assert!(change.after.is_some());
    let gone = pushed(ForgeKind::Github, "push", fixtures::GITHUB_PUSH_TAG_GONE);
    assert_eq!((gone.changes[0].reference.as_str(), &gone.changes[0].after), ("refs/tags/simple-tag", &None));
    for (event, body) in [("ping", fixtures::GITHUB_PING), ("create", fixtures::GITHUB_CREATE_TAG), ("delete", fixtures::GITHUB_DELETE_TAG)]
    {
        let told = read(ForgeKind::Github, event, body).unwrap();
        assert_eq!((told.event.as_str(), told.pushed), (event, None));
    }
}

#[test]
fn github_lists_everything_unless_the_push_was_forced_or_the_branch_is_new() {
    let complete = |change: Value| {
        let mut push = fixtures::github_push(A, B, &["platform/01.postgres/compose.yaml"]);
        push.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        pushed(ForgeKind::Github, "push", &bytes(&push)).changes[0].files.complete
    };
    assert!(complete(json!({})));
    assert!(!complete(json!({"forced": true})));
    assert!(!complete(json!({"before": "0".repeat(40)})));
    assert!(!complete(json!({"commits": vec![json!({}); 2_048]})));
}

#[test]
fn w20_w21_what_is_no_push_is_refused() {
    let push = || fixtures::github_push(A, B, &[]);
    for (change, told) in [
        (json!({"after": "HEAD"}), "the payload's `after` is no commit id"),
        (json!({"before": "0".repeat(39)}), "the payload's `before` is no commit id"),
        (json!({"ref": "refs/heads/a\u{0}b"}), "the payload has a NUL"),
        (json!({"repository": {"id": 1, "full_name": "acme/infra\u{0}"}}), "the payload has a NUL"),
        (json!({"repository": {"id": -1, "full_name": "acme/infra"}}), "something else than is expected"),
        (json!({"repository": {"id": 1.5, "full_name": "acme/infra"}}), "something else than is expected"),
        (json!({"repository": {"id": 18_446_744_073_709_551_616.0, "full_name": "acme/infra"}}), "something else than is expected"),
        (json!({"repository": null}), "something else than is expected"),
        (json!({"ref": 5}), "something else than is expected"),
        (json!({"commits": "canary"}), "something else than is expected"),
    ] {
        let mut push = push();
        push.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let bad = read(ForgeKind::Github, "push", &bytes(&push)).unwrap_err();
        assert!(bad.0.contains(told) && !bad.0.contains("canary"), "{change}: {bad}");
    }
    let mut without = push();
    without.as_object_mut().unwrap().remove("ref");
    assert!(read(ForgeKind::Github, "push", &bytes(&without)).unwrap_err().0.contains("has no `ref`"));
    // One that tells of nothing is read through all the same.
    assert!(read(ForgeKind::Github, "ping", br#"{"a":1,"a":2}"#).is_err());
    let many = format!(r#"{{"repository":{{"uuid":"u","full_name":"a/b"}},"push":{{"changes":[{}{{}}]}}}}"#, "{},".repeat(10_000));
    assert!(read(ForgeKind::BitbucketCloud, "repo:push", many.as_bytes()).is_err());
}

proptest! {
    /// Whatever is done to a payload, it is read or refused.
    #[test]
    fn no_payload_is_too_odd(which in 0..6_usize, changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..12), end in any::<proptest::sample::Index>()) {
        let (kind, event, body) = [
            (ForgeKind::Github, "push", fixtures::GITHUB_PUSH_NEW_BRANCH),
            (ForgeKind::Gitlab, "Push Hook", fixtures::GITLAB_PUSH),
            (ForgeKind::Gitea, "push", fixtures::GITEA_PUSH),
            (ForgeKind::BitbucketCloud, "repo:push", fixtures::BITBUCKET_CLOUD_PUSH),
            (ForgeKind::BitbucketServer, "repo:refs_changed", fixtures::BITBUCKET_SERVER_PUSH),
            (ForgeKind::AzureDevops, "", fixtures::AZURE_PUSH),
        ][which];
        let mut body = body.to_vec();
        let untouched = changes.is_empty();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        prop_assert!(!untouched || read(kind, event, &body).is_ok());
        let end = end.index(body.len());
        prop_assert!(read(kind, event, &body[..end]).is_err(), "what is cut off is no object");
    }
}
