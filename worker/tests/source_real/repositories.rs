//! Folders of commits, from real git servers.

use crate::{
    bench::{Bench, git_source, left_in},
    rig::{Forge, Http, git},
    ssh::{Sshd, free_port},
};
use proto::{
    Secret,
    git::GitUrl,
    orders::{CodeSource, GitSource},
    terraform::GitAuth,
};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
};
use worker::{
    confine::Refused,
    git::GitError,
    source::{self, SourceError},
};

const CANARY: &str = "canary-token-5d20c7";

#[tokio::test]
async fn only_the_folder_of_the_commit_becomes_the_orders() {
    let forge = Forge::new();
    fs::write(forge.work().join("modules/net/run.sh"), "#!/bin/sh\n").expect("written");
    fs::set_permissions(forge.work().join("modules/net/run.sh"), fs::Permissions::from_mode(0o755)).expect("executable");
    let main = forge.commit("modules/other.tf", "# other");
    forge.push();
    let server = Http::serve(&forge, &[]);
    let bench = Bench::new(&[server.host()]);
    let order = bench.prepare(&git_source(&server.url(), "modules/net", None)).await;
    let done = order.done();
    assert_eq!((done.commit.as_ref(), done.files, done.links_out.len()), (Some(&main), 2, 0));
    let mut names: Vec<PathBuf> = left_in(&order.dest).iter().map(|path| path.strip_prefix(&order.dest).expect("inside").into()).collect();
    names.sort();
    assert_eq!(names, [PathBuf::from("main.tf"), PathBuf::from("run.sh")]);
    assert_eq!(order.read("main.tf"), "# second");
    let mode = |path: PathBuf| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(order.dest.join("run.sh")) & 0o100, mode(order.dest.clone())), (0o100, 0o700));
    assert!(order.said.contains(&format!("Checked out HEAD at {main} (2 files)")), "{}", order.said);

    let whole = bench.prepare(&git_source(&server.url(), ".", Some("v1"))).await;
    assert_eq!((whole.done().files, whole.done().commit.as_ref()), (1, Some(&forge.id("v1"))));
    assert_eq!(whole.read("main.tf"), "# first");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &[]);
    let bench = Bench::new(&[server.host()]);
    for folder in ["modules/absent", "main.tf/x"] {
        let error = bench.prepare(&git_source(&server.url(), folder, None)).await.refused();
        assert!(matches!(&error, SourceError::Folder(Refused::Missing(path)) if path == folder), "{error}");
        assert_eq!(error.to_failure("cloning").kind, "path");
    }
    let file = bench.prepare(&git_source(&server.url(), "main.tf", None)).await.refused();
    assert!(matches!(file, SourceError::Folder(Refused::WrongKind { found: "file", .. })), "{file}");
}

#[tokio::test]
async fn links_of_the_repository_lead_nowhere_else() {
    let forge = Forge::new();
    let secret = forge.root.path().join("secret");
    fs::create_dir(&secret).expect("made");
    symlink("modules/net", forge.work().join("alias")).expect("linked");
    symlink(&secret, forge.work().join("outside")).expect("linked");
    symlink("../../main.tf", forge.work().join("modules/net/up.tf")).expect("linked");
    symlink("main.tf", forge.work().join("modules/net/same.tf")).expect("linked");
    forge.commit("x", "");
    forge.push();
    let server = Http::serve(&forge, &[]);
    let bench = Bench::new(&[server.host()]);
    let order = bench.prepare(&git_source(&server.url(), "alias", None)).await;
    assert_eq!((order.done().files, order.done().links_out.as_slice()), (3, ["up.tf".to_owned()].as_slice()));
    assert_eq!(order.read("same.tf"), "# second");
    assert!(order.said.contains("⚠ the symbolic link up.tf leads out"), "{}", order.said);
    assert!(order.dest.symlink_metadata().expect("there").is_dir(), "the folder itself, not a link to it");
    let outside = bench.prepare(&git_source(&server.url(), "outside", None)).await.refused();
    assert!(matches!(outside, SourceError::Folder(Refused::LeadsOut(_))), "{outside}");
    assert!(secret.exists());
}

#[tokio::test]
async fn orders_of_one_commit_cost_one_fetch_and_share_nothing() {
    let forge = Forge::new();
    let main = forge.id("main");
    let server = Http::serve(&forge, &[]);
    for spelled in [main.as_str(), &main.as_str()[..8], &main.as_str()[..12].to_uppercase()] {
        let alone = Bench::new(&[server.host()]);
        let source = git_source(&server.url(), "modules", Some(spelled));
        let before = server.requests().len();
        let first = alone.prepare(&source).await;
        let cost = server.requests().len() - before;
        assert!(cost > 0, "{spelled}");
        let second = alone.prepare(&source).await;
        assert_eq!(server.requests().len(), before + cost, "{spelled}: the second order asks nobody");
        assert_eq!((first.done().commit.as_ref(), second.done().commit.as_ref()), (Some(&main), Some(&main)));
        fs::write(first.dest.join("net/main.tf"), "changed").expect("written");
        assert_eq!(second.read("net/main.tf"), "# second");
        assert_eq!(alone.prepare(&source).await.read("net/main.tf"), "# second");

        let bench = Bench::new(&[server.host()]);
        let before = server.requests().len();
        let orders = futures_util::future::join_all((0..8).map(|_| bench.prepare(&source))).await;
        for order in &orders {
            assert_eq!((order.done().files, order.read("net/main.tf").as_str()), (1, "# second"));
        }
        assert_eq!(server.requests().len(), before + cost, "{spelled}: eight orders at a time cost one fetch");
    }
}

#[tokio::test]
async fn a_branch_is_looked_up_each_time_also_one_that_looks_like_a_commit() {
    let forge = Forge::new();
    git(&forge.work(), &["branch", "abcdef0", "v1"]);
    forge.push();
    let server = Http::serve(&forge, &[]);
    let bench = Bench::new(&[server.host()]);
    let source = git_source(&server.url(), ".", Some("abcdef0"));
    assert_eq!(bench.prepare(&source).await.done().commit, Some(forge.id("v1")));
    git(&forge.work(), &["branch", "-f", "abcdef0", "main"]);
    forge.push();
    assert_eq!(bench.prepare(&source).await.done().commit, Some(forge.id("main")));
}

#[tokio::test]
async fn what_is_known_lets_nobody_in() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &["--user", "x-access-token", "--password", CANARY]);
    let mut bench = Bench::new(&[server.host()]);
    let source = git_source(&server.url(), ".", Some(&forge.id("main").as_str()[..10]));
    bench.logins.token = Some(GitAuth::Token { token: Secret::new(CANARY) });
    bench.prepare(&source).await.done();
    bench.logins.token = Some(GitAuth::Token { token: Secret::new("wrong") });
    let error = bench.prepare(&source).await.refused();
    assert!(matches!(error, SourceError::Git(GitError::LoginRefused { .. })), "{error}");
    bench.logins.token = None;
    assert!(matches!(bench.prepare(&source).await.refused(), SourceError::Git(GitError::LoginNeeded { .. })));
}

/// The same repository by both addresses.
fn both(url: &GitUrl, ssh_url: &GitUrl, commit: Option<&str>) -> CodeSource {
    CodeSource::Git(Box::new(GitSource {
        url: url.clone(),
        ssh_url: Some(ssh_url.clone()),
        folder: ".".parse().expect("a path"),
        commit: commit.map(str::to_owned),
        token: None,
        ssh_key: None,
    }))
}

#[tokio::test]
async fn the_token_goes_first_and_the_key_opens_what_it_does_not() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &["--user", "x-access-token", "--password", "right"]);
    let sshd = Sshd::serve();
    let bench = || Bench::new(&[server.host(), &sshd.host()]);
    let source = both(&server.url(), &sshd.url(&forge), None);
    let token = |text: &str| Some(GitAuth::Token { token: Secret::new(text) });

    let mut with_token = bench();
    with_token.logins = source::Logins { token: token("right"), ssh_key: Some(sshd.auth()) };
    let order = with_token.prepare(&source).await;
    assert_eq!(order.done().commit, Some(forge.id("main")));
    assert!(!order.said.contains("SSH"), "{}", order.said);

    let mut refused = bench();
    refused.logins = source::Logins { token: token(CANARY), ssh_key: Some(sshd.auth()) };
    let order = refused.prepare(&source).await;
    assert_eq!((order.done().commit.as_ref(), order.read("main.tf").as_str()), (Some(&forge.id("main")), "# first"));
    assert!(order.said.contains("refused the token credentials") && order.said.contains("with the SSH key"), "{}", order.said);
    assert!(!order.said.contains(CANARY));

    let before = server.requests().len();
    let mut key_alone = bench();
    key_alone.logins.ssh_key = Some(sshd.auth());
    key_alone.prepare(&source).await.done();
    assert_eq!(server.requests().len(), before, "without a token nobody knocks there");

    // Let in, and told that it is not there: the other door leads to the same rooms.
    let absent = with_token.prepare(&both(&server.url(), &sshd.url(&forge), Some("absent"))).await;
    assert!(!absent.said.contains("SSH"), "{}", absent.said);
    assert!(matches!(absent.refused(), SourceError::Git(GitError::RefNotFound { .. })));
}

#[tokio::test]
async fn when_both_ways_fail_the_first_failure_is_told() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &["--user", "x-access-token", "--password", "right"]);
    let closed = format!("127.0.0.1:{}", free_port());
    let ssh_url: GitUrl = format!("ssh://{closed}/team/infra.git").parse().expect("an address");
    let mut bench = Bench::new(&[server.host(), &closed]);
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n";
    bench.logins.token = Some(GitAuth::Token { token: Secret::new(CANARY) });
    bench.logins.ssh_key =
        Some(GitAuth::Ssh { username: None, private_key: Secret::new(key), known_hosts: format!("[127.0.0.1]:1 {}", "ssh-ed25519 AAAA") });
    let order = bench.prepare(&both(&server.url(), &ssh_url, None)).await;
    let said = order.said.clone();
    let error = order.refused();
    let SourceError::NoWayIn { first, .. } = &error else { panic!("{error}") };
    assert!(matches!(**first, GitError::LoginRefused { kind: "token", .. }), "{first}");
    let failure = error.to_failure("cloning");
    assert!(failure.message.starts_with(&format!("the repository could not be read: {first}")), "{}", failure.message);
    assert!(!format!("{failure:?} {error:?} {said}").contains("canary"));
}

#[tokio::test]
async fn what_is_no_reference_is_refused_before_anybody_is_asked() {
    let bench = Bench::new(&[]);
    let url = "https://git.example/a.git".parse().expect("an address");
    for commit in ["", "--upload-pack=x", "a b", "a..b"] {
        let error = bench.prepare(&git_source(&url, ".", Some(commit))).await.refused();
        assert!(matches!(error, SourceError::Commit(_)), "{commit}: {error}");
    }
    let unlisted = bench.prepare(&git_source(&url, ".", None)).await.refused();
    assert!(matches!(unlisted, SourceError::Git(GitError::NotAllowed(_))), "{unlisted}");
}

#[tokio::test]
async fn an_order_that_is_dropped_leaves_nothing() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &[]);
    // A git that stops for good in its first fetch.
    let tools = tempfile::tempdir().expect("a directory");
    let once = tools.path().join("once");
    let bench = Bench::with(&[server.host()], |settings| {
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *' fetch '*) if mkdir {} 2>/dev/null; then sleep 600; fi;; esac\nexec git \"$@\"\n",
            once.display()
        );
        settings.program = tools.path().join("stuck-git");
        fs::write(&settings.program, script).expect("written");
        fs::set_permissions(&settings.program, fs::Permissions::from_mode(0o755)).expect("executable");
    });
    let room = bench.room();
    let source = git_source(&server.url(), ".", Some(&forge.id("main").as_str()[..8]));
    let (means, dest) = (bench.means(), room.join("code"));
    let mut unheard = |_: &str| {};
    tokio::select! {
        done = source::prepare(&source, &means, &dest, &mut unheard) => panic!("the fetch is stuck: {done:?}"),
        () = async { while !once.exists() { tokio::task::yield_now().await } } => {}
    }
    assert_eq!(left_in(&room), Vec::<PathBuf>::new());
    // Nor does it stand in the way of the next one.
    assert_eq!(bench.prepare(&source).await.done().commit, Some(forge.id("main")));
}
