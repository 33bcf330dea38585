//! Zip archives, from wherever they lie.

use crate::{
    bench::{Bench, Store, archive, left_in},
    files::{Answer, Files},
    ssh::free_port,
};
use proto::{git::AllowedHosts, orders::CodeSource};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::Duration,
};
use worker::source::{
    self, SourceError,
    store::StoreError,
    unpack::{BadArchive, BadEntry},
};

const QUERY: &str = "?X-Amz-Signature=canary-9b1e33#canary";

fn code() -> Vec<u8> {
    archive(&[("main.tf", "# main"), ("modules/net/main.tf", "# net"), ("empty", "")])
}

#[tokio::test]
async fn without_a_source_there_is_an_empty_folder() {
    let bench = Bench::new(&[]);
    let order = bench.prepare(&CodeSource::None).await;
    assert_eq!((order.done().files, order.done().commit.as_ref()), (0, None));
    assert_eq!(left_in(&order.dest), Vec::<PathBuf>::new());
    assert_eq!(fs::metadata(&order.dest).expect("there").permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_folder_that_is_there_already_is_not_touched() {
    let bench = Bench::new(&[]);
    let dest = bench.room().join("code");
    let file = bench.dir.path().join("file");
    fs::write(&file, "x").expect("written");
    for make in [|dest: &Path, _: &Path| fs::create_dir(dest), |dest: &Path, file: &Path| symlink(file, dest)] {
        make(&dest, &file).expect("made");
        for source in [CodeSource::None, CodeSource::Zip { location: "/a.zip".to_owned() }] {
            let refused = source::prepare(&source, &bench.means(), &dest, &mut |_| {}).await.expect_err("refused");
            assert!(matches!(refused, SourceError::Disk { .. }), "{refused}");
            assert_eq!(left_in(dest.parent().expect("a parent")), [dest.as_path()]);
        }
        fs::remove_dir(&dest).or_else(|_| fs::remove_file(&dest)).expect("removed");
    }
    assert_eq!(fs::read_to_string(file).expect("there"), "x");
}

#[tokio::test]
async fn an_archive_comes_from_a_listed_server() {
    for answer in [Answer::File(code()), Answer::Unannounced(code())] {
        let files = Files::serve(answer).await;
        let bench = Bench::new(&[&files.host]);
        let order = bench.zip(files.url(&format!("/code/a.zip{QUERY}"))).await;
        assert_eq!((order.done().files, order.done().commit.as_ref()), (3, None));
        for (path, content) in [("main.tf", "# main"), ("modules/net/main.tf", "# net"), ("empty", "")] {
            assert_eq!(order.read(path), content, "{path}");
        }
        assert_eq!(files.asked(), ["/code/a.zip?X-Amz-Signature=canary-9b1e33"]);
        assert!(order.said.contains("/code/a.zip...\n") && order.said.contains("Unpacked 3 files (11 bytes)"), "{}", order.said);
        assert!(!order.said.contains("canary"), "{}", order.said);
    }
}

#[tokio::test]
async fn whatever_else_a_server_does_is_told_without_the_signature() {
    let target = Files::serve(Answer::File(code())).await;
    for (answer, expected) in [
        (Answer::Status(403), "the server answered 403"),
        (Answer::Status(500), "the server answered 500"),
        (Answer::Status(204), "the server answered 204"),
        (Answer::Redirect(target.url("/canary.zip")), "a redirect, which is never followed"),
        (Answer::Redirect("/canary.zip".to_owned()), "a redirect, which is never followed"),
        (Answer::File(vec![0; 5001]), "larger than the 5000 bytes"),
        (Answer::Unannounced(vec![0; 5001]), "larger than the 5000 bytes"),
        (Answer::CutOff(code()), "cannot be fetched"),
        (Answer::Unannounced(code()[..100].to_vec()), "not a zip archive"),
        (Answer::File(b"<html>".to_vec()), "not a zip archive"),
        (Answer::File(archive(&[("../canary.tf", "x")])), "leads out of the archive"),
    ] {
        let files = Files::serve(answer.clone()).await;
        let mut bench = Bench::new(&[&files.host, &target.host]);
        bench.limits.archive_bytes = 5000;
        let order = bench.zip(files.url(&format!("/a.zip{QUERY}"))).await;
        assert!(!order.said.contains("canary"), "{}", order.said);
        let error = order.refused();
        let failure = error.to_failure("cloning");
        assert!(failure.message.contains(expected), "{answer:?}: {}", failure.message);
        assert!(!failure.next_action.is_empty() && failure.kind == "code_archive");
        // The name of a hostile entry is told, of course.
        assert!(!format!("{error:?} {failure:?}").contains("canary-"), "{error:?}");
        assert_eq!(files.asked().len(), 1, "{answer:?}");
    }
    assert_eq!(target.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn only_listed_servers_are_asked() {
    let files = Files::serve(Answer::File(code())).await;
    let mut bench = Bench::new(&["127.0.0.1:1", "files.example"]);
    for url in [files.url("/a.zip"), files.url("/a.zip").replace("127.0.0.1", "localhost")] {
        let error = bench.zip(url).await.refused();
        assert!(matches!(error, SourceError::HostNotListed { .. }), "{error}");
    }
    let port = files.host.rsplit_once(':').expect("a port").1;
    bench.allowed = AllowedHosts::parse([format!("localhost:{port}")]).expect("a list");
    assert!(matches!(bench.zip(files.url("/a.zip")).await.refused(), SourceError::HostNotListed { .. }));
    let with_user = files.url("/a.zip").replace("127.0.0.1", "user:canary@localhost");
    let error = bench.zip(with_user).await.refused();
    assert!(matches!(error, SourceError::Location { .. }) && !format!("{error:?}").contains("canary"), "{error}");
    assert_eq!(files.asked(), Vec::<String>::new());
    bench.zip(format!("http://localhost:{port}/a.zip")).await.done();
    assert_eq!(files.asked(), ["/a.zip"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_nothing_is_given_up() {
    let closed = format!("127.0.0.1:{}", free_port());
    let bench = Bench::new(&[&closed]);
    let error = bench.zip(format!("http://{closed}/a.zip{QUERY}")).await.refused();
    assert!(matches!(&error, SourceError::Unreachable { .. }), "{error}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");

    let silent = Files::serve(Answer::Silence).await;
    let mut bench = Bench::new(&[&silent.host]);
    bench.limits.fetch_time = Duration::from_millis(1);
    assert!(matches!(bench.zip(silent.url("/a.zip")).await.refused(), SourceError::TooSlow { seconds: 0, .. }));
}

#[tokio::test]
async fn an_order_that_is_dropped_while_it_downloads_leaves_nothing() {
    let silent = Files::serve(Answer::Silence).await;
    let bench = Bench::new(&[&silent.host]);
    let room = bench.room();
    let (means, dest, source) = (bench.means(), room.join("code"), CodeSource::Zip { location: silent.url("/a.zip") });
    let mut unheard = |_: &str| {};
    tokio::select! {
        done = source::prepare(&source, &means, &dest, &mut unheard) => panic!("nobody answers: {done:?}"),
        () = silent.arrived.notified() => {}
    }
    assert_eq!(left_in(&room), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_archive_comes_out_of_an_object_store() {
    let mut bench = Bench::new(&[]);
    assert!(matches!(bench.zip("s3://bucket/code/a.zip").await.refused(), SourceError::NoStore));
    bench.store = Some(Store::Holds(code()));
    let order = bench.zip("s3://bucket/code/a.zip").await;
    assert_eq!((order.done().files, order.read("main.tf").as_str()), (3, "# main"));
    let absent = bench.zip("s3://bucket/code/b.zip").await.refused();
    assert!(matches!(absent, SourceError::Store { why: StoreError::NotFound, .. }), "{absent}");
    assert!(matches!(bench.zip("s3://bucket/../a.zip").await.refused(), SourceError::Location { .. }));
    bench.limits.archive_bytes = 100;
    assert!(matches!(bench.zip("s3://bucket/code/a.zip").await.refused(), SourceError::ArchiveTooLarge { limit: 100, .. }));
    bench.limits = source::Limits::default();
    bench.store = Some(Store::BreaksOff(code()));
    let broken = bench.zip("s3://bucket/code/a.zip").await.refused();
    assert!(matches!(broken, SourceError::Store { why: StoreError::Failed(_), .. }), "{broken}");
    bench.store = Some(Store::Fails(StoreError::Refused));
    let refused = bench.zip("s3://bucket/code/a.zip").await.refused().to_failure("cloning");
    assert_eq!(refused.message, "the archive s3://bucket/code/a.zip cannot be fetched: the worker's credentials may not read it");
}

#[tokio::test]
async fn an_archive_of_the_worker_comes_from_allowed_folders_only() {
    let mut bench = Bench::new(&[]);
    let folder = bench.dir.path().join("archives");
    fs::create_dir(&folder).expect("made");
    let (inside, outside) = (folder.join("a.zip"), bench.dir.path().join("b.zip"));
    // Made once: an archive holds the time it was made at.
    let made = code();
    fs::write(&inside, &made).expect("written");
    fs::write(&outside, &made).expect("written");
    let location = |path: &Path| path.to_str().expect("text").to_owned();
    assert!(matches!(bench.zip(location(&inside)).await.refused(), SourceError::LocalNotAllowed { .. }));
    bench.local_folders.push(folder.clone());
    let order = bench.zip(location(&inside)).await;
    assert_eq!((order.done().files, order.read("modules/net/main.tf").as_str()), (3, "# net"));
    assert_eq!(fs::read(&inside).expect("still there"), made);
    assert!(matches!(bench.zip(location(&outside)).await.refused(), SourceError::LocalNotAllowed { .. }));
    assert!(matches!(bench.zip(location(&folder.join("../b.zip"))).await.refused(), SourceError::Location { .. }));
    assert!(matches!(bench.zip(location(&folder.join("absent.zip"))).await.refused(), SourceError::LocalUnreadable { .. }));

    fs::write(&inside, archive(&[("fine", "x"), ("/etc/navvy-evil", "x")])).expect("written");
    let hostile = bench.zip(location(&inside)).await.refused();
    let SourceError::Archive { why: BadArchive::Entry { entry, why: BadEntry::Absolute }, .. } = &hostile else { panic!("{hostile}") };
    assert_eq!(entry, "/etc/navvy-evil");
}
