//! The sections of syncs: the repositories whose pushes are followed, and what becomes of a push.
//!
//! Only keys and their meaning; rules between keys are in `settings::check`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::settings::describe::section;
use crate::settings::period::Period;
use crate::settings::secret::Secret;

section! {
    /// A repository whose pushes are followed; `[[sources]]` may repeat. The first one also answers `POST /webhook`, `/sync` and `/deploy`. Without any, `GIT_REPO_URL` makes one with the id `default`, of GitHub, with `GIT_BRANCH` and `WEBHOOK_SECRET`.
    Followed {
        /// Its name, unique: `POST /hooks/ID`. Lower-case letters, digits, `-` and `_`, at most 63.
        id: String = String::new(),
        /// Which forge sends the webhooks.
        kind: ForgeKind = ForgeKind::Github,
        /// The repository, as git reaches it: `https://host/path` or `ssh://user@host/path`, without credentials. Its host must stand in `git.allowed_hosts`.
        repository: String = String::new(),
        /// The branch whose pushes are synced.
        branch: String = "main".into(),
        /// File with the webhook's secret: one a line, at least 32 bytes each, two while one is being replaced. Read again when it changes. For `azure-devops` a line is `user:password`.
        secrets_file: Option<PathBuf> = None,
        /// One secret, instead of `secrets_file`.
        webhook_secret: Option<Secret> = None,
        /// Where in Vault the webhook's secret stands, instead of `secrets_file`: `MOUNT/PATH#FIELD` of version 2 of the key-value engine, with the same lines. Read each minute, with the login of `worker.credentials.vault_url` and its neighbours. Until it was read once the source's deliveries get 503; while Vault is away the last ones go on.
        vault_path: Option<String> = None,
        /// The forge's own id of the repository, which stays when it is renamed (GitHub, GitLab, Gitea: a number; Bitbucket Cloud, Azure DevOps: a UUID). Absent: pushes are matched by name.
        repository_id: Option<String> = None,
        /// The repository's name as webhooks give it, such as `acme/infra`. Absent: told from `repository`.
        full_name: Option<String> = None,
        /// Whose pushes are not followed, by the names that `sender` of a delivery shows, such as `["navvy-bot[bot]"]`: so that what a bot pushes because of a sync starts no other. Case does not count.
        ignore_senders: Vec<String> = Vec::new(),
        /// Projects whose services are managed; those of others are skipped.
        projects: Vec<String> = vec!["platform".into()],
        /// What a push syncs. Absent: `sync.environment`.
        environment: Option<String> = None,
        /// The pool whose workers sync.
        pool: String = "default".into(),
        /// Make a staging release of each push that touches a service, and deploy that.
        auto_stage: bool = false,
        /// File with a token for git over https. Read again when it changes.
        token_file: Option<PathBuf> = None,
        /// User name that goes with `token_file`, or the login for `ssh_key_file`. Absent: the token alone, or the login of the address.
        username: Option<String> = None,
        /// File with a private key for git over SSH, together with `known_hosts_file`. Read again when it changes.
        ssh_key_file: Option<PathBuf> = None,
        /// File with the host keys of the git server.
        known_hosts_file: Option<PathBuf> = None,
    }
}

section! {
    /// Syncs of services: what a push, `POST /sync` and a version at `POST /deploy` make.
    Sync {
        /// The environment that a push and `POST /sync` sync: `a-z`, `0-9` and `_`; `prod` means `production`.
        environment: String = "staging".into(),
        /// The command that syncs a service, one item an argument. `{task}`, `{service}`, `{project}`, `{env}` and `{ref}` are replaced in each, and stand in its environment too.
        command: Vec<String> = vec!["invoke".into(), "{task}".into()],
        /// How long the sync of one service may take. Also read from `DEPLOY_TIMEOUT`, in seconds.
        timeout: Period = Period::minutes(10),
        /// Refuse signatures of `POST /sync` and `/deploy` that carry no time and no nonce (`X-IAC-Timestamp`, `X-IAC-Nonce`): those can be sent again by whoever sees one.
        require_stamped_signatures: bool = false,
        /// How far the time of a stamped signature may be away from now; at most 30 minutes.
        signature_ttl: Period = Period::seconds(300),
        /// Let `POST /deploy` take versions by their full commit id only: no tag, no branch.
        immutable_refs_only: bool = false,
    }
}

/// The forges whose webhooks are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForgeKind {
    #[default]
    Github,
    Gitlab,
    /// Forgejo too.
    Gitea,
    BitbucketCloud,
    BitbucketServer,
    AzureDevops,
}

impl ForgeKind {
    /// The words a setting may use.
    pub(in crate::settings) const WORDS: &'static [&'static str] =
        &["github", "gitlab", "gitea", "bitbucket-cloud", "bitbucket-server", "azure-devops"];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
            Self::BitbucketCloud => "bitbucket-cloud",
            Self::BitbucketServer => "bitbucket-server",
            Self::AzureDevops => "azure-devops",
        }
    }
}
