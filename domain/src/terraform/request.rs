//! The body of `POST /deploy`, raw, and the way from it to a valid spec. Every problem is reported with its field.

use super::{init_arguments, plan_arguments};
use proto::environment::{EnvRefused, MAX_VARIABLES, check_env};
use proto::{
    Secret,
    git::{AllowedHosts, GitRef, GitUrl},
    path::RepoPath,
    terraform::{GitAuth, TerraformSpec, Tool},
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Display;

/// The request as it arrives. Field names and defaults are those of the replaced runner; the rest is new.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// `terraform` or `tofu`.
    pub tool: Option<String>,
    pub git_url: Option<String>,
    /// Branch, tag, full or short commit id.
    pub git_ref: Option<String>,
    /// Working directory in the repository; default: its root.
    pub path: Option<String>,
    #[serde(default)]
    pub env_vars: BTreeMap<String, Secret>,
    #[serde(default)]
    pub tfvars_files: Vec<String>,
    #[serde(default)]
    pub init_flags: String,
    #[serde(default)]
    pub plan_flags: String,
    /// Minutes, 1 to 1440; default 60.
    pub timeout: Option<i64>,
    #[serde(default)]
    pub auto_approve: bool,
    #[serde(default)]
    pub destroy: bool,
    pub git_auth: Option<GitAuthRequest>,
    /// Exact version of the tool.
    pub tool_version: Option<String>,
    /// Default: `default`.
    pub workspace: Option<String>,
    /// Backend settings; treated as secret.
    #[serde(default)]
    pub backend_config: BTreeMap<String, Secret>,
    /// Names of variables in `env_vars` whose values may be seen in the logs.
    #[serde(default)]
    pub public_env: Vec<String>,
    /// Which workers; default: `default`.
    pub pool: Option<String>,
}

/// Git credentials as they arrive.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitAuthRequest {
    /// `http`, `https`, `basic`, `token` or `ssh`.
    #[serde(rename = "type")]
    pub kind: String,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub token: Option<Secret>,
    pub private_key: Option<Secret>,
    pub known_hosts: Option<String>,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    pub field: String,
    pub message: String,
}

/// The secret part of a valid request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretParts {
    pub env: BTreeMap<String, Secret>,
    pub git_auth: Option<GitAuth>,
    pub backend_config: BTreeMap<String, Secret>,
}

/// Longest budget, in minutes (a day).
const MAX_TIMEOUT_MINUTES: i64 = 1440;
const DEFAULT_TIMEOUT_MINUTES: i64 = 60;

/// Gathers problems, so that a user sees all of them at once.
#[derive(Default)]
struct Problems(Vec<FieldError>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, message: impl Display) {
        self.0.push(FieldError { field: field.into(), message: message.to_string() });
    }

    fn take<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error)).ok()
    }

    fn required<T: std::str::FromStr<Err: Display>>(&mut self, field: &str, text: Option<&String>) -> Option<T> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            self.add(field, "is required");
            return None;
        };
        self.take(field, text.parse())
    }
}

impl DeployRequest {
    /// The valid spec and its secrets, or every problem there is.
    pub fn validate(self, hosts: &AllowedHosts) -> Result<(TerraformSpec, SecretParts), Vec<FieldError>> {
        let mut problems = Problems::default();
        let tool = self.tool(&mut problems);
        let git_url = problems.required::<GitUrl>("git_url", self.git_url.as_ref());
        if let Some(url) = &git_url {
            problems.take("git_url", hosts.permits(url));
        }
        let git_ref = problems.required::<GitRef>("git_ref", self.git_ref.as_ref());
        let path = problems.take("path", self.path.as_deref().unwrap_or(".").parse::<RepoPath>());
        let workspace = self.workspace(&mut problems);
        let tfvars_files = self.tfvars_files(&mut problems);
        let init_args = problems.take("init_flags", init_arguments(&self.init_flags));
        let plan_args = problems.take("plan_flags", plan_arguments(&self.plan_flags));
        let timeout_minutes = self.timeout_minutes(&mut problems);
        let tool_version = self.tool_version(&mut problems);
        self.check_variables(&mut problems);
        let git_auth = self.git_auth.as_ref().and_then(|auth| auth.validate(git_url.as_ref(), &mut problems));
        if git_url.as_ref().is_some_and(|url| url.scheme() == proto::git::Scheme::Ssh) && self.git_auth.is_none() {
            problems.add("git_auth", "an ssh address needs git_auth of type ssh with private_key and known_hosts");
        }
        let valid = (tool, git_url, git_ref, path, init_args, plan_args);
        let (Some(tool), Some(git_url), Some(git_ref), Some(path), Some(init_args), Some(plan_args)) = valid else {
            return Err(problems.0);
        };
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        let spec = TerraformSpec {
            tool,
            tool_version,
            git_url,
            git_ref,
            path,
            workspace,
            tfvars_files,
            init_args,
            backend_config: BTreeMap::new(),
            plan_args,
            timeout_minutes,
            auto_approve: self.auto_approve,
            destroy: self.destroy,
            env_names: self.env_vars.keys().cloned().collect(),
            public_env: self.public_env,
            git_auth: git_auth.as_ref().map(|auth| auth.kind().to_owned()),
        };
        Ok((spec, SecretParts { env: self.env_vars, git_auth, backend_config: self.backend_config }))
    }

    fn tool(&self, problems: &mut Problems) -> Option<Tool> {
        match self.tool.as_deref() {
            Some("terraform") => return Some(Tool::Terraform),
            Some("tofu") => return Some(Tool::Tofu),
            Some(_) => problems.add("tool", "must be `terraform` or `tofu`"),
            None => problems.add("tool", "is required: `terraform` or `tofu`"),
        }
        None
    }

    fn workspace(&self, problems: &mut Problems) -> String {
        let name = self.workspace.clone().unwrap_or_else(|| "default".to_owned());
        let legal = (1..=90).contains(&name.len())
            && !name.starts_with(['-', '.'])
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            && !name.contains("..");
        if !legal {
            problems.add("workspace", "must be 1 to 90 of letters, digits, - _ and ., not starting with - or .");
        }
        name
    }

    fn tfvars_files(&self, problems: &mut Problems) -> Vec<RepoPath> {
        if self.tfvars_files.len() > 100 {
            problems.add("tfvars_files", "more than 100 files");
            return Vec::new();
        }
        let mut files = Vec::new();
        for (n, file) in self.tfvars_files.iter().enumerate() {
            let field = format!("tfvars_files[{n}]");
            match problems.take(&field, file.parse::<RepoPath>()) {
                Some(path) if path == RepoPath::root() => problems.add(field, format!("`{file}` is a directory: name a file")),
                Some(path) => files.push(path),
                None => {}
            }
        }
        files
    }

    fn timeout_minutes(&self, problems: &mut Problems) -> u32 {
        let minutes = self.timeout.unwrap_or(DEFAULT_TIMEOUT_MINUTES);
        if !(1..=MAX_TIMEOUT_MINUTES).contains(&minutes) {
            problems.add("timeout", format!("must be 1 to {MAX_TIMEOUT_MINUTES} minutes"));
        }
        u32::try_from(minutes).unwrap_or(1)
    }

    fn tool_version(&self, problems: &mut Problems) -> Option<String> {
        let version = self.tool_version.clone()?;
        let numbers = version.split(['-', '+']).next().unwrap_or_default();
        let legal = version.len() <= 64
            && numbers.split('.').count() == 3
            && numbers.split('.').all(|n| !n.is_empty() && n.len() <= 6 && n.bytes().all(|b| b.is_ascii_digit()))
            && version.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'));
        if !legal {
            problems.add("tool_version", "must be an exact version such as 1.11.4");
        }
        Some(version)
    }

    fn check_variables(&self, problems: &mut Problems) {
        if self.env_vars.len() > MAX_VARIABLES {
            problems.add("env_vars", EnvRefused::TooMany);
        }
        for (name, value) in self.env_vars.iter().take(MAX_VARIABLES) {
            problems.take("env_vars", check_env(name, value.expose()));
        }
        for name in &self.public_env {
            if !self.env_vars.contains_key(name) {
                problems.add("public_env", "names a variable that env_vars does not set");
            }
        }
        for (key, value) in &self.backend_config {
            let legal = (1..=128).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
            if !legal || value.expose().len() > 64 * 1024 || value.expose().contains('\0') {
                problems.add("backend_config", "keys are letters, digits, _ and -; values at most 64 KiB without NUL");
            }
        }
    }
}

impl GitAuthRequest {
    fn validate(&self, url: Option<&GitUrl>, problems: &mut Problems) -> Option<GitAuth> {
        let ssh_url = url.map(|url| url.scheme() == proto::git::Scheme::Ssh);
        let secret = |value: &Option<Secret>| value.clone().filter(|value| !value.is_empty());
        let auth = match self.kind.as_str() {
            "http" | "https" | "basic" => {
                self.username.clone().zip(secret(&self.password)).map(|(username, password)| GitAuth::Basic { username, password })
            }
            "token" => secret(&self.token).or_else(|| secret(&self.password)).map(|token| GitAuth::Token { token }),
            "ssh" => secret(&self.private_key)
                .zip(self.known_hosts.clone().filter(|hosts| !hosts.trim().is_empty()))
                .map(|(private_key, known_hosts)| GitAuth::Ssh { username: self.username.clone(), private_key, known_hosts }),
            _ => {
                problems.add("git_auth.type", "must be http, https, basic, token or ssh");
                return None;
            }
        };
        let wants_ssh = self.kind == "ssh";
        if ssh_url.is_some_and(|is_ssh| is_ssh != wants_ssh) {
            problems.add("git_auth.type", "does not fit git_url: type ssh goes with ssh addresses, the others with http and https");
        }
        if self
            .username
            .as_deref()
            .is_some_and(|name| name.len() > 256 || name.chars().any(char::is_control) || (wants_ssh && name.starts_with('-')))
        {
            problems.add("git_auth.username", "at most 256 characters, no control characters");
        }
        if [&self.password, &self.token].into_iter().flatten().any(|value| value.expose().chars().any(char::is_control)) {
            problems.add("git_auth", "a password or token must not hold control characters");
        }
        if auth.is_none() {
            problems.add(
                "git_auth",
                match self.kind.as_str() {
                    "ssh" => "type ssh needs private_key and known_hosts (the server's host keys, as in a known_hosts file)",
                    "token" => "type token needs token",
                    _ => "needs username and password",
                },
            );
        }
        auth
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
