//! What a history tells, and tags made in the real repository.

use crate::rig::{Forge, Http, Reader, git};
use worker::git::{NewTag, Pushed};

fn new<'a>(name: &'a str, commit: &'a proto::git::CommitId, message: &'a str) -> NewTag<'a> {
    NewTag { name, commit, message, tagger: "navvy <navvy@localhost>", at: 1_700_000_000 }
}

async fn push(reader: &Reader, tag: NewTag<'_>) -> Pushed {
    reader.cache.push_tag(reader.source(), tag, &mut |_| {}).await.expect("an answer")
}

#[tokio::test]
async fn commits_are_compared_and_counted_without_a_checkout() {
    let forge = Forge::new();
    let (first, second) = (forge.id("v1"), forge.id("main"));
    git(&forge.work(), &["mv", "main.tf", "moved.tf"]);
    let third = forge.commit("platform/01.postgres/compose.yaml", "services: {}\n");
    forge.push();
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    let history = reader.cache.history(reader.source(), &third, None, &mut |_| {}).await.expect("a history");
    let changed = history.changed(&second, &third).await.expect("compared");
    assert_eq!(changed.paths, ["main.tf", "moved.tf", "platform/01.postgres/compose.yaml"]);
    assert!(!changed.cut);
    assert_eq!(history.changed(&third, &third).await.expect("compared").paths, Vec::<String>::new());
    for (commit, count) in [(&first, 1), (&second, 2), (&third, 3)] {
        assert_eq!(history.generation(commit).await.expect("counted"), count, "{commit}");
    }
    for (older, newer, is) in [(&first, &third, true), (&third, &first, false), (&second, &second, true)] {
        assert_eq!(history.is_ancestor(older, newer).await.expect("known"), Some(is));
    }
    let files = history.files(&third).await.expect("files");
    assert_eq!(files.paths, ["modules/net/main.tf", "moved.tf", "platform/01.postgres/compose.yaml"]);
    let file = |path: &'static str, most| history.file(&third, path, most);
    assert_eq!(file("moved.tf", 100).await.expect("read").as_deref(), Some(b"# first".as_slice()));
    assert_eq!(file("navvy.yaml", 100).await.expect("read"), None);
    assert!(file("modules", 100).await.expect_err("a folder").to_string().contains("no file"));
    assert!(file("moved.tf", 3).await.expect_err("too long").to_string().contains("moved.tf"));
}

#[tokio::test]
async fn what_a_forced_push_left_behind_can_still_be_compared_where_the_server_gives_it() {
    let forge = Forge::new();
    let gone = forge.commit("platform/02.redis/compose.yaml", "old\n");
    forge.push();
    git(&forge.work(), &["reset", "--quiet", "--hard", "HEAD~1"]);
    let new_tip = forge.commit("platform/02.redis/compose.yaml", "new\n");
    forge.push();
    git(&forge.bare(), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    let history = reader.cache.history(reader.source(), &new_tip, None, &mut |_| {}).await.expect("a history");
    assert!(!history.has(&gone).await.expect("looked"));
    drop(history);
    assert!(reader.cache.fetch_if_there(reader.source(), &gone, &mut |_| {}).await.expect("asked"));
    let history = reader.cache.history(reader.source(), &new_tip, None, &mut |_| {}).await.expect("a history");
    assert_eq!(history.changed(&gone, &new_tip).await.expect("compared").paths, ["platform/02.redis/compose.yaml"]);
    assert_eq!(history.is_ancestor(&gone, &new_tip).await.expect("asked"), Some(false));
    assert_eq!(history.generation(&gone).await.expect("counted"), 3);
    drop(history);
    let never = "f".repeat(40).parse().expect("an id");
    assert!(!reader.cache.fetch_if_there(reader.source(), &never, &mut |_| {}).await.expect("asked"));
}

#[tokio::test]
async fn a_tag_is_made_once_in_the_real_repository() {
    let forge = Forge::new();
    git(&forge.bare(), &["config", "http.receivepack", "true"]);
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    let (first, second) = (forge.id("v1"), forge.id("main"));
    let before: Vec<String> =
        reader.cache.tags(reader.source(), &mut |_| {}).await.expect("tags").into_iter().map(|tag| tag.name).collect();
    assert_eq!(before, ["v1", "v1-annotated"]);
    let message = "Staging release v1.0.0\n\nNavvy-Run: abc";
    assert_eq!(push(&reader, new("v1.0.0", &second, message)).await, Pushed::Made);
    assert_eq!(git(&forge.bare(), &["cat-file", "-t", "v1.0.0"]), "tag");
    assert_eq!(git(&forge.bare(), &["rev-parse", "v1.0.0^{commit}"]), second.as_str());
    assert_eq!(push(&reader, new("v1.0.0", &first, "another")).await, Pushed::Exists);
    assert_eq!(git(&forge.bare(), &["rev-parse", "v1.0.0^{commit}"]), second.as_str(), "it was not moved");
    let tags = reader.cache.tags(reader.source(), &mut |_| {}).await.expect("tags");
    let made = tags.iter().find(|tag| tag.name == "v1.0.0").expect("it is there");
    assert_eq!((&made.commit, made.message.as_deref().map(str::trim_end)), (&second, Some(message)));
    let annotated = tags.iter().find(|tag| tag.name == "v1-annotated").expect("it is there");
    assert_eq!((&annotated.commit, annotated.message.as_deref().map(str::trim_end)), (&first, Some("annotated")));
}

#[tokio::test]
async fn a_server_that_declines_a_tag_is_quoted() {
    use std::os::unix::fs::PermissionsExt as _;
    let forge = Forge::new();
    git(&forge.bare(), &["config", "http.receivepack", "true"]);
    let hook = forge.bare().join("hooks/update");
    std::fs::create_dir_all(hook.parent().expect("a parent")).expect("made");
    std::fs::write(&hook, "#!/bin/sh\necho tags are for people >&2\nexit 1\n").expect("written");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("set");
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    let commit = forge.id("main");
    let pushed = push(&reader, new("v9.0.0", &commit, "m")).await;
    assert!(matches!(&pushed, Pushed::Declined { why } if why.contains("hook declined")), "{pushed:?}");
}

#[tokio::test]
async fn of_two_that_push_the_same_tag_one_makes_it() {
    let forge = Forge::new();
    git(&forge.bare(), &["config", "http.receivepack", "true"]);
    let server = Http::serve(&forge, &[]);
    let (one, two) = (Reader::new(server.url(), None), Reader::new(server.url(), None));
    let (first, second) = (forge.id("v1"), forge.id("main"));
    for reader in [&one, &two] {
        reader.cache.tags(reader.source(), &mut |_| {}).await.expect("tags");
    }
    let (a, b) = tokio::join!(push(&one, new("v2.0.0", &first, "first")), push(&two, new("v2.0.0", &second, "second")));
    let mut both = [a, b];
    both.sort_by_key(|pushed| *pushed != Pushed::Made);
    assert_eq!(both, [Pushed::Made, Pushed::Exists]);
}
