//! What the operator of a worker allows and knows. The default allows nothing, so that a new provider is off until
//! somebody has thought about it.

use crate::aws::Keys;
use std::collections::BTreeSet;
use std::path::PathBuf;
use url::Url;

/// What locations may be read, and with what.
#[derive(Debug, Clone)]
pub struct Access {
    /// Names of variables that `env:::var:` may name.
    pub variables: BTreeSet<String>,
    /// Folders below which `file:::` locations may lie; absolute.
    pub folders: Vec<PathBuf>,
    /// File of age identities (`AGE-SECRET-KEY-1…`, one a line) that open `file:::sops` locations. Only its owner may read it.
    pub age_identities: Option<PathBuf>,
    pub aws: Option<AwsAccess>,
    pub vault: Option<VaultAccess>,
    /// How a variable of the worker's own environment is read.
    pub environment: fn(&str) -> Option<String>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            variables: BTreeSet::new(),
            folders: Vec::new(),
            age_identities: None,
            aws: None,
            vault: None,
            environment: variable_of_process,
        }
    }
}

fn variable_of_process(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok()
}

/// Amazon Web Services. Which parameters and secrets may be read is for the policy of the keys to say.
#[derive(Debug, Clone)]
pub struct AwsAccess {
    pub region: String,
    pub keys: AwsKeySource,
    pub endpoints: Endpoints,
}

/// Where the keys of AWS come from, read anew for each request: they may be short-lived.
#[derive(Debug, Clone)]
pub enum AwsKeySource {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if there is one, `AWS_SESSION_TOKEN` of the worker's environment.
    Environment,
    /// A file that only its owner may read, with the same three names, one `name = value` a line. Of a file with
    /// `[profiles]` the profile `default` counts.
    File(PathBuf),
    /// These.
    Given(Keys),
}

/// Addresses to use in place of Amazon's.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    pub ssm: Option<Url>,
    pub secrets_manager: Option<Url>,
    /// Buckets are then the first part of the path.
    pub s3: Option<Url>,
}

/// HashiCorp Vault or OpenBao.
#[derive(Debug, Clone)]
pub struct VaultAccess {
    /// `https://vault.example.com:8200`; `http` only on this machine.
    pub address: Url,
    pub login: VaultLogin,
    pub namespace: Option<String>,
    /// Certificates to trust beside those of the system, as PEM.
    pub ca_file: Option<PathBuf>,
}

/// How a worker makes itself known to Vault. Only their owner may read the files.
#[derive(Debug, Clone)]
pub enum VaultLogin {
    /// A token, read anew for each request: an agent may renew it.
    Token { file: PathBuf },
    /// The AppRole method.
    AppRole { role_id: String, secret_id_file: PathBuf },
}
