//! What a service is made of at a commit, for the executors that deploy by themselves: its compose file, the files that belong
//! to it, its variables, and what identifies all of that.

use super::{
    digests::{Digests, listed},
    environment::{self, Variables},
};
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
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Largest compose file and Dockerfile, in bytes.
const MAX_TEXT_BYTES: u64 = 1 << 20;

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
    let mut digests = Digests::of(&root);
    let mut digested = |paths: &[RepoPath]| {
        let artifacts: Result<Vec<_>, _> = paths.iter().map(|path| digests.artifact(path)).collect();
        artifacts.map_err(|error| bad(&error.to_string()))
    };
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
#[path = "made_tests.rs"]
mod tests;
