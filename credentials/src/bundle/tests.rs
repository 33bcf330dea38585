//! What is packed comes out again; what somebody else packed stays where it belongs.

use super::*;
use crate::merge::OrderEnvironment;
use crate::sops::Identities;
use proto::Secret;
use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

const IDENTITY: &str = include_str!("../../tests/golden/identity.txt");
const RECIPIENT: &str = "age1td0s8cnnhvw35jhs8puztxxcw862f0xqgfffa5vmpef2z3xgh5usqf8npp";

fn environment() -> OrderEnvironment {
    let pairs = [("B", "hunter2"), ("A", "hunter3"), ("CMDS", "[\"true\"]")];
    OrderEnvironment {
        variables: pairs.map(|(name, value)| (name.to_owned(), Secret::new(value))).into(),
        credential_names: ["B".to_owned()].into(),
    }
}

fn packed(code: Option<&Path>) -> Vec<u8> {
    write(Cursor::new(Vec::new()), &environment(), RECIPIENT, code).unwrap().into_inner()
}

#[test]
fn environment_names_and_code_come_out_as_they_went_in() {
    let code = tempfile::tempdir().unwrap();
    fs::create_dir_all(code.path().join("modules/empty")).unwrap();
    fs::write(code.path().join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(code.path().join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(code.path().join("modules/secrets.src"), "below the top any name is good").unwrap();
    symlink("../run.sh", code.path().join("modules/link")).unwrap();
    let bytes = packed(Some(code.path()));
    let mut archive = ZipArchive::new(Cursor::new(&bytes)).unwrap();
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    let expected = [SECRETS, NAMES, CREDENTIAL_NAMES, "modules/", "modules/empty/", "modules/link", "modules/secrets.src", "run.sh"];
    assert_eq!(names, expected);
    let mut text = String::new();
    archive.by_name(NAMES).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "A\nB\nCMDS\n");

    let mut bundle = Bundle::open(Cursor::new(&bytes)).unwrap();
    let identities = Identities::parse(&Secret::new(IDENTITY)).unwrap();
    assert_eq!(bundle.environment(&identities).unwrap(), environment().variables);
    assert_eq!(bundle.names().unwrap(), environment().variables.keys().cloned().collect());
    assert_eq!(bundle.credential_names().unwrap(), environment().credential_names);
    let out = tempfile::tempdir().unwrap();
    bundle.extract_code(out.path(), 1000).unwrap();
    assert_eq!(fs::read(out.path().join("modules/link")).unwrap(), b"#!/bin/sh\n");
    assert_eq!(fs::metadata(out.path().join("run.sh")).unwrap().permissions().mode() & 0o111, 0o111);
    assert!(out.path().join("modules/empty").is_dir() && !out.path().join(SECRETS).exists());
    let small = tempfile::tempdir().unwrap();
    assert!(matches!(bundle.extract_code(small.path(), 20), Err(BundleError::TooLarge(20, _))));
}

#[test]
fn code_that_cannot_be_packed_is_named() {
    let code = tempfile::tempdir().unwrap();
    fs::write(code.path().join(NAMES), "").unwrap();
    let pack = || write(Cursor::new(Vec::new()), &environment(), RECIPIENT, Some(code.path())).map(|_| ());
    assert!(matches!(pack(), Err(BundleError::Reserved(name)) if name == NAMES));
    fs::remove_file(code.path().join(NAMES)).unwrap();
    nix::unistd::mkfifo(&code.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(pack(), Err(BundleError::Kind(name)) if name == "pipe"));
}

enum Entry {
    File(&'static str),
    Link(&'static str, &'static str),
}

/// A bundle that somebody made by hand.
fn forged(entries: &[Entry]) -> Bundle<Cursor<Vec<u8>>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        match entry {
            Entry::File(name) => {
                zip.start_file(*name, SimpleFileOptions::default()).unwrap();
                zip.write_all(b"forged").unwrap();
            }
            Entry::Link(name, target) => zip.add_symlink(*name, *target, SimpleFileOptions::default()).unwrap(),
        }
    }
    Bundle::open(zip.finish().unwrap()).unwrap()
}

#[test]
fn nothing_leads_out_of_the_folder() {
    for entries in [
        &[Entry::File("../out")][..],
        &[Entry::File("a/../../out")],
        &[Entry::File("/tmp/out")],
        &[Entry::File("a\\..\\out")],
        &[Entry::File("a//out")],
        &[Entry::Link("l", "/etc/passwd")],
        &[Entry::Link("l", "..")],
        &[Entry::Link("d/l", "../../out")],
        &[Entry::Link("l", "a/../..")],
        &[Entry::Link("top", "."), Entry::Link("a/b/up", "../.."), Entry::Link("a/b/up/x/y", "../../out")],
        &[Entry::Link("d", "real"), Entry::File("real/x"), Entry::Link("d/l", "../out")],
    ] {
        let around = tempfile::tempdir().unwrap();
        fs::write(around.path().join("out"), "untouched").unwrap();
        let folder = around.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let error = forged(entries).extract_code(&folder, 1000).unwrap_err();
        assert!(matches!(error, BundleError::Entry(_)), "{error}");
        assert_eq!(fs::read(around.path().join("out")).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 2);
    }
    // A file is never written through a link, whichever came first.
    let around = tempfile::tempdir().unwrap();
    let mut through = forged(&[Entry::Link("d", "e"), Entry::File("d/x")]);
    assert!(through.extract_code(around.path(), 1000).is_err());
    assert!(!around.path().join("e").exists());
    let mut missing = forged(&[Entry::File("x")]);
    assert!(matches!(missing.names(), Err(BundleError::Missing(NAMES))));
}
