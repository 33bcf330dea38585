//! What the cache saves, what it survives, and how it shrinks.

use crate::rig::{Forge, Http, Reader, files_below};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use worker::git::GitError;

#[tokio::test]
async fn a_commit_is_fetched_once_however_many_ask_at_the_same_time() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &[]);
    let main = forge.id("main");
    let alone = Reader::new(server.url(), None);
    alone.checkout(&main).await.expect("a checkout");
    let cost = server.requests().len();
    assert!(cost > 0);
    alone.checkout(&main).await.expect("a second checkout");
    assert_eq!(server.requests().len(), cost, "a cached commit costs no request");

    let reader = Reader::new(server.url(), None);
    let tries = futures_util::future::join_all((0..8).map(|_| reader.checkout(&main))).await;
    for done in tries {
        let done = done.expect("a checkout");
        assert_eq!(std::fs::read_to_string(done.root.join("main.tf")).expect("read"), "# first");
    }
    assert_eq!(server.requests().len(), 2 * cost, "eight attempts together cost one fetch");
}

#[tokio::test]
async fn the_next_commit_transfers_only_what_changed() {
    let forge = Forge::new();
    let noise: String = (0..40_000).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    let first = forge.commit("big.txt", &noise);
    let second = forge.commit("small.txt", "x");
    forge.push();
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    let packs = || -> u64 {
        let files = files_below(&reader.dir.path().join("cache/repos"));
        files.iter().map(|file| std::fs::metadata(file).expect("stat").len()).sum()
    };
    reader.fetch(&first).await.expect("fetched");
    let before = packs();
    reader.fetch(&second).await.expect("fetched");
    assert!(before > 500_000, "{before}");
    assert!(packs() - before < 50_000, "{}", packs() - before);
    assert!(reader.checkout(&second).await.expect("a checkout").root.join("big.txt").exists());
}

fn pack_files(reader: &Reader, extension: &str) -> Vec<PathBuf> {
    let mut files = files_below(&reader.dir.path().join("cache/repos"));
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files
}

fn overwrite(file: &Path, content: &[u8]) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).expect("writable");
    std::fs::write(file, content).expect("written");
}

#[tokio::test]
async fn a_damaged_copy_is_thrown_away_and_fetched_again() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &[]);
    let (first, second) = (forge.id("v1"), forge.id("main"));
    let reader = Reader::new(server.url(), None);
    for extension in ["pack", "idx"] {
        reader.checkout(&second).await.expect("a checkout");
        let files = pack_files(&reader, extension);
        assert!(!files.is_empty());
        for file in &files {
            let mut content = std::fs::read(file).expect("read");
            let middle = content.len() / 2;
            content[12..middle].fill(0xa5);
            overwrite(file, &content);
        }
        let done = reader.checkout(&second).await.unwrap_or_else(|error| panic!("{extension}: {error}"));
        assert!(done.root.join("modules/net/main.tf").exists());
    }
    for damage in ["objects", "HEAD"] {
        for dir in reader.cached() {
            let path = dir.join("tip.git").join(damage);
            let _ = std::fs::remove_dir_all(&path);
            let _ = std::fs::remove_file(&path);
        }
        reader.checkout(&first).await.unwrap_or_else(|error| panic!("{damage}: {error}"));
        reader.checkout(&second).await.unwrap_or_else(|error| panic!("{damage}: {error}"));
    }
}

#[tokio::test]
async fn what_a_killed_git_left_behind_stops_nobody() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    reader.fetch(&forge.id("v1")).await.expect("fetched");
    let store = reader.cached().pop().expect("one").join("tip.git");
    for left in ["shallow.lock", "HEAD.lock", "packed-refs.lock", "objects/pack/tmp_pack_x"] {
        std::fs::write(store.join(left), "").expect("written");
    }
    let main = forge.id("main");
    let reference = store.join(format!("refs/navvy/commits/{main}.lock"));
    std::fs::write(reference, "").expect("written");
    std::fs::create_dir_all(store.with_file_name("full.git.draft/objects")).expect("made");
    reader.fetch(&main).await.expect("fetched");
    assert!(!store.join("objects/pack/tmp_pack_x").exists());
    // Looks the short id up in a full copy, whose half-made draft is in the way.
    assert_eq!(reader.resolve(&main.as_str()[..9]).await.expect("resolved").commit, main);
}

#[tokio::test]
async fn a_cancelled_fetch_leaves_the_repository_usable() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &[]);
    let main = forge.id("main");
    // A git that stops for good in its first fetch, with everything that a fetch holds.
    let reader = Reader::with(server.url(), None, |settings| {
        let stuck = settings.program.with_file_name("stuck-git");
        let once = settings.program.with_file_name("once");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *' fetch '*) if mkdir {} 2>/dev/null; then sleep 600; fi;; esac\nexec git \"$@\"\n",
            once.display()
        );
        std::fs::write(&stuck, script).expect("written");
        std::fs::set_permissions(&stuck, std::fs::Permissions::from_mode(0o755)).expect("executable");
        settings.program = stuck;
    });
    let once = reader.dir.path().join("once");
    tokio::select! {
        _ = reader.fetch(&main) => panic!("the fetch is stuck"),
        () = async { while !once.exists() { tokio::task::yield_now().await } } => {}
    }
    reader.checkout(&main).await.expect("a checkout");
}

#[tokio::test]
async fn a_repository_over_the_limit_is_refused_and_leaves_nothing() {
    let forge = Forge::new();
    let noise: String = (0..20_000).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    let commit = forge.commit("big.txt", &noise);
    forge.push();
    let server = Http::serve(&forge, &[]);
    let reader = Reader::with(server.url(), None, |settings| {
        settings.limits.max_bytes = 100_000;
    });
    assert!(matches!(reader.fetch(&commit).await, Err(GitError::TooLarge { .. })));
    assert!(pack_files(&reader, "pack").is_empty());
    let few = Reader::with(server.url(), None, |settings| settings.limits.max_files = 2);
    assert!(matches!(few.checkout(&commit).await, Err(GitError::TooLarge { .. })));
    assert!(few.checkout(&forge.id("v1")).await.is_ok());
}

#[tokio::test]
async fn the_longest_unused_repositories_go_first() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &[]);
    let mut reader = Reader::new(server.url(), None);
    let main = forge.id("main");
    let mut dirs: Vec<PathBuf> = Vec::new();
    for user in ["a", "b", "c"] {
        reader.auth = Some(crate::rig::basic(user, "password"));
        reader.fetch(&main).await.expect("fetched");
        let new = reader.cached().into_iter().find(|dir| !dirs.contains(dir)).expect("a new one");
        dirs.push(new);
    }
    for (age, dir) in [(2u64, &dirs[0]), (9, &dirs[1]), (5, &dirs[2])] {
        let at = std::time::SystemTime::now() - std::time::Duration::from_secs(age * 3600);
        std::fs::File::options().write(true).open(dir.join("used")).and_then(|file| file.set_modified(at)).expect("aged");
    }
    let none = reader.cache.evict(u64::MAX).await.expect("evicted");
    assert_eq!(none.repositories, 0);
    let one = reader.cache.evict(none.left - 1).await.expect("evicted");
    assert_eq!((one.repositories, one.left), (1, none.left - one.bytes));
    assert!(!dirs[1].exists() && dirs[0].exists() && dirs[2].exists());
    assert_eq!(reader.cache.evict(0).await.expect("evicted").repositories, 2);
    reader.checkout(&main).await.expect("fetched again");
}

#[tokio::test]
async fn many_small_fetches_are_put_together() {
    let forge = Forge::new();
    let commits: Vec<_> = (0..30).map(|n| forge.commit("counter.txt", &n.to_string())).collect();
    forge.push();
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    for commit in &commits {
        reader.fetch(commit).await.expect("fetched");
    }
    let packs = pack_files(&reader, "pack").len();
    assert!(packs < 25, "{packs} packs");
    let cost = server.requests().len();
    for (n, commit) in commits.iter().enumerate() {
        let done = reader.checkout(commit).await.expect("a checkout");
        assert_eq!(std::fs::read_to_string(done.root.join("counter.txt")).expect("read"), n.to_string());
    }
    assert_eq!(server.requests().len(), cost, "nothing was lost on the way");
}
