//! The request of `POST /deploy` as the API's document describes it.
//!
//! A mirror of [`domain::terraform::DeployRequest`], which knows nothing of documents; a test holds the two together.

use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A deployment to start.
#[derive(Debug, ToSchema)]
#[schema(as = DeployRequest)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct DeploySchema {
    /// `terraform` or `tofu`.
    tool: String,
    /// `https://`, `http://` or `ssh` address on an allowed host, without credentials in it.
    git_url: String,
    /// Branch, tag, full or short commit id.
    git_ref: String,
    /// Working directory in the repository.
    #[schema(default = ".")]
    path: Option<String>,
    /// Environment of the tool. Secret.
    env_vars: Option<BTreeMap<String, String>>,
    /// Files for `-var-file`, relative to `path`.
    tfvars_files: Option<Vec<String>>,
    /// Allowed arguments of `init`, as a shell would split them.
    init_flags: Option<String>,
    /// Allowed arguments of `plan`, as a shell would split them.
    plan_flags: Option<String>,
    /// Minutes for the whole run, waiting excluded.
    #[schema(default = 60, minimum = 1, maximum = 1440)]
    timeout: Option<i64>,
    /// Apply without asking.
    #[schema(default = false)]
    auto_approve: Option<bool>,
    /// Plan and apply a destroy.
    #[schema(default = false)]
    destroy: Option<bool>,
    git_auth: Option<GitAuthSchema>,
    /// Exact version of the tool; default: by the repository's files, else the worker's.
    tool_version: Option<String>,
    #[schema(default = "default")]
    workspace: Option<String>,
    /// Backend settings. Secret.
    backend_config: Option<BTreeMap<String, String>>,
    /// Names among `env_vars` whose values may be seen in the logs.
    public_env: Option<Vec<String>>,
    /// Which workers.
    #[schema(default = "default")]
    pool: Option<String>,
}

/// Git credentials. Secret.
#[derive(Debug, ToSchema)]
#[schema(as = GitAuth)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct GitAuthSchema {
    /// `http`, `https`, `basic` (username and password), `token` (token or password), `ssh` (`private_key`, `known_hosts`).
    #[schema(rename = "type")]
    kind: String,
    username: Option<String>,
    password: Option<String>,
    token: Option<String>,
    private_key: Option<String>,
    /// The server's host keys, as in a `known_hosts` file.
    known_hosts: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::terraform::{DeployRequest, GitAuthRequest};
    use serde::de::DeserializeOwned;
    use std::collections::BTreeSet;
    use utoipa::PartialSchema;

    fn documented<T: PartialSchema>() -> BTreeSet<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    /// The fields that serde lists when it refuses one.
    fn known<T: DeserializeOwned>() -> BTreeSet<String> {
        let refused = serde_json::from_str::<T>(r#"{"no such field": 1}"#).err().unwrap().to_string();
        let (_, listed) = refused.split_once("expected one of ").unwrap();
        listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_document_names_exactly_the_fields_that_are_taken() {
        assert_eq!(documented::<DeploySchema>(), known::<DeployRequest>());
        assert_eq!(documented::<GitAuthSchema>(), known::<GitAuthRequest>());
    }
}
