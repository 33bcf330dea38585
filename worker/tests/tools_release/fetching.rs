//! A version that is not there: fetched once, believed only with checksum and signature, refused in words.

use crate::choosing::{Site, executable};
use crate::keys::Maker;
use crate::mirror::{Answer, Mirror, Release, archive_name, program};
use std::fs;
use std::path::Path;
use worker::tools::{ToolError, Tools};

const VERSION: &str = "1.9.8";

/// A worker that may fetch from a mirror and believes one maker.
fn worker(mirror: &Mirror, maker: &Maker) -> Site {
    let mut site = Site::new(&[], None);
    site.settings.may_download = true;
    site.settings.mirror_terraform = Some(mirror.url.clone());
    site.settings.keyring_terraform = Some(maker.keyring(false));
    // After the worker's own, for gpgv.
    let path = std::env::var_os("PATH").expect("PATH");
    let rest: Vec<_> = std::env::split_paths(&path).filter(|dir| !dir.join("terraform").exists()).collect();
    let folders = std::env::split_paths(&site.settings.search_path).chain(rest);
    site.settings.search_path = std::env::join_paths(folders).expect("a PATH");
    site
}

async fn refused(maker: &Maker, release: Release) -> ToolError {
    let mirror = Mirror::start(release.files()).await;
    let site = worker(&mirror, maker);
    let error = site.resolve(Some(VERSION)).await.expect_err("refused");
    assert!(!site.installed(VERSION).exists(), "{error}");
    assert_eq!(left_behind(&site), Vec::<String>::new(), "{error}");
    error
}

/// Folders in the tools folder that are no versions.
fn left_behind(site: &Site) -> Vec<String> {
    let entries = fs::read_dir(site.settings.dir.join("terraform")).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry")).filter(|entry| entry.path().is_dir());
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| name.starts_with('.')).collect()
}

#[tokio::test]
async fn a_signed_release_is_installed_once_and_used_from_then_on() {
    let maker = Maker::new();
    let mirror = Mirror::start(Release::new(&maker, VERSION).files()).await;
    for armoured in [false, true] {
        let mut site = worker(&mirror, &maker);
        site.settings.keyring_terraform = Some(maker.keyring(armoured));
        let before = mirror.asked_for(".zip");
        assert_eq!(site.resolve(Some(VERSION)).await.expect("fetched").0, VERSION);
        assert_eq!(site.resolve(Some(VERSION)).await.expect("installed").0, VERSION);
        assert_eq!(mirror.asked_for(".zip"), before + 1);
        let digest = fs::read_to_string(site.installed(VERSION).with_extension("sha256")).expect("beside it");
        assert_eq!(digest.trim().len(), 64);
        assert_eq!(left_behind(&site), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_release_without_a_good_signature_is_refused() {
    let (maker, stranger, expired) = (Maker::new(), Maker::new(), Maker::expired());
    let honest = || Release::new(&maker, VERSION);

    let by_a_stranger = refused(&maker, Release::new(&stranger, VERSION)).await;
    assert!(matches!(by_a_stranger, ToolError::Untrusted { .. }), "{by_a_stranger}");
    assert!(by_a_stranger.to_string().contains("not in the keyring"), "{by_a_stranger}");

    let by_an_expired_key = refused(&expired, Release::new(&expired, VERSION)).await;
    assert!(by_an_expired_key.to_string().contains("expired"), "{by_an_expired_key}");

    let mut other_sums = honest();
    other_sums.sums.push(b'\n');
    assert!(refused(&maker, other_sums).await.to_string().contains("does not fit"));

    let mut no_signature = honest();
    no_signature.signature = b"hello".to_vec();
    assert!(matches!(refused(&maker, no_signature).await, ToolError::Untrusted { .. }));

    let mut empty = honest();
    empty.signature.clear();
    assert!(matches!(refused(&maker, empty).await, ToolError::Untrusted { .. }));
}

#[tokio::test]
async fn an_archive_that_is_not_what_was_signed_is_refused() {
    let maker = Maker::new();
    let mut other_archive = Release::new(&maker, VERSION);
    other_archive.archive.push(0);
    let error = refused(&maker, other_archive).await;
    assert!(error.to_string().contains("the signed list says"), "{error}");

    let mut of_another_version = Release::new(&maker, "1.9.7");
    of_another_version.version = VERSION.to_owned();
    let error = refused(&maker, of_another_version).await;
    assert!(error.to_string().contains("does not name"), "{error}");

    for entries in [
        &[("terraform", "x"), ("../../outside", "x")][..],
        &[("/terraform", "x")],
        &[("terraform", "x"), ("terraform-provider-x", "x")],
        &[("tofu", "x")],
    ] {
        let error = refused(&maker, Release::of(&maker, VERSION, entries)).await;
        assert!(matches!(error, ToolError::Untrusted { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_release_that_says_another_version_of_itself_is_not_used() {
    let maker = Maker::new();
    let release = Release::of(&maker, VERSION, &[("terraform", &program("1.0.0"))]);
    let mirror = Mirror::start(release.files()).await;
    let error = worker(&mirror, &maker).resolve(Some(VERSION)).await.expect_err("refused");
    assert!(error.to_string().contains("it says that it is 1.0.0, and should be 1.9.8"), "{error}");
}

#[tokio::test]
async fn nothing_is_asked_of_the_mirror_without_permission_keyring_or_for_old_versions() {
    let maker = Maker::new();
    let mirror = Mirror::start(Release::new(&maker, VERSION).files()).await;
    let mut forbidden = worker(&mirror, &maker);
    forbidden.settings.may_download = false;
    let mut no_keyring = worker(&mirror, &maker);
    no_keyring.settings.keyring_terraform = None;
    for (site, version, why) in [
        (forbidden, VERSION, "may_download is off"),
        (no_keyring, VERSION, "keyring_terraform is not set"),
        (worker(&mirror, &maker), "1.5.6", "older than 1.5.7"),
    ] {
        let error = site.resolve(Some(version)).await.expect_err(why);
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(mirror.asked_for(""), 0);
}

#[tokio::test]
async fn redirects_do_not_lead_away_from_https() {
    let maker = Maker::new();
    let mut files = Release::new(&maker, VERSION).files();
    let archive = format!("/terraform/{VERSION}/{}", archive_name(VERSION));
    let content = files.remove(&archive).expect("an archive");
    files.insert("/elsewhere".to_owned(), content);
    files.insert(archive.clone(), Answer::Redirect("/elsewhere".to_owned()));
    let mirror = Mirror::start(files.clone()).await;
    assert_eq!(worker(&mirror, &maker).resolve(Some(VERSION)).await.expect("the same machine").0, VERSION);

    // 192.0.2.0/24 belongs to nobody; it must not even be tried.
    files.insert(archive, Answer::Redirect("http://192.0.2.1/elsewhere".to_owned()));
    let mirror = Mirror::start(files).await;
    let error = worker(&mirror, &maker).resolve(Some(VERSION)).await.expect_err("refused");
    assert!(error.to_string().contains("redirects to an address without https"), "{error}");
}

#[tokio::test]
async fn many_attempts_fetch_a_version_once() {
    let maker = Maker::new();
    let mirror = Mirror::start(Release::new(&maker, VERSION).files()).await;
    let site = worker(&mirror, &maker);
    let (one, other) = (Tools::new(site.settings.clone()), Tools::new(site.settings.clone()));
    let (a, b, c) = tokio::join!(
        site.resolve_with(&one, Some(VERSION)),
        site.resolve_with(&one, Some(VERSION)),
        site.resolve_with(&other, Some(VERSION))
    );
    for found in [a, b, c] {
        assert_eq!(found.expect("found").0, VERSION);
    }
    assert_eq!(mirror.asked_for(".zip"), 1);
}

#[tokio::test]
async fn what_a_killed_fetch_left_behind_is_no_version_and_is_removed() {
    let maker = Maker::new();
    let mirror = Mirror::start(Release::new(&maker, VERSION).files()).await;
    let site = worker(&mirror, &maker);
    executable(&site.settings.dir.join("terraform").join(format!(".fetch-{VERSION}/ready/terraform")), "half");
    assert_eq!(site.resolve(Some(VERSION)).await.expect("fetched").0, VERSION);
    assert_eq!(left_behind(&site), Vec::<String>::new());
}

#[tokio::test]
async fn a_program_that_was_changed_after_it_was_fetched_is_not_started() {
    let maker = Maker::new();
    let mirror = Mirror::start(Release::new(&maker, VERSION).files()).await;
    let site = worker(&mirror, &maker);
    let tools = Tools::new(site.settings.clone());
    site.resolve_with(&tools, Some(VERSION)).await.expect("fetched");
    let witness = site.settings.dir.join("started");
    replace(&site.installed(VERSION), &format!("#!/bin/sh\ntouch {}\n", witness.display()));
    let error = site.resolve_with(&tools, Some(VERSION)).await.expect_err("changed");
    assert!(matches!(error, ToolError::Changed { .. }), "{error}");
    assert!(!witness.exists());
}

fn replace(program: &Path, text: &str) {
    fs::remove_file(program).expect("removed");
    executable(program, text);
}

#[tokio::test]
async fn a_mirror_that_does_not_have_it_is_told() {
    let maker = Maker::new();
    let mirror = Mirror::start(std::collections::HashMap::new()).await;
    let failure = worker(&mirror, &maker).resolve(Some(VERSION)).await.expect_err("missing").to_failure("init");
    assert_eq!(failure.kind, "tool_download");
    assert!(failure.message.contains("SHA256SUMS answered 404"), "{}", failure.message);
}
