//! What a run of syncs was asked to do, and what one of its jobs is to do.

use super::{Environment, ReleaseOrder, Selected, ServiceId};
use crate::{
    RunId,
    git::{CommitId, GitRef, GitUrl},
    ids::SourceId,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What a run of syncs was asked to do, without secrets. Its jobs are not known before the repository has been looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSpec {
    pub source: SourceId,
    pub git_url: GitUrl,
    pub environment: Environment,
    /// A branch (`refs/heads/main`), a tag (`refs/tags/v1.2.4`), a commit, or what a person wrote.
    pub git_ref: GitRef,
    pub wanted: SyncWanted,
    /// Deploy even what has not changed.
    #[serde(default)]
    pub force: bool,
    /// The command of the executor `command`, one element an argument; `{task}`, `{service}`, `{project}`, `{env}` and `{ref}`
    /// are replaced in each.
    pub command: Vec<String>,
    /// Budget of one service's sync in seconds.
    pub timeout_s: u32,
    /// Projects whose services are managed; the others' are skipped.
    pub projects: Vec<String>,
    /// Who or what caused it, in the asker's own words; proves nothing.
    pub triggered_by: String,
    /// The webhook delivery that brought it.
    #[serde(default)]
    pub delivery: Option<String>,
    /// The id that `/deploy` answers for it; see [`deployment_id`].
    #[serde(default)]
    pub deployment_id: Option<String>,
    /// The release that is made before anything is deployed.
    #[serde(default)]
    pub release: Option<ReleaseOrder>,
    /// Which kind of git credentials the sealed bundle holds, for the record.
    #[serde(default)]
    pub git_auth: Option<String>,
}

/// Which services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "services", rename_all = "snake_case")]
pub enum SyncWanted {
    /// Those that a push touched.
    Changed(Push),
    /// These.
    Named { names: Vec<ServiceId> },
    /// Every managed one.
    All,
}

/// A push to a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// Where the branch was; absent: it is new.
    #[serde(default)]
    pub before: Option<CommitId>,
    /// Where it was put.
    pub after: CommitId,
    #[serde(default)]
    pub forced: bool,
    /// Changed files as the forge lists them; capped by forges, so only used where git cannot compare.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Whether `files` is known to be all of them.
    #[serde(default)]
    pub files_complete: bool,
}

/// What one sync job is to do: everything its worker needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSync {
    pub run: RunId,
    pub source: SourceId,
    pub git_url: GitUrl,
    /// What was asked for, for display and for servers that give no commit by its id.
    pub git_ref: GitRef,
    pub commit: CommitId,
    /// Whether `git_ref` is followed: a service that has a newer commit of it already is left alone.
    pub follows_branch: bool,
    /// Whether somebody named the service.
    #[serde(default)]
    pub named: bool,
    /// The release that is being deployed.
    #[serde(default)]
    pub tag: Option<String>,
    pub environment: Environment,
    pub service: Selected,
    pub command: Vec<String>,
    pub timeout_s: u32,
    pub force: bool,
    pub triggered_by: String,
}

/// The id under which the same deployment is found again, as the replaced service made it: 16 hexadecimal digits of a digest
/// over environment, reference and services (sorted, each once; `None`: all).
pub fn deployment_id(environment: &Environment, reference: &str, services: Option<&[ServiceId]>) -> String {
    let names = services.map_or_else(
        || "__all__".to_owned(),
        |services| {
            let mut names: Vec<String> = services.iter().map(ToString::to_string).collect();
            names.sort_unstable();
            names.dedup();
            names.join(",")
        },
    );
    let digest = Sha256::digest(format!("{environment}:{reference}:{names}"));
    hex::encode(&digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_id_is_the_one_that_its_clients_compute() {
        let staging: Environment = "staging".parse().unwrap();
        assert_eq!(deployment_id(&staging, &"a".repeat(40), None), "d070dfda47757e1e");
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<ServiceId>>();
        let one = deployment_id(&staging, "v1", Some(&names(&["p/a", "p/b"])));
        assert_eq!(one, deployment_id(&staging, "v1", Some(&names(&["p/b", "p/a", "p/a"]))));
        assert_ne!(one, deployment_id(&staging, "v1", None));
    }
}
