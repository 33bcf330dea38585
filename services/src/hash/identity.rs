//! Computes identities: the two old ones as the replaced service did, to the byte, and our own.
//!
//! The old ones join texts by line breaks, so two different services may have the same one, and keep 48 bits. Ours puts the
//! length before every field and keeps the whole digest.

use super::{VARIABLE, gate::Scheme};
use proto::path::RepoPath;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Hexadecimal digits of an old hash.
pub(super) const LEGACY_DIGITS: usize = 12;
/// Keeps digests of this kind apart from every other digest.
const DOMAIN: &str = "navvy service identity v2";

/// A file that a service is made of, and its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Artifact {
    /// Relative to the root of the repository.
    pub path: RepoPath,
    /// Of its content; of a link, of what it leads to.
    pub digest: [u8; 32],
    /// Whether it, or what it leads to, may be run. The old hashes do not know of it.
    pub executable: bool,
    /// Where a symbolic link leads, as it says itself. `None`: it is none. The old hashes do not know of it.
    pub link: Option<Vec<u8>>,
}

/// What a service is, as far as it can be told without deploying it.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// The compose file as it stands in the repository.
    pub compose: &'a str,
    /// Variables of the service without secrets. Empty values and [`VARIABLE`] count as not there.
    pub env: &'a BTreeMap<String, String>,
    /// What the service is built from: [`crate::artifacts::Artifacts::built`].
    pub built: &'a [Artifact],
    /// What it reads besides: [`crate::artifacts::Artifacts::read`]. The old hashes do not know of these.
    pub read: &'a [Artifact],
    /// Files that the dependency manifest or the mapping name.
    pub dependencies: &'a [Artifact],
    /// Numbers of the versions of the secrets, by their path. Values are no part of it: a digest of a weak secret would tell it.
    pub secret_versions: &'a BTreeMap<String, u64>,
}

/// A service's identity under each scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes {
    /// Compose text and variables: 12 digits.
    pub v0: String,
    /// Besides, digests of build files: 12 digits.
    pub v1: String,
    /// Ours: `v2:` and 64 digits. The one that is written.
    pub v2: String,
}

impl Hashes {
    /// The one of a scheme, as it is stored.
    pub fn by(&self, scheme: Scheme) -> &str {
        match scheme {
            Scheme::V0 => &self.v0,
            Scheme::V1 => &self.v1,
            Scheme::V2 => &self.v2,
        }
    }
}

/// Computes all of them. The order of `built`, `read` and `dependencies` does not matter.
pub fn hashes(identity: &Identity<'_>) -> Hashes {
    let env: Vec<(&str, &str)> = identity
        .env
        .iter()
        .filter(|(name, value)| !value.is_empty() && name.as_str() != VARIABLE)
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let lines: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let config = format!("{}\n---ENV---\n{}", identity.compose, lines.join("\n"));
    let artifacts = [lines_of("", identity.built), lines_of("dep:", identity.dependencies)].concat();
    let with_artifacts = format!("{config}\n---ARTIFACTS---\n{}", artifacts.join("\n"));
    Hashes { v0: legacy(&config), v1: legacy(&with_artifacts), v2: full(identity, &env) }
}

fn legacy(text: &str) -> String {
    let mut digits = hex::encode(Sha256::digest(text));
    digits.truncate(LEGACY_DIGITS);
    digits
}

fn lines_of(prefix: &str, artifacts: &[Artifact]) -> Vec<String> {
    sorted(artifacts).into_iter().map(|artifact| format!("{prefix}{}:{}", artifact.path, hex::encode(artifact.digest))).collect()
}

/// Each once, by path.
fn sorted(artifacts: &[Artifact]) -> Vec<&Artifact> {
    let mut sorted: Vec<&Artifact> = artifacts.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

fn full(identity: &Identity<'_>, env: &[(&str, &str)]) -> String {
    let mut fields = Fields(Sha256::new());
    fields.field(DOMAIN.as_bytes());
    fields.field(identity.compose.as_bytes());
    fields.count(env.len());
    for (name, value) in env {
        fields.field(name.as_bytes());
        fields.field(value.as_bytes());
    }
    for artifacts in [identity.built, identity.read, identity.dependencies] {
        let artifacts = sorted(artifacts);
        fields.count(artifacts.len());
        for artifact in artifacts {
            fields.field(artifact.path.as_str().as_bytes());
            // One field, so that a link and what stands beside it have no twins; of a plain file nothing but the digest. No link
            // leads to a name with a zero in it.
            let run = if artifact.executable { b"\0x".as_slice() } else { b"" };
            fields.field(&[&artifact.digest, artifact.link.as_deref().unwrap_or_default(), run].concat());
        }
    }
    fields.count(identity.secret_versions.len());
    for (path, version) in identity.secret_versions {
        fields.field(path.as_bytes());
        fields.field(&version.to_be_bytes());
    }
    format!("v2:{}", hex::encode(fields.0.finalize()))
}

/// Digests fields with their lengths, so that no two lists of fields are the same bytes.
struct Fields(Sha256);

impl Fields {
    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    fn field(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMPOSE: &str = "services:\n  redis:\n    image: redis:7\n";

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn golden_env() -> BTreeMap<String, String> {
        env(&[
            ("ENV", "staging"),
            ("ENV_DOMAIN_SUFFIX", "-staging"),
            ("ENV_SUFFIX", "-staging"),
            ("INTERNAL_DOMAIN", "example.com"),
            ("DATA_PATH", "/data/platform/redis-staging"),
            ("VAULT_ADDR", "https://vault.example.com"),
            ("EMPTY", ""),
        ])
    }

    fn artifact(path: &str, byte: u8) -> Artifact {
        Artifact { path: path.parse().unwrap(), digest: [byte; 32], executable: false, link: None }
    }

    fn link(path: &str, to: &str) -> Artifact {
        Artifact { link: Some(to.as_bytes().to_vec()), ..artifact(path, 1) }
    }

    fn of(compose: &str, env: &BTreeMap<String, String>, lists: [&[Artifact]; 3], secrets: &[(&str, u64)]) -> Hashes {
        let secret_versions = secrets.iter().map(|(path, version)| ((*path).to_owned(), *version)).collect();
        let [built, read, dependencies] = lists;
        hashes(&Identity { compose, env, built, read, dependencies, secret_versions: &secret_versions })
    }

    #[test]
    fn the_old_hashes_are_the_ones_that_are_deployed() {
        let hashes = of(COMPOSE, &golden_env(), [&[], &[], &[]], &[]);
        assert_eq!((hashes.v0.as_str(), hashes.v1.as_str()), ("43e65c10865d", "564d81fed17c"));
        let mut with_own = golden_env();
        with_own.insert(VARIABLE.to_owned(), hashes.v2.clone());
        assert_eq!(of(COMPOSE, &with_own, [&[], &[], &[]], &[]), hashes, "the hash is no part of itself");
    }

    #[test]
    fn old_artifact_lines_are_labelled_and_sorted() {
        let built = [artifact("b/Dockerfile", 2), artifact("a.sh", 1)];
        let text = format!(
            "{COMPOSE}\n---ENV---\nA=1\n---ARTIFACTS---\na.sh:{}\nb/Dockerfile:{}\ndep:libs/x.py:{}",
            "01".repeat(32),
            "02".repeat(32),
            "03".repeat(32)
        );
        let hashes = of(COMPOSE, &env(&[("A", "1")]), [&built, &[artifact("e.env", 9)], &[artifact("libs/x.py", 3)]], &[]);
        assert_eq!(hashes.v1, legacy(&text));
    }

    #[test]
    fn a_link_and_what_may_be_run_change_ours_and_no_old_one() {
        let of = |artifact: Artifact| of(COMPOSE, &env(&[]), [&[artifact], &[], &[]], &[]);
        let plain = of(artifact("a", 1));
        let run = |artifact: Artifact| Artifact { executable: true, ..artifact };
        let others = [of(link("a", "b")), of(run(artifact("a", 1))), of(run(link("a", "b")))];
        assert!(others.iter().all(|other| (&plain.v0, &plain.v1) == (&other.v0, &other.v1)));
        let ours: std::collections::BTreeSet<_> = others.iter().chain([&plain]).map(|hashes| &hashes.v2).collect();
        assert_eq!(ours.len(), 4);
    }

    #[test]
    fn ours_changes_with_everything_that_is_deployed_and_has_no_twins() {
        let (one, two) = (artifact("a", 1), artifact("b", 1));
        let a = std::slice::from_ref(&one);
        let all: Vec<String> = [
            of(COMPOSE, &env(&[]), [&[], &[], &[]], &[]),
            of(COMPOSE, &env(&[("A", "1")]), [&[], &[], &[]], &[]),
            of(COMPOSE, &env(&[("A", "1\nB=2")]), [&[], &[], &[]], &[]),
            of(COMPOSE, &env(&[("A", "1"), ("B", "2")]), [&[], &[], &[]], &[]),
            of(&format!("{COMPOSE}\n---ENV---\nA=1"), &env(&[]), [&[], &[], &[]], &[]),
            of(COMPOSE, &env(&[]), [a, &[], &[]], &[]),
            of(COMPOSE, &env(&[]), [&[], a, &[]], &[]),
            of(COMPOSE, &env(&[]), [&[], &[], a], &[]),
            of(COMPOSE, &env(&[]), [&[two], &[], &[]], &[]),
            of(COMPOSE, &env(&[]), [&[artifact("a", 2)], &[], &[]], &[]),
            of(COMPOSE, &env(&[]), [&[link("a", "b")], &[], &[]], &[]),
            of(COMPOSE, &env(&[]), [&[link("a", "c")], &[], &[]], &[]),
            of(COMPOSE, &env(&[]), [&[], &[], &[]], &[("p/redis", 1)]),
            of(COMPOSE, &env(&[]), [&[], &[], &[]], &[("p/redis", 2)]),
        ]
        .into_iter()
        .map(|hashes| hashes.v2)
        .collect();
        let different: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert!(all.iter().all(|hash| hash.len() == 67 && hash.starts_with("v2:")));
    }

    proptest! {
        /// The weakness of the old scheme: moving a border between fields. Ours tells all of them apart.
        #[test]
        fn borders_between_fields_count(
            one in prop::collection::btree_map("[AB=\n]{1,3}", "[AB=\n]{1,4}", 0..3),
            two in prop::collection::btree_map("[AB=\n]{1,3}", "[AB=\n]{1,4}", 0..3),
            compose in prop::sample::select(vec!["", "x", "x\n---ENV---\n", "\n---ENV---\nA=B"]),
            other in prop::sample::select(vec!["", "x", "x\n---ENV---\n", "\n---ENV---\nA=B"]),
        ) {
            let same = one == two && compose == other;
            let first = of(compose, &one, [&[], &[], &[]], &[]).v2;
            prop_assert_eq!(first == of(other, &two, [&[], &[], &[]], &[]).v2, same);
        }

        #[test]
        fn the_order_of_files_does_not_count(mut files in prop::collection::vec(("[a-c]{1,2}", 0_u8..3), 0..6), turn in 0_usize..6) {
            let list = |files: &[(String, u8)]| files.iter().map(|(path, byte)| artifact(path, *byte)).collect::<Vec<_>>();
            let before = of("", &env(&[]), [&list(&files), &list(&files), &list(&files)], &[]);
            let turn = turn.min(files.len());
            files.rotate_left(turn);
            prop_assert_eq!(of("", &env(&[]), [&list(&files), &list(&files), &list(&files)], &[]), before);
        }
    }
}
