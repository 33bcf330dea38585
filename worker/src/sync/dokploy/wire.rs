//! What Dokploy answers, as far as it is looked at. Shapes: its published OpenAPI document and the schemas of its source; what
//! is missing in a list is no error, because lists are cut short.

use serde::Deserialize;

/// One of `project.all`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Project {
    #[serde(rename = "projectId")]
    pub(super) id: String,
    pub(super) name: String,
    pub(super) environments: Vec<ProjectEnvironment>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectEnvironment {
    pub(super) environment_id: String,
    pub(super) name: String,
    pub(super) compose: Vec<ComposeName>,
}

/// A compose service in a list: neither its variables nor its file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ComposeName {
    pub(super) compose_id: String,
    pub(super) name: String,
}

/// The whole of `compose.one`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Compose {
    /// The variables. Holds secrets. Null: never set. An answer without them says nothing about them, and is none.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) env: Option<String>,
    #[serde(default, rename = "composeFile")]
    pub(super) file: Option<String>,
    #[serde(default)]
    pub(super) source_type: Option<String>,
    #[serde(default)]
    pub(super) domains: Vec<DomainName>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct DomainName {
    pub(super) host: String,
}

/// One of `deployment.allByCompose`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deployment {
    #[serde(rename = "deploymentId")]
    pub(super) id: String,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) error_message: Option<String>,
}

/// What `compose.create` answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ComposeMade {
    pub(super) compose_id: String,
}

/// What `environment.create` answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EnvironmentMade {
    pub(super) environment_id: String,
}

/// What an operation answers that tells nothing.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Ignored {}

/// An answer that refuses.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) message: String,
}
