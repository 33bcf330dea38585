//! The one who fetches. What may be fetched is in [`Access`]; how each provider is asked, in the modules beside this one.

use crate::aws::{Aws, Download, Keys};
use crate::http::{Pause, sleep};
use crate::variables::{Variables, checked};
use crate::vault::Vault;
use crate::{Access, AwsKeySource, Cause, CredentialError, KeptSecret, local};
use proto::Secret;
use proto::orders::{Location, Provider};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an [`Access`] says that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the access to credentials is not usable: {0}")]
pub struct BadAccess(pub String);

/// Fetches credentials within what the operator allows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keeper {
    access: Arc<Access>,
    aws: Option<Aws>,
    vault: Option<Arc<Vault>>,
}

impl Keeper {
    /// Checks addresses and reads certificates; nothing is asked yet.
    pub fn new(access: Access) -> Result<Self, BadAccess> {
        Self::with_pause(access, sleep)
    }

    /// The same with another way to wait between tries.
    pub fn with_pause(access: Access, pause: Pause) -> Result<Self, BadAccess> {
        if let Some(folder) = access.folders.iter().find(|folder| !folder.is_absolute()) {
            return Err(BadAccess(format!("the allowed folder {} is not absolute", folder.display())));
        }
        let aws = access.aws.as_ref().map(|aws| Aws::new(aws, access.environment, pause)).transpose().map_err(BadAccess)?;
        let vault = access.vault.as_ref().map(|vault| Vault::new(vault, pause)).transpose().map_err(BadAccess)?;
        Ok(Self { access: Arc::new(access), aws, vault: vault.map(Arc::new) })
    }

    /// The same with other keys of AWS: those of a target account that came with an order.
    #[must_use]
    pub fn with_aws_keys(&self, keys: Keys) -> Self {
        let aws = self.aws.clone().map(|aws| aws.with_keys(AwsKeySource::Given(keys)));
        Self { aws, ..self.clone() }
    }

    /// The variables at a location. Their names are ones that an order may set.
    pub async fn fetch(&self, location: &Location) -> Result<BTreeMap<String, Secret>, CredentialError> {
        let variables = self.look_up(location).await.map_err(|cause| cause.at(location))?;
        checked(variables).map_err(|cause| cause.at(location))
    }

    /// The first value at a location, whatever its name: a token of git, say.
    pub async fn token(&self, location: &Location) -> Result<Secret, CredentialError> {
        let variables = self.look_up(location).await.map_err(|cause| cause.at(location))?;
        match variables.into_iter().next() {
            Some((_, value)) if !value.is_empty() => Ok(value),
            Some(_) | None => Err(Cause::malformed("there is no value in it, or an empty one").at(location)),
        }
    }

    /// Whether there is a Vault to ask.
    pub fn has_vault(&self) -> bool {
        self.vault.is_some()
    }

    /// Whether Vault takes the worker's token; well where there is no Vault. Vault is asked at most every five minutes, after a
    /// no every half minute.
    pub async fn check_vault(&self) -> Result<(), Cause> {
        match &self.vault {
            Some(vault) => vault.check().await,
            None => Ok(()),
        }
    }

    /// Keeps the worker's token for Vault alive for ever: it is renewed in time, and replaced by a new login when it cannot be.
    pub async fn keep_alive(&self) {
        match &self.vault {
            Some(vault) => vault.keep_alive().await,
            None => std::future::pending().await,
        }
    }

    /// An object of S3, as a stream of at most `max_bytes` bytes.
    pub async fn s3_get(&self, bucket: &str, key: &str, max_bytes: u64) -> Result<Download, CredentialError> {
        let location = format!("s3://{bucket}/{key}");
        match &self.aws {
            Some(aws) => aws.get_object(bucket, key, max_bytes).await.map_err(|cause| cause.at(location)),
            None => Err(no_aws().at(location)),
        }
    }

    /// Which of these entries of a secret in Vault (`mount/path`) have a value, and which version it is. Changes nothing.
    pub async fn kept_secret(&self, path: &str, keys: &[String]) -> Result<KeptSecret, CredentialError> {
        let vault = self.vault.as_ref().ok_or_else(|| no_vault().at(path))?;
        vault.kept(path, keys).await.map_err(|cause| cause.at(path))
    }

    /// The same, after those that had no value were made; they are named in the answer. Existing entries stay as they are.
    pub async fn ensure_secret(&self, path: &str, keys: &[String]) -> Result<KeptSecret, CredentialError> {
        let vault = self.vault.as_ref().ok_or_else(|| no_vault().at(path))?;
        vault.ensure(path, keys).await.map_err(|cause| cause.at(path))
    }

    async fn look_up(&self, location: &Location) -> Result<Variables, Cause> {
        let path = location.path();
        match location.provider() {
            Provider::AwsSsm => self.aws.as_ref().ok_or_else(no_aws)?.parameter(path).await,
            Provider::AwsSecretsManager => self.aws.as_ref().ok_or_else(no_aws)?.secret(path).await,
            Provider::Environment => local::variable(&self.access, path),
            Provider::File { sops } => {
                let (access, path) = (Arc::clone(&self.access), path.to_owned());
                let read = tokio::task::spawn_blocking(move || local::file(&access, &path, sops));
                read.await.unwrap_or_else(|_| Err(Cause::denied("the worker is stopping")))
            }
            Provider::VaultKv2 => match &self.vault {
                Some(vault) => vault.read(path).await,
                None => Err(no_vault()),
            },
        }
    }
}

fn no_vault() -> Cause {
    Cause::denied("the operator of this worker has not set up Vault")
}

fn no_aws() -> Cause {
    Cause::denied("the operator of this worker has not set up AWS")
}
