//! What orders may be supplied with: credentials and code, as far as the operator allows. Made once from the settings.

use crate::{
    WorkerError,
    source::{
        KnownCommits, Limits,
        store::{ArchiveStore, ObjectBytes, StoreError},
    },
};
use credentials::{Access, AwsAccess, AwsKeySource, Cause, CredentialError, Download, Endpoints, Keeper, VaultAccess, VaultLogin};
use futures_util::{future::BoxFuture, stream};
use proto::git::AllowedHosts;
use service::settings::{Credentials, Settings};
use std::path::PathBuf;
use url::Url;

/// What all orders of a worker share.
#[derive(Debug)]
pub(crate) struct Supplies {
    pub(crate) keeper: Keeper,
    pub(crate) known: KnownCommits,
    pub(crate) archive_hosts: AllowedHosts,
    pub(crate) archive_folders: Vec<PathBuf>,
    pub(crate) limits: Limits,
    pub(crate) known_hosts_file: Option<PathBuf>,
    /// Whether there is an object store to read archives from.
    pub(crate) has_store: bool,
}

impl Supplies {
    pub(crate) fn new(settings: &Settings) -> Result<Self, WorkerError> {
        let sources = &settings.worker.sources;
        let access = access(&settings.worker.credentials)?;
        Ok(Self {
            has_store: access.aws.is_some(),
            keeper: Keeper::new(access).map_err(WorkerError::Credentials)?,
            known: KnownCommits::default(),
            archive_hosts: AllowedHosts::parse(&sources.archive_hosts).map_err(WorkerError::AllowedHosts)?,
            archive_folders: sources.archive_folders.iter().map(PathBuf::from).collect(),
            limits: Limits { archive_bytes: sources.archive_bytes, fetch_time: settings.git.timeout.into(), ..Limits::default() },
            known_hosts_file: sources.known_hosts_file.clone(),
        })
    }
}

/// What fetches credentials within what the settings allow. Nothing is asked yet.
pub fn keeper(settings: &Settings) -> Result<Keeper, WorkerError> {
    Keeper::new(access(&settings.worker.credentials)?).map_err(WorkerError::Credentials)
}

fn access(settings: &Credentials) -> Result<Access, WorkerError> {
    let url = |key: &'static str, text: &Option<String>| {
        text.as_deref().map(Url::parse).transpose().map_err(|source| WorkerError::Address { key, source })
    };
    let keys = settings.aws_keys_file.clone().map_or(AwsKeySource::Environment, AwsKeySource::File);
    let endpoints = Endpoints {
        ssm: url("worker.credentials.aws_ssm_endpoint", &settings.aws_ssm_endpoint)?,
        secrets_manager: url("worker.credentials.aws_secrets_manager_endpoint", &settings.aws_secrets_manager_endpoint)?,
        s3: url("worker.credentials.aws_s3_endpoint", &settings.aws_s3_endpoint)?,
    };
    let vault = match url("worker.credentials.vault_url", &settings.vault_url)? {
        None => None,
        Some(address) => Some(VaultAccess {
            address,
            login: login(settings)?,
            namespace: settings.vault_namespace.clone(),
            ca_file: settings.vault_ca_file.clone(),
        }),
    };
    Ok(Access {
        variables: settings.variables.iter().cloned().collect(),
        folders: settings.folders.iter().map(PathBuf::from).collect(),
        age_identities: settings.age_identities.clone(),
        aws: settings.aws_region.clone().map(|region| AwsAccess { region, keys, endpoints }),
        vault,
        ..Access::default()
    })
}

fn login(settings: &Credentials) -> Result<VaultLogin, WorkerError> {
    match (&settings.vault_token_file, &settings.vault_role_id, &settings.vault_secret_id_file) {
        (Some(file), None, None) => Ok(VaultLogin::Token { file: file.clone() }),
        (None, Some(role_id), Some(file)) => Ok(VaultLogin::AppRole { role_id: role_id.clone(), secret_id_file: file.clone() }),
        (Some(_) | None, Some(_) | None, Some(_) | None) => Err(WorkerError::VaultLogin),
    }
}

/// Archives in S3, read with the worker's own keys.
#[derive(Debug)]
pub(crate) struct Objects<'a> {
    pub(crate) keeper: &'a Keeper,
    pub(crate) max_bytes: u64,
}

impl ArchiveStore for Objects<'_> {
    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<ObjectBytes, StoreError>> {
        Box::pin(async move {
            let download = self.keeper.s3_get(bucket, key, self.max_bytes).await.map_err(|error| refused(&error))?;
            let pieces = stream::unfold(Some(download), |download: Option<Download>| async move {
                let mut download = download?;
                match download.chunk().await {
                    Ok(Some(bytes)) => Some((Ok(bytes), Some(download))),
                    Ok(None) => None,
                    Err(error) => Some((Err(refused(&error)), None)),
                }
            });
            let pieces: ObjectBytes = Box::pin(pieces);
            Ok(pieces)
        })
    }
}

fn refused(error: &CredentialError) -> StoreError {
    match &error.cause {
        Cause::NotFound(_) => StoreError::NotFound,
        Cause::Denied(_) => StoreError::Refused,
        Cause::Unreachable(why) | Cause::Malformed(why) => StoreError::Failed(why.clone()),
    }
}
