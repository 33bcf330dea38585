//! References, logins and refusals over HTTP.

use crate::rig::{Forge, Http, Reader, basic, files_below, git, holds};
use proto::Secret;
use proto::git::AllowedHosts;
use proto::terraform::GitAuth;
use worker::git::{Cache, GitError, Settings};

const CANARY: &str = "canary-pass-7f3a91";

#[tokio::test]
async fn every_kind_of_reference_becomes_one_commit() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    let (first, second) = (forge.id("v1"), forge.id("main"));
    let tag_object = git(&forge.work(), &["rev-parse", "v1-annotated"]);
    assert_ne!(tag_object, first.as_str());
    for (name, commit, full) in [
        ("main", &second, Some("refs/heads/main")),
        ("refs/heads/main", &second, Some("refs/heads/main")),
        ("HEAD", &second, Some("HEAD")),
        ("v1", &first, Some("refs/tags/v1")),
        ("v1-annotated", &first, Some("refs/tags/v1-annotated")),
        (first.as_str(), &first, None),
        (&first.as_str()[..7], &first, None),
        (&second.as_str()[..12].to_uppercase(), &second, None),
        (&tag_object, &first, None),
    ] {
        let resolved = reader.resolve(name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((&resolved.commit, resolved.name.as_deref()), (commit, full), "{name}");
    }
    let done = reader.checkout(&first).await.expect("a checkout");
    assert_eq!(std::fs::read_to_string(done.root.join("main.tf")).expect("read"), "# first");
    assert!(!done.root.join("modules").exists() && !done.root.join(".git").exists());
    assert_eq!((done.files, done.bytes), (1, 7));
}

#[tokio::test]
async fn a_reference_outside_of_branches_and_tags_is_found_by_its_full_name() {
    let forge = Forge::new();
    let commit = forge.commit("pull.tf", "# proposed");
    forge.push();
    git(&forge.bare(), &["update-ref", "refs/pull/1/head", commit.as_str()]);
    git(&forge.bare(), &["update-ref", "refs/heads/main", forge.id("v1").as_str()]);
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    assert_eq!(reader.resolve("refs/pull/1/head").await.expect("resolved").commit, commit);
    assert!(reader.checkout(&commit).await.expect("a checkout").root.join("pull.tf").exists());
}

#[tokio::test]
async fn what_does_not_exist_or_is_ambiguous_is_said_with_a_way_out() {
    let forge = Forge::new();
    git(&forge.work(), &["branch", "release-2024"]);
    git(&forge.work(), &["branch", "v1"]);
    // Two commits whose ids start with 7a797b7.
    for (branch, message) in [("one", "12115"), ("two", "15844")] {
        let empty = git(&forge.work(), &["mktree"]);
        let commit = git(&forge.work(), &["commit-tree", &empty, "-m", message]);
        git(&forge.work(), &["branch", branch, &commit]);
    }
    forge.push();
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    let said = |error: GitError| error.to_string();
    let unknown = reader.resolve("release-2042").await.expect_err("unknown");
    assert!(matches!(unknown, GitError::RefNotFound { .. }));
    assert!(said(unknown).contains("did you mean `release-2024`?"));
    let both = reader.resolve("v1").await.expect_err("a branch and a tag");
    assert!(matches!(&both, GitError::RefAmbiguous { candidates, .. } if candidates.len() == 2), "{both}");
    let short = reader.resolve("7a797b7").await.expect_err("two commits");
    assert!(matches!(&short, GitError::RefAmbiguous { candidates, .. } if candidates.len() == 2), "{short}");
    assert_eq!(reader.resolve("7a797b79").await.expect("one commit").commit, forge.id("two"));
    let absent = "0123456789abcdef0123456789abcdef01234567";
    assert!(matches!(reader.resolve(absent).await, Err(GitError::CommitNotFound { .. })));
    assert!(matches!(reader.resolve("abcdef0").await, Err(GitError::RefNotFound { .. })));
    let tree = git(&forge.work(), &["rev-parse", "main^{tree}"]);
    let not_a_commit = reader.resolve(&tree).await.expect_err("a tree");
    assert!(matches!(not_a_commit, GitError::NotACommit { kind: "tree", .. }), "{not_a_commit}");
}

#[tokio::test]
async fn a_name_wins_over_a_short_commit_id() {
    let forge = Forge::new();
    let (first, second) = (forge.id("v1"), forge.id("main"));
    git(&forge.work(), &["branch", &first.as_str()[..8], second.as_str()]);
    forge.push();
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    assert_eq!(reader.resolve(&first.as_str()[..8]).await.expect("resolved").commit, second);
}

#[tokio::test]
async fn missing_and_empty_repositories_are_told_apart() {
    let forge = Forge::new();
    let empty = forge.root.path().join("empty.git");
    std::fs::create_dir(&empty).expect("made");
    git(&empty, &["init", "--quiet", "--bare"]);
    let server = Http::serve(&forge, &[]);
    let at = |path: &str| Reader::new(format!("{}/{path}", server.origin).parse().expect("an address"), None);
    assert!(matches!(at("absent.git").resolve("main").await, Err(GitError::RepositoryNotFound { .. })));
    let none = at("empty.git").resolve("main").await.expect_err("nothing there");
    assert!(none.to_string().contains("no branches or tags yet"), "{none}");
}

#[tokio::test]
async fn a_private_repository_opens_with_the_right_login_only() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &["--user", "ci", "--password", CANARY]);
    let main = forge.id("main");
    let right = Reader::new(server.url(), Some(basic("ci", CANARY)));
    assert_eq!(right.resolve("main").await.expect("resolved").commit, main);
    right.checkout(&main).await.expect("a checkout");
    let record = right.record();
    assert!(record.contains("GIT_ASKPASS=/"), "the record sees the environment");
    assert!(!record.contains(CANARY), "neither argv nor the environment carries the password");
    for file in files_below(right.dir.path()) {
        assert!(!holds(&file, CANARY), "{}", file.display());
    }
    let answered = record.lines().filter_map(|line| line.strip_prefix("GIT_ASKPASS=")).filter(|path| !path.is_empty());
    let mut asked = 0;
    for program in answered {
        asked += 1;
        let dir = std::path::Path::new(program).parent().expect("a directory");
        assert!(!dir.exists(), "{} is gone with its command", dir.display());
    }
    assert!(asked >= 2, "listing and fetching both logged in");
    let none = Reader::new(server.url(), None).resolve("main").await.expect_err("no login");
    assert!(matches!(none, GitError::LoginNeeded { .. }), "{none}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_even_when_the_repository_is_cached() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &["--user", "ci", "--password", "right-password"]);
    let main = forge.id("main");
    let mut reader = Reader::new(server.url(), Some(basic("ci", "right-password")));
    reader.fetch(&main).await.expect("fetched");
    reader.auth = Some(basic("ci", CANARY));
    let mut lines = Vec::new();
    let name = "main".parse().expect("a reference");
    let error = reader
        .cache
        .resolve(reader.source(), &name, &mut |line| {
            lines.push(line.to_owned());
        })
        .await
        .expect_err("refused");
    assert!(matches!(error, GitError::LoginRefused { kind: "basic", .. }), "{error}");
    assert!(!format!("{error} {error:?} {lines:?}").contains(CANARY));
    assert!(matches!(reader.fetch(&main).await, Err(GitError::LoginRefused { .. })));
    assert!(matches!(reader.checkout(&main).await, Err(GitError::LoginRefused { .. })));
    reader.auth = None;
    assert!(matches!(reader.checkout(&main).await, Err(GitError::LoginNeeded { .. })));
}

#[tokio::test]
async fn a_token_logs_in_as_x_access_token() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &["--user", "x-access-token", "--password", "to'ken $(id) %41"]);
    let auth = GitAuth::Token { token: Secret::new("to'ken $(id) %41") };
    let reader = Reader::new(server.url(), Some(auth));
    assert_eq!(reader.resolve("v1").await.expect("resolved").commit, forge.id("v1"));
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    let forge = Forge::new();
    let target = Http::serve(&forge, &[]);
    let server = Http::serve(&forge, &["--redirect-to", &target.origin]);
    let reader = Reader::new(server.url(), Some(basic("ci", CANARY)));
    let error = reader.resolve("main").await.expect_err("refused");
    assert!(matches!(error, GitError::RedirectRefused { .. }), "{error}");
    assert!(!server.requests().is_empty());
    assert_eq!(target.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn only_listed_hosts_and_ports_are_reached() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &[]);
    let refused = Reader::with(server.url(), None, |settings| {
        settings.allowed = AllowedHosts::parse(["git.example", "127.0.0.1:1"]).expect("a list");
    });
    assert!(matches!(refused.resolve("main").await, Err(GitError::NotAllowed(_))));
    assert!(matches!(refused.checkout(&forge.id("main")).await, Err(GitError::NotAllowed(_))));
    assert_eq!(server.requests(), Vec::<String>::new());
    let listed = Reader::new(server.url(), None);
    listed.fetch(&forge.id("main")).await.expect("fetched");
    let cache = listed.dir.path().join("cache");
    let settings = Settings::new(cache, AllowedHosts::default(), "/nonexistent");
    let unlisted = Cache::open(settings).expect("the same cache");
    let dest = listed.dir.path().join("dest");
    let refused = unlisted.checkout(listed.source(), &forge.id("main"), &dest, &mut |_| {}).await;
    assert!(matches!(refused, Err(GitError::NotAllowed(_))), "cached, but no longer listed");
    let metadata = Reader::new("http://169.254.169.254/latest".parse().expect("an address"), None);
    assert!(matches!(metadata.resolve("main").await, Err(GitError::AddressRefused { .. })));
}

#[tokio::test]
async fn a_name_is_tied_to_the_addresses_that_were_checked() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &[]);
    let port = server.host().rsplit_once(':').expect("a port").1;
    let reader = Reader::new(format!("http://localhost:{port}/team/infra.git").parse().expect("an address"), None);
    assert_eq!(reader.resolve("main").await.expect("resolved").commit, forge.id("main"));
    assert!(reader.record().contains(&format!("http.curloptResolve=localhost:{port}:")));
}

#[tokio::test]
async fn a_server_that_is_not_there_or_silent_is_a_passing_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x.git", listener.local_addr().expect("an address"));
    let silent = Reader::with(url.parse().expect("an address"), None, |settings| {
        settings.limits.timeout = std::time::Duration::from_secs(2);
    });
    let error = silent.resolve("main").await.expect_err("no answer");
    assert!(matches!(error, GitError::TimedOut { .. }) && error.is_transient(), "{error}");
    drop(listener);
    let error = Reader::new(url.parse().expect("an address"), None).resolve("main").await.expect_err("nobody there");
    assert!(matches!(error, GitError::Unreachable { .. }) && error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_repository_of_another_object_format_is_refused_clearly() {
    let forge = Forge::new();
    let other = forge.root.path().join("sha256.git");
    git(forge.root.path(), &["init", "--quiet", "--object-format=sha256", "sha256"]);
    let work = forge.root.path().join("sha256");
    git(&work, &["commit", "--quiet", "--allow-empty", "-m", "x"]);
    git(forge.root.path(), &["clone", "--quiet", "--bare", "sha256", other.to_str().expect("text")]);
    let server = Http::serve(&forge, &[]);
    let url = format!("{}/sha256.git", server.origin).parse().expect("an address");
    let error = Reader::new(url, None).resolve("main").await.expect_err("refused");
    assert!(matches!(error, GitError::ObjectFormat { .. }), "{error}");
}
