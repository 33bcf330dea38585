//! What a service is made of at a commit, for the executors that deploy by themselves: its compose file, the files that belong
//! to it, its variables, and what identifies all of that.

use super::environment::{self, Variables};
use crate::confine::{Refused, Root};
use proto::{
    Secret,
    message::Failure,
    path::RepoPath,
    sync::{DataFolder, EnsuredSecret, Native, ServiceSync},
};
use services::{
    artifacts,
    hash::{Artifact, Hashes, Identity, hashes},
    placeholder::{Place, Values, fill},
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

/// Largest compose file and Dockerfile, in bytes.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Largest other file that counts, in bytes: as large as a checkout takes.
const MAX_FILE_BYTES: u64 = 100 << 20;

/// A service at a commit.
#[derive(Debug, Clone)]
pub struct Made {
    /// The compose file as it stands in the repository.
    pub compose: String,
    /// Where it stands, relative to the root of the repository.
    pub compose_path: RepoPath,
    /// Variables of the service, without secrets.
    pub env: BTreeMap<String, String>,
    /// Filled in.
    pub data: Option<DataFolder>,
    /// Its path filled in.
    pub secret: Option<EnsuredSecret>,
    /// Files of the repository that the service needs besides its compose file.
    pub files: Vec<RepoPath>,
    /// Worth knowing.
    pub notes: Vec<String>,
    built: Vec<Artifact>,
    read: Vec<Artifact>,
    dependencies: Vec<Artifact>,
}

impl Made {
    /// What identifies the service, with the versions of its secrets by their path.
    pub fn hashes(&self, secret_versions: &BTreeMap<String, u64>) -> Hashes {
        hashes(&Identity {
            compose: &self.compose,
            env: &self.env,
            built: &self.built,
            read: &self.read,
            dependencies: &self.dependencies,
            secret_versions,
        })
    }
}

/// Names that a service's variables may not have: the executor says these itself.
fn is_ours(name: &str) -> bool {
    name == services::hash::VARIABLE || name == "IAC_DEPLOY_REF" || name.starts_with("NAVVY_")
}

/// Reads a service out of a checkout. Blocking.
///
/// # Errors
/// A failure of the kind `service` that names what is wrong in the repository.
pub fn read(checkout: &Path, sync: &ServiceSync, native: &Native, variables: &Variables) -> Result<Made, Failure> {
    let fill = |text: &str| filled(text, sync, variables);
    let root = Root::new(checkout).map_err(|error| refused(&error))?;
    let compose_path = below(&sync.service.dir, &native.file)?;
    let compose = text(&root, &compose_path)?;
    let inputs = artifacts::of_compose(&compose_path, &compose).map_err(|problems| bad(&problems.to_string()))?;
    let mut dockerfiles = BTreeMap::new();
    for path in inputs.dockerfiles() {
        // One that is not there is docker's to complain about; then everything below its context counts.
        if let Ok(content) = text(&root, path) {
            dockerfiles.insert(path.clone(), content);
        }
    }
    let paths = listed(checkout).map_err(|error| bad(&format!("the checkout cannot be listed: {error}")))?;
    let all = || paths.iter().map(String::as_str);
    let found = inputs.artifacts(&dockerfiles, all()).map_err(|error| bad(&error.to_string()))?;
    let dependencies = artifacts::dependencies(&sync.service.depends_on, all()).map_err(|error| bad(&error.to_string()))?;
    let data = native.data.as_ref().map(|data| data_folder(data, &fill)).transpose()?;
    let secret = native.secret.as_ref().map(|secret| ensured(secret, &fill)).transpose()?;
    let digested = |paths: &[RepoPath]| paths.iter().map(|path| digest(checkout, &root, path)).collect::<Result<Vec<_>, _>>();
    let files: BTreeSet<&RepoPath> = found.built.iter().chain(&found.read).collect();
    Ok(Made {
        env: env(sync, native, variables, data.as_ref(), &fill)?,
        built: digested(&found.built)?,
        read: digested(&found.read)?,
        dependencies: digested(&dependencies)?,
        files: files.into_iter().cloned().collect(),
        notes: found.notes,
        compose,
        compose_path,
        data,
        secret,
    })
}

/// A text of the mapping with its placeholders filled in.
pub(super) fn filled(text: &str, sync: &ServiceSync, variables: &Variables) -> Result<String, Failure> {
    let values = Values {
        environment: &sync.environment,
        service: &sync.service.service,
        task: &sync.service.task,
        reference: sync.commit.as_str(),
        domain: variables.get(environment::INTERNAL_DOMAIN).map(Secret::expose),
    };
    fill(text, Place::Value, &values).map_err(|error| bad(&error.to_string()))
}

type Fill<'a> = &'a dyn Fn(&str) -> Result<String, Failure>;

fn env(
    sync: &ServiceSync,
    native: &Native,
    variables: &Variables,
    data: Option<&DataFolder>,
    fill: Fill<'_>,
) -> Result<BTreeMap<String, String>, Failure> {
    let values = Values {
        environment: &sync.environment,
        service: &sync.service.service,
        task: &sync.service.task,
        reference: sync.commit.as_str(),
        domain: variables.get(environment::INTERNAL_DOMAIN).map(Secret::expose),
    };
    let vault = variables.get(environment::VAULT_ADDR).map(Secret::expose);
    let mut all = services::environment::service_environment(&values, data.map(|data| data.path.as_str()), vault);
    for (name, value) in &native.env {
        if is_ours(name) {
            return Err(bad(&format!("the mapping sets `{name}`, which Navvy sets itself")));
        }
        let value = fill(value)?;
        if value.chars().any(char::is_control) {
            return Err(bad(&format!("the value of `{name}` holds a line break or another control character")));
        }
        all.insert(name.clone(), value);
    }
    Ok(all)
}

fn data_folder(data: &DataFolder, fill: Fill<'_>) -> Result<DataFolder, Failure> {
    let path = fill(&data.path)?;
    let good = path.starts_with('/')
        && !path.trim_matches('/').is_empty()
        && !path.split('/').any(|part| part == "..")
        && !path.chars().any(char::is_control);
    if good {
        Ok(DataFolder { path, ..data.clone() })
    } else {
        Err(bad("the data folder is no absolute path below `/`, or has `..` in it"))
    }
}

fn ensured(secret: &EnsuredSecret, fill: Fill<'_>) -> Result<EnsuredSecret, Failure> {
    Ok(EnsuredSecret { path: fill(&secret.path)?, keys: secret.keys.clone() })
}

fn below(dir: &RepoPath, file: &RepoPath) -> Result<RepoPath, Failure> {
    format!("{dir}/{file}").parse().map_err(|error: proto::path::BadPath| bad(&error.to_string()))
}

fn text(root: &Root, path: &RepoPath) -> Result<String, Failure> {
    let content = root.regular_file(path.as_str(), MAX_TEXT_BYTES).and_then(crate::confine::RegularFile::read);
    String::from_utf8(content.map_err(|error| refused(&error))?).map_err(|_| bad(&format!("`{path}` is not UTF-8")))
}

/// A link counts as where it leads to: what lies there counts by itself, if it belongs to the service.
fn digest(checkout: &Path, root: &Root, path: &RepoPath) -> Result<Artifact, Failure> {
    let place = checkout.join(path.as_str());
    let unreadable = |error: io::Error| bad(&format!("`{path}` cannot be read: {error}"));
    let digest = if place.symlink_metadata().map_err(unreadable)?.is_symlink() {
        let target = place.read_link().map_err(unreadable)?;
        Sha256::digest(format!("link to {}", target.display()))
    } else {
        let content = root.regular_file(path.as_str(), MAX_FILE_BYTES).and_then(crate::confine::RegularFile::read);
        Sha256::digest(content.map_err(|error| refused(&error))?)
    };
    Ok(Artifact { path: path.clone(), digest: digest.into() })
}

/// All files and links of a checkout, relative to it. Links are not followed.
fn listed(checkout: &Path) -> io::Result<Vec<String>> {
    let mut open = vec![(checkout.to_owned(), String::new())];
    let mut files = Vec::new();
    while let Some((dir, prefix)) = open.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            // A name that is not UTF-8 cannot be named by a compose file either.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                open.push((entry.path(), format!("{path}/")));
            } else {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn refused(error: &Refused) -> Failure {
    bad(&error.to_string())
}

fn bad(why: &str) -> Failure {
    Failure {
        kind: "service".to_owned(),
        phase: super::PHASE.to_owned(),
        message: format!("the service cannot be read at this commit: {why}; nothing was touched"),
        next_action: "Correct the service's files or its mapping in the repository.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::command::tests::sync;
    use proto::sync::Executor;

    const COMPOSE: &str = "services:\n  redis:\n    image: redis:7\n";

    fn native(text: &str) -> Native {
        serde_json::from_str(text).unwrap()
    }

    fn variables() -> Variables {
        let settings = service::settings::WorkerSync {
            internal_domain: Some("example.com".to_owned()),
            vault_addr: Some("https://vault.example.com".to_owned()),
            ..service::settings::WorkerSync::default()
        };
        Variables::new([], BTreeMap::new(), &settings)
    }

    /// A checkout with these files, as the service `platform/redis`.
    fn made(files: &[(&str, &str)], depends_on: &[&str], text: &str) -> Result<Made, String> {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let mut sync = sync(Executor::Command);
        sync.service.service = "platform/redis".parse().unwrap();
        sync.service.dir = "platform/02.redis".parse().unwrap();
        sync.service.depends_on = depends_on.iter().map(|glob| (*glob).to_owned()).collect();
        read(dir.path(), &sync, &native(text), &variables()).map_err(|failure| failure.message)
    }

    #[test]
    fn a_service_that_sets_nothing_has_the_hash_it_had() {
        let made = made(&[("platform/02.redis/compose.yaml", COMPOSE)], &[], r#"{"file":"compose.yaml"}"#).unwrap();
        let hashes = made.hashes(&BTreeMap::new());
        assert_eq!((hashes.v0.as_str(), hashes.v1.as_str()), ("43e65c10865d", "564d81fed17c"));
        assert!(made.files.is_empty() && made.data.is_none());
    }

    #[test]
    fn files_of_the_service_and_versions_of_its_secrets_count() {
        let compose = "services:\n  redis:\n    image: redis:7\n    volumes: ['./conf:/conf']\n    env_file: ['.defaults']\n";
        let of = |conf: &str, lib: &str| {
            let files = [
                ("platform/02.redis/compose.yaml", compose),
                ("platform/02.redis/conf/a.conf", conf),
                ("platform/02.redis/.defaults", "A=1\n"),
                ("libs/x.py", lib),
                ("other", "x"),
            ];
            made(&files, &["libs/**"], r#"{"file":"compose.yaml"}"#).unwrap()
        };
        let one = of("a", "l");
        let names: Vec<&str> = one.files.iter().map(RepoPath::as_str).collect();
        assert_eq!(names, ["platform/02.redis/.defaults", "platform/02.redis/conf/a.conf"]);
        let hash = |made: &Made, version: u64| made.hashes(&BTreeMap::from([("p".to_owned(), version)])).v2;
        let all = [hash(&one, 1), hash(&one, 2), hash(&of("b", "l"), 1), hash(&of("a", "m"), 1)];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn placeholders_are_filled_in_everywhere_and_names_of_ours_refused() {
        let files = [("platform/02.redis/compose.yaml", COMPOSE)];
        let made_of = |text: &str| made(&files, &[], text);
        let made = made_of(
            r#"{"file":"compose.yaml","env":{"HOST":"{service}{suffix}.{domain}"},
                "data":{"path":"/data/{project}/{service}{suffix}","uid":999,"gid":999,"mode":"755"},
                "secret":{"path":"{project}/{env}/{service}","keys":["PASSWORD"]}}"#,
        )
        .unwrap();
        assert_eq!(
            (made.env["HOST"].as_str(), made.env["DATA_PATH"].as_str()),
            ("redis-staging.example.com", "/data/platform/redis-staging")
        );
        assert_eq!(made.data.unwrap().path, "/data/platform/redis-staging");
        assert_eq!(made.secret.unwrap().path, "platform/staging/redis");
        for (text, why) in [
            (r#"{"file":"compose.yaml","env":{"IAC_CONFIG_HASH":"x"}}"#, "`IAC_CONFIG_HASH`, which Navvy sets itself"),
            (r#"{"file":"compose.yaml","env":{"A":"{task}"}}"#, "{task}"),
            (r#"{"file":"compose.yaml","env":{"A":"a\nb"}}"#, "`A` holds a line break"),
            (r#"{"file":"compose.yaml","data":{"path":"data","uid":1,"gid":1,"mode":"755"}}"#, "no absolute path"),
            (r#"{"file":"compose.yaml","data":{"path":"/data/../etc","uid":1,"gid":1,"mode":"755"}}"#, "no absolute path"),
            (r#"{"file":"other.yaml"}"#, "does not exist"),
        ] {
            let found = made_of(text).expect_err(why);
            assert!(found.contains(why), "{text}: {found}");
        }
    }
}
