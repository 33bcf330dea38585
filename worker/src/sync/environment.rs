//! What a sync finds in its environment: the worker's passed-on variables, the secrets of the services, and what it deploys.
//!
//! Later ones win: defaults of ours, what the operator passes on, the secrets file, the section's own settings, and last what
//! the worker itself says: which commit is deployed where is nobody else's to say.

use proto::{Secret, message::Failure, sync::ServiceSync};
use service::settings;
use std::{collections::BTreeMap, fmt};

/// The variables that a worker has for every sync, whichever service it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, Secret>);

/// Names only: values may be secret.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The domain that host names end with.
pub const INTERNAL_DOMAIN: &str = "INTERNAL_DOMAIN";
/// Address of Vault, as services are told it.
pub const VAULT_ADDR: &str = "VAULT_ADDR";
/// Address of Dokploy's API.
pub const DOKPLOY_URL: &str = "DOKPLOY_URL";
/// Key of Dokploy's API.
pub const DOKPLOY_API_KEY: &str = "DOKPLOY_API_KEY";
/// Where the command may say what it did.
pub const RESULT: &str = "NAVVY_RESULT";

impl Variables {
    /// Puts together what is passed on, the secrets file and the settings.
    pub fn new(passed: impl IntoIterator<Item = (String, String)>, secrets: BTreeMap<String, Secret>, sync: &settings::WorkerSync) -> Self {
        let mut all: BTreeMap<String, Secret> = passed.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        all.extend(secrets);
        let set = [(INTERNAL_DOMAIN, &sync.internal_domain), (VAULT_ADDR, &sync.vault_addr), (DOKPLOY_URL, &sync.dokploy_url)];
        for (name, value) in set {
            if let Some(value) = value {
                all.insert(name.to_owned(), Secret::new(value.as_str()));
            }
        }
        Self(all)
    }

    /// The value of a variable; an empty one counts as none.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).filter(|value| !value.is_empty())
    }

    /// Those of `required` that have no value.
    pub fn missing<'r>(&self, required: impl IntoIterator<Item = &'r str>) -> Vec<&'r str> {
        required.into_iter().filter(|name| self.get(name).is_none()).collect()
    }
}

/// The failure of a sync that lacks variables.
pub fn missing(names: &[&str]) -> Failure {
    let (one, verb) = if names.len() == 1 { ("the variable", "has") } else { ("the variables", "have") };
    Failure {
        kind: "missing_environment".to_owned(),
        phase: String::new(),
        message: format!("{one} {} {verb} no value on this worker, and the service requires it; nothing was touched", names.join(", ")),
        next_action: "Set it in the worker's secrets file (worker.sync.secrets_file), or pass it on (worker.sync.pass_env).".to_owned(),
    }
}

/// What a service's sync is told of itself. It wins over everything else.
pub(super) fn of_sync(sync: &ServiceSync) -> BTreeMap<String, String> {
    let mut all = services::environment::child_environment(&sync.environment);
    let (service, commit) = (&sync.service.service, sync.commit.to_string());
    let own = [
        ("IAC_DEPLOY_REF", commit.as_str()),
        ("IAC_DEPLOY_TAG", sync.tag.as_deref().unwrap_or_default()),
        ("NAVVY_TASK", sync.service.task.as_str()),
        ("NAVVY_SERVICE", service.name()),
        ("NAVVY_PROJECT", service.project()),
        ("NAVVY_ENVIRONMENT", sync.environment.as_str()),
        ("NAVVY_REF", sync.git_ref.as_str()),
        ("NAVVY_COMMIT", commit.as_str()),
    ];
    all.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all.insert("NAVVY_RUN".to_owned(), sync.run.to_string());
    all
}

/// The places and tools that every command has.
pub(super) struct Basics<'a> {
    pub(super) search_path: &'a str,
    pub(super) home: &'a str,
    pub(super) temporary: &'a str,
    pub(super) result: &'a str,
    pub(super) traceparent: Option<&'a str>,
}

/// The whole environment of a sync's command, sorted by name.
pub(super) fn of_command(sync: &ServiceSync, variables: &Variables, basics: &Basics<'_>) -> BTreeMap<String, String> {
    let defaults = [
        ("PATH", basics.search_path),
        ("HOME", basics.home),
        ("TMPDIR", basics.temporary),
        ("LANG", "C.UTF-8"),
        ("TERM", "dumb"),
        // Else its output waits in a buffer, and the log shows nothing until the end.
        ("PYTHONUNBUFFERED", "1"),
    ];
    let mut all: BTreeMap<String, String> = defaults.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    all.extend(variables.0.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())));
    all.extend(of_sync(sync));
    all.insert(RESULT.to_owned(), basics.result.to_owned());
    all.extend(basics.traceparent.map(|parent| ("TRACEPARENT".to_owned(), parent.to_owned())));
    all
}
