//! The repositories whose pushes are followed: what the settings say of them, and what their files hold now.
//!
//! A source whose secrets cannot be read keeps the gateway from starting. After that its files may change at any time: see
//! [`watched`]. What becomes of a delivery is decided in `hooks`.

mod fetched;
mod login;
mod name;
mod secrets;
mod watched;

pub use fetched::{Fetching, SecretStore};
pub(crate) use secrets::{KeyId, Secrets};
pub use watched::FileFault;
pub(crate) use watched::Watched;

use crate::{
    forge::github::GitHub,
    hooks::{SHOWN, shown},
};
use fetched::Fetched;
use login::Login;
use proto::{
    PoolName, SourceId,
    git::{AllowedHosts, BadGit, GitRef, GitUrl},
    ids::BadId,
    sync::{BadSyncName, Environment, ServiceId},
    terraform::GitAuth,
};
use service::settings::{Followed, ForgeKind, Settings};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Why a source cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    #[error("the source `{id}`: the id cannot be used")]
    Id {
        id: String,
        #[source]
        source: BadId,
    },
    #[error("the source `{id}`: the repository or the branch cannot be used")]
    Git {
        id: String,
        #[source]
        source: BadGit,
    },
    #[error("the source `{id}`: a name cannot be used")]
    Name {
        id: String,
        #[source]
        source: BadSyncName,
    },
    #[error("the source `{id}` cannot be trusted or reached without this file")]
    File {
        id: String,
        #[source]
        source: FileFault,
    },
    #[error("the source `{id}` has no secret: set secrets_file, vault_path, or webhook_secret")]
    NoSecret { id: String },
    #[error("the source `{id}` has its secret in Vault, and this gateway has none to ask: set worker.credentials.vault_url")]
    NoStore { id: String },
}

/// Where a source's secrets are.
#[derive(Debug)]
enum Kept {
    File(Watched<Secrets>),
    Store(Fetched),
}

/// How many secrets a text holds that a webhook is signed with.
///
/// # Errors
/// Why it could not be used, in words without any of it.
pub fn secrets_in(text: &str, kind: ForgeKind) -> Result<usize, String> {
    Secrets::parse(text, kind).map(|secrets| secrets.count())
}

/// A repository whose pushes are followed.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) id: SourceId,
    pub(crate) kind: ForgeKind,
    pub(crate) git_url: GitUrl,
    /// Without `refs/heads/`.
    pub(crate) branch: String,
    /// `refs/heads/` and the branch.
    pub(crate) git_ref: GitRef,
    /// As the forge names it, if its pushes are matched so.
    pub(crate) repository_id: Option<String>,
    pub(crate) full_name: String,
    /// As `hooks` shows senders.
    ignore_senders: Vec<String>,
    pub(crate) projects: Vec<String>,
    pub(crate) environment: Environment,
    pub(crate) pool: PoolName,
    pub(crate) auto_stage: bool,
    secrets: Kept,
    login: Login,
}

/// How many secrets of a source's webhook are in force; 0 of those in a store, which is not asked. Reads every file of the source, as a gateway does when it starts.
///
/// # Errors
/// Why no gateway would start with it.
pub fn secrets_in_force(of: &Followed, settings: &Settings) -> Result<usize, SourceFault> {
    let hosts = AllowedHosts::parse(&settings.git.allowed_hosts);
    let hosts = hosts.map_err(|source| SourceFault::Git { id: "git.allowed_hosts".to_owned(), source })?;
    Ok(Source::new(of, settings, &hosts)?.secrets().count())
}

/// The repositories of the sources that are on this GitHub, `owner/name`.
pub fn repositories_of(github: &GitHub, settings: &Settings) -> Vec<String> {
    let ours = settings.sources.iter().filter(|source| source.kind == ForgeKind::Github);
    let named = ours.filter_map(|source| {
        let url: GitUrl = source.repository.parse().ok()?;
        let name = || source.full_name.clone().unwrap_or_else(|| name::full_name(source.kind, &url));
        github.hosts(url.host()).then(name)
    });
    named.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// All of them, in the order of the settings.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    /// Reads every file that the settings name.
    pub(crate) fn new(settings: &Settings) -> Result<Self, SourceFault> {
        let hosts = AllowedHosts::parse(&settings.git.allowed_hosts);
        let hosts = hosts.map_err(|source| SourceFault::Git { id: "git.allowed_hosts".to_owned(), source })?;
        settings.sources.iter().map(|of| Source::new(of, settings, &hosts)).collect::<Result<_, _>>().map(Self)
    }

    /// The one of an address.
    pub(crate) fn get(&self, id: &str) -> Option<&Source> {
        self.0.iter().find(|source| source.id.as_str() == id)
    }

    /// The one that the addresses without an id belong to.
    pub(crate) fn first(&self) -> Option<&Source> {
        self.0.first()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }
}

impl Source {
    fn new(of: &Followed, settings: &Settings, hosts: &AllowedHosts) -> Result<Self, SourceFault> {
        let id = || of.id.clone();
        let bad_id = |source| SourceFault::Id { id: id(), source };
        let bad_git = |source| SourceFault::Git { id: id(), source };
        let bad_name = |source| SourceFault::Name { id: id(), source };
        let bad_file = |source| SourceFault::File { id: id(), source };
        let git_url: GitUrl = of.repository.parse().map_err(bad_git)?;
        hosts.permits(&git_url).map_err(bad_git)?;
        for project in &of.projects {
            ServiceId::new(project, "any").map_err(bad_name)?;
        }
        let environment = of.environment.as_deref().unwrap_or(&settings.sync.environment);
        Ok(Self {
            id: of.id.parse().map_err(bad_id)?,
            kind: of.kind,
            branch: of.branch.clone(),
            git_ref: format!("refs/heads/{}", of.branch).parse().map_err(bad_git)?,
            repository_id: of.repository_id.clone(),
            full_name: of.full_name.clone().unwrap_or_else(|| name::full_name(of.kind, &git_url)),
            ignore_senders: of.ignore_senders.iter().map(|name| shown(name, SHOWN)).collect(),
            projects: of.projects.clone(),
            environment: environment.parse().map_err(bad_name)?,
            pool: of.pool.parse().map_err(bad_id)?,
            auto_stage: of.auto_stage,
            secrets: secrets_of(of)?,
            login: Login::new(of).map_err(bad_file)?,
            git_url,
        })
    }

    /// The secrets as they are now.
    pub(crate) fn secrets(&self) -> Arc<Secrets> {
        match &self.secrets {
            Kept::File(file) => file.now(),
            Kept::Store(fetched) => fetched.now().unwrap_or_default(),
        }
    }

    /// Whether it can tell who signed: not while its secrets have not been fetched once.
    pub(crate) fn is_ready(&self) -> bool {
        match &self.secrets {
            Kept::File(_) => true,
            Kept::Store(fetched) => fetched.now().is_some(),
        }
    }

    /// Whether its secrets have to be fetched.
    pub(crate) fn needs_store(&self) -> bool {
        matches!(self.secrets, Kept::Store(_))
    }

    /// Fetches its secrets, again and again, until the gateway stops.
    pub(crate) async fn follow_secrets(&self, store: &dyn SecretStore, stop: &CancellationToken) {
        match &self.secrets {
            Kept::File(_) => {}
            Kept::Store(fetched) => fetched.follow(store, stop).await,
        }
    }

    /// How to log in to the git server, if the settings say.
    pub(crate) fn git_auth(&self) -> Option<GitAuth> {
        self.login.now()
    }

    /// Whether its files, and its secrets where they are fetched, can be read now: what they held last goes on being used.
    pub(crate) fn check_files(&self) -> Result<(), String> {
        match &self.secrets {
            Kept::File(file) => file.check().map_err(|fault| fault.to_string())?,
            Kept::Store(fetched) => fetched.check()?,
        }
        self.login.check().map_err(|fault| fault.to_string())
    }

    /// Whether pushes of a sender, as they are shown, are not followed.
    pub(crate) fn ignores(&self, sender: &str) -> bool {
        self.ignore_senders.iter().any(|name| name.eq_ignore_ascii_case(sender))
    }

    /// Whether services of a project are managed.
    pub(crate) fn manages(&self, service: &ServiceId) -> bool {
        self.projects.iter().any(|project| project == service.project())
    }
}

fn secrets_of(of: &Followed) -> Result<Kept, SourceFault> {
    let kind = of.kind;
    match (&of.secrets_file, &of.vault_path, &of.webhook_secret) {
        (Some(path), _, _) => {
            let read = move |text: &str| Secrets::parse(text, kind);
            Watched::open(path, read).map(Kept::File).map_err(|source| SourceFault::File { id: of.id.clone(), source })
        }
        (None, Some(path), _) => Ok(Kept::Store(Fetched::new(path, kind))),
        (None, None, Some(secret)) => {
            let made = Secrets::parse(secret.expose(), kind);
            let made = made.map_err(|_| SourceFault::NoSecret { id: of.id.clone() })?;
            Ok(Kept::File(Watched::fixed(made)))
        }
        (None, None, None) => Err(SourceFault::NoSecret { id: of.id.clone() }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::path::Path;

    pub(crate) const SECRET: &str = "the-secret-of-the-webhook-of-these-tests";

    /// A source of GitHub with [`SECRET`].
    pub(crate) fn source(change: impl FnOnce(&mut Followed)) -> Source {
        let settings = settings(change);
        Sources::new(&settings).unwrap().0.remove(0)
    }

    fn settings(change: impl FnOnce(&mut Followed)) -> Settings {
        let mut of = Followed {
            id: "platform".into(),
            repository: "https://github.com/acme/infra.git".into(),
            webhook_secret: Some(service::settings::Secret::new(SECRET)),
            ..Followed::default()
        };
        change(&mut of);
        let mut settings = Settings { sources: vec![of], ..Settings::default() };
        settings.git.allowed_hosts = vec!["github.com".into()];
        settings
    }

    fn refused(change: impl FnOnce(&mut Followed)) -> String {
        let fault = Sources::new(&settings(change)).unwrap_err();
        crate::answers::chain(&fault)
    }

    fn with_file(of: &mut Followed, path: &Path) {
        of.webhook_secret = None;
        of.secrets_file = Some(path.to_owned());
    }

    /// Row W11 of the table of hostile inputs: without a secret nothing starts, and the file is named.
    #[test]
    fn w11_a_source_without_a_good_secret_does_not_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("webhook");
        assert!(refused(|of| with_file(of, &path)).contains(&path.display().to_string()), "missing");
        for (content, word) in [
            (String::new(), "is empty"),
            ("\n".into(), "line 1 has 0 bytes"),
            (SECRET[..31].to_owned(), "line 1 has 31 bytes"),
            (format!("{SECRET}\n{}", &SECRET[..20]), "line 2 has 20 bytes"),
            (format!("{SECRET}\n{SECRET}1\n{SECRET}2\n"), "more than two lines"),
        ] {
            std::fs::write(&path, &content).unwrap();
            let told = refused(|of| with_file(of, &path));
            assert!(told.contains(word) && told.contains(&path.display().to_string()), "{content:?}: {told}");
            assert!(!told.contains(&SECRET[..20]), "{told}");
        }
        std::fs::write(&path, b"\xff\xfe").unwrap();
        assert!(refused(|of| with_file(of, &path)).contains("no text"));
        for content in [SECRET.to_owned(), format!("{SECRET}\r\n"), format!("{SECRET}\n{SECRET}2")] {
            std::fs::write(&path, &content).unwrap();
            assert!(Sources::new(&settings(|of| with_file(of, &path))).is_ok(), "{content:?}");
        }
        assert!(refused(|of| of.webhook_secret = None).contains("has no secret"));
        assert!(refused(|of| of.kind = ForgeKind::AzureDevops).contains("has no secret"), "it is no user and password");
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        assert!(refused(|of| of.repository = "https://elsewhere.example/x".into()).contains("list of allowed git hosts"));
        assert!(refused(|of| of.repository = "ext::sh -c x".into()).contains("not a git address"));
        assert!(refused(|of| of.branch = "--upload-pack=x".into()).contains("not a git reference"));
        assert!(refused(|of| of.projects = vec!["../etc".into()]).contains("not a service"));
        assert!(refused(|of| of.token_file = Some("/nonexistent/token".into())).contains("/nonexistent/token"));
    }

    #[test]
    fn a_source_knows_its_names() {
        let one = source(|of| of.environment = Some("prod".into()));
        assert_eq!(
            (one.full_name.as_str(), one.git_ref.as_str(), one.environment.as_str()),
            ("acme/infra", "refs/heads/main", "production")
        );
        assert!(one.manages(&"platform/postgres".parse().unwrap()) && !one.manages(&"bootstrap/vault".parse().unwrap()));
        assert!(!format!("{one:?}").contains(SECRET));
    }
}
