//! The real `sops` opens what we write, and we open what it writes. `scripts/ensure-tools.sh` fetches the program.

use credentials::merge::OrderEnvironment;
use credentials::{bundle, sops};
use proto::Secret;
use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const IDENTITY: &str = include_str!("golden/identity.txt");
const RECIPIENT: &str = "age1td0s8cnnhvw35jhs8puztxxcw862f0xqgfffa5vmpef2z3xgh5usqf8npp";

/// Ours, if it was fetched, else that of the system.
fn program() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/sops");
    if fetched.exists() { fetched } else { "sops".into() }
}

/// Runs a verb of sops on a document.
fn run(verb: &[&str], document: &[u8]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("keys.txt"), IDENTITY).expect("written");
    std::fs::write(folder.path().join("document.json"), document).expect("written");
    Command::new(program())
        .args(verb)
        .args(["--input-type", "json", "--output-type", "json", "document.json"])
        .env("SOPS_AGE_KEY_FILE", folder.path().join("keys.txt"))
        .env("SOPS_DISABLE_VERSION_CHECK", "true")
        .env("HOME", folder.path())
        .current_dir(folder.path())
        .output()
        .expect("sops runs; scripts/ensure-tools.sh fetches it")
}

fn environment() -> BTreeMap<String, Secret> {
    let pairs = [
        ("A", "plain"),
        ("B_unencrypted", "encrypted all the same"),
        ("CMDS", r#"["echo \"x\"","true"]"#),
        ("EMPTY", ""),
        ("LINES", "-----BEGIN KEY-----\nü\t\u{1}\n-----END KEY-----\n"),
        ("NUMBER", "007"),
        ("zone", "after all capitals"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), Secret::new(value))).into()
}

#[test]
fn the_program_opens_the_environment_in_our_bundle() {
    let order = OrderEnvironment { variables: environment(), credential_names: ["A".to_owned()].into() };
    let bytes = bundle::write(Cursor::new(Vec::new()), &order, RECIPIENT, None).unwrap();
    let mut document = Vec::new();
    zip::ZipArchive::new(bytes).unwrap().by_name("secrets.enc.json").unwrap().read_to_end(&mut document).unwrap();
    assert!(!String::from_utf8_lossy(&document).contains("encrypted all the same"));
    let opened = run(&["decrypt"], &document);
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    assert_eq!(serde_json::from_slice::<BTreeMap<String, Secret>>(&opened.stdout).unwrap(), environment());
}

#[test]
fn the_program_finds_that_our_document_was_changed() {
    let document = sops::encrypt(&environment(), RECIPIENT).unwrap();
    let mut changed: serde_json::Value = serde_json::from_str(&document).unwrap();
    changed.as_object_mut().unwrap().remove("A");
    let opened = run(&["decrypt"], changed.to_string().as_bytes());
    assert!(!opened.status.success() && String::from_utf8_lossy(&opened.stderr).contains("MAC mismatch"));
}

#[test]
fn we_open_what_the_program_encrypts() {
    let plain = serde_json::to_vec(&environment()).unwrap();
    let made = run(&["encrypt", "--age", RECIPIENT], &plain);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let identities = sops::Identities::parse(&Secret::new(IDENTITY)).unwrap();
    assert_eq!(sops::decrypt(&made.stdout, &identities).unwrap(), environment());
}
