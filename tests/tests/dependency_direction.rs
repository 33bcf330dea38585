//! Who may use whom. The direction is the architecture; a new arrow is a decision, not an accident.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Our crates, and which of our crates each may name, in any kind of dependency.
const ALLOWED: &[(&str, &[&str])] = &[
    ("failpoint", &[]),
    ("proto", &[]),
    ("domain", &["proto"]),
    ("bus", &["proto", "failpoint"]),
    ("service", &[]),
    ("credentials", &["proto"]),
    ("services", &["proto"]),
    ("gateway", &["proto", "domain", "bus", "service", "services", "failpoint"]),
    ("scheduler", &["proto", "domain", "bus", "service", "failpoint"]),
    ("worker", &["proto", "bus", "service", "services", "credentials", "failpoint"]),
    ("navvy", &["proto", "domain", "bus", "service", "services", "credentials", "gateway", "scheduler", "worker", "failpoint"]),
    ("system-tests", &["proto", "bus"]),
    ("model", &["proto", "domain"]),
    ("simulation", &["proto", "domain"]),
    // It builds the program once more, and looks at what it does from outside.
    ("crash-tests", &["navvy", "system-tests", "bus", "proto"]),
];

/// What the deciding crate must not be able to name: clocks, I/O, chance, async.
const NOT_IN_DOMAIN: &[&str] = &["tokio", "async-nats", "reqwest", "rand", "uuid", "futures-util", "axum"];

fn direct_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(system_tests::root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    packages.iter().map(|p| (name(p), p["dependencies"].as_array().expect("dependencies").iter().map(name).collect())).collect()
}

#[test]
fn dependencies_point_where_the_architecture_says() {
    let found = direct_dependencies();
    let ours: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, known, "a new crate needs a line in this test and in ARCHITECTURE.md");
    for (name, allowed) in ALLOWED {
        let used: BTreeSet<&str> = found[*name].iter().map(String::as_str).filter(|dependency| ours.contains(dependency)).collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert!(used.is_subset(&allowed), "{name} uses {:?}", used.difference(&allowed).collect::<Vec<_>>());
    }
}

#[test]
fn the_deciding_crate_cannot_name_a_clock_or_a_socket() {
    let used = &direct_dependencies()["domain"];
    for forbidden in NOT_IN_DOMAIN {
        assert!(!used.contains(*forbidden), "domain depends on {forbidden}");
    }
}
