//! `navvy secrets check`: every secret and file that the configuration names. Present, readable, whose and for whom, long enough,
//! well-formed; and whether Vault and GitHub take what they are shown. No value is ever told.

use std::borrow::Cow;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use gateway::forge::{ForgeError, github::GitHub};
use service::settings::{Followed, Settings};

use super::Finding;
use crate::roles::Vault;

/// Who may use a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Its owner alone: it is refused otherwise.
    Owner,
    /// Its owner alone, by good custom.
    OwnerByCustom,
    /// Everybody may read it, and only its owner write it.
    Everybody,
}

/// Everything that is named.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let mut all = inline(settings);
    for (key, path, whom) in files(settings) {
        all.push(file(key, &path, whom));
    }
    for (n, source) in settings.sources.iter().enumerate() {
        all.push(followed(n, source, settings).await);
    }
    all.extend(services(settings));
    all.extend(vault(settings).await);
    all.extend(github(settings).await);
    if all.is_empty() {
        all.push(Finding::ok("secrets", "the configuration names none"));
    }
    all
}

/// Secrets that stand in the configuration or the environment themselves. How long they must be was checked with it.
fn inline(settings: &Settings) -> Vec<Finding> {
    let gateway = &settings.gateway;
    let given = [
        ("nats.password", settings.nats.password.is_some()),
        ("nats.token", settings.nats.token.is_some()),
        ("gateway.admin_token", gateway.admin_token.is_some()),
        ("gateway.callback_secret", gateway.callback_secret.is_some()),
        ("gateway.github.token", gateway.github.token.is_some()),
        ("gateway.github.webhook_secret", gateway.github.webhook_secret.is_some()),
        ("gateway.github.webhook_secret_previous", gateway.github.webhook_secret_previous.is_some()),
        ("scheduler.sealing_key", settings.scheduler.sealing_key.is_some()),
    ];
    let found = |key: &'static str| match key {
        "gateway.github.webhook_secret_previous" => {
            Finding::warn(key, "set: two secrets are in force", "take it out once GitHub uses gateway.github.webhook_secret")
        }
        key => Finding::ok(key, "set"),
    };
    given.into_iter().filter(|(_, set)| *set).map(|(key, _)| found(key)).collect()
}

/// Files by their key. Those of sources are looked at with their source, the secrets of services by their own rules.
fn files(settings: &Settings) -> Vec<(Cow<'static, str>, std::path::PathBuf, For)> {
    let (worker, credentials, sync) = (&settings.worker, &settings.worker.credentials, &settings.worker.sync);
    let mut all: Vec<(Cow<'static, str>, std::path::PathBuf, For)> = Vec::new();
    let mut add = |key: &'static str, path: &Option<std::path::PathBuf>, whom| {
        all.extend(path.iter().map(|path| (Cow::Borrowed(key), path.clone(), whom)));
    };
    add("nats.creds_file", &settings.nats.creds_file, For::OwnerByCustom);
    add("nats.tls_ca_file", &settings.nats.tls_ca_file, For::Everybody);
    add("worker.credentials.age_identities", &credentials.age_identities, For::Owner);
    add("worker.credentials.aws_keys_file", &credentials.aws_keys_file, For::Owner);
    add("worker.credentials.vault_token_file", &credentials.vault_token_file, For::Owner);
    add("worker.credentials.vault_secret_id_file", &credentials.vault_secret_id_file, For::Owner);
    add("worker.credentials.vault_ca_file", &credentials.vault_ca_file, For::Everybody);
    add("worker.sync.ssh_key_file", &sync.ssh_key_file, For::Owner);
    add("worker.sync.ssh_known_hosts_file", &sync.ssh_known_hosts_file, For::Everybody);
    add("worker.sources.known_hosts_file", &worker.sources.known_hosts_file, For::Everybody);
    // Made by the roles themselves; not there before their first start.
    let made = |path: std::path::PathBuf, given: bool| Some(path).filter(|path| !given && path.exists());
    add("admin-token", &made(settings.admin_token_path(), settings.gateway.admin_token.is_some()), For::Owner);
    add("sealing-key", &made(settings.sealing_key_path(), settings.scheduler.sealing_key.is_some()), For::Owner);
    for (n, source) in settings.sources.iter().enumerate() {
        let of_source = [
            ("secrets_file", &source.secrets_file, For::OwnerByCustom),
            ("token_file", &source.token_file, For::OwnerByCustom),
            ("ssh_key_file", &source.ssh_key_file, For::OwnerByCustom),
            ("known_hosts_file", &source.known_hosts_file, For::Everybody),
        ];
        for (name, path, whom) in of_source {
            all.extend(path.iter().map(|path| (Cow::Owned(format!("sources[{n}].{name}")), path.clone(), whom)));
        }
    }
    all
}

/// Whether a file is there, is one, and is for those it should be for.
pub(super) fn file(key: Cow<'static, str>, path: &Path, whom: For) -> Finding {
    let shown = path.display();
    let about = match std::fs::metadata(path) {
        Ok(about) if about.is_file() => about,
        Ok(_) => return Finding::fail(key, format!("{shown} is no regular file"), "name a file"),
        Err(error) => return Finding::fail(key, format!("{shown}: {error}"), "put it there, or correct the path"),
    };
    if let Err(error) = std::fs::File::open(path) {
        let advice =
            format!("let the user that Navvy runs as read it (it belongs to user {}, mode {:04o})", about.uid(), about.mode() & 0o7777);
        return Finding::fail(key, format!("{shown} cannot be read: {error}"), advice);
    }
    if about.len() == 0 {
        return Finding::fail(key, format!("{shown} is empty"), "write what belongs into it");
    }
    let (mode, me) = (about.mode() & 0o7777, nix::unistd::geteuid().as_raw());
    let (readable, writable) = (mode & 0o077 != 0, mode & 0o022 != 0);
    let found = format!("{shown}, mode {mode:04o}");
    match whom {
        For::Everybody | For::OwnerByCustom if writable => {
            Finding::fail(key, format!("{found}: others may write it"), format!("chmod go-w {shown}"))
        }
        For::Owner if readable => Finding::fail(key, format!("{found}: others may use it, so it is refused"), format!("chmod 600 {shown}")),
        For::OwnerByCustom if readable => Finding::warn(key, format!("{found}: others may read it"), format!("chmod 600 {shown}")),
        For::Owner | For::OwnerByCustom if about.uid() != me => Finding::warn(
            key,
            format!("{found}, belongs to user {}", about.uid()),
            "check that Navvy runs as that user, or as one that may read it",
        ),
        For::Owner | For::OwnerByCustom | For::Everybody => Finding::ok(key, found),
    }
}

/// What the gateway says of a source: it reads all its files.
async fn followed(n: usize, source: &Followed, settings: &Settings) -> Finding {
    let key = format!("source {}", if source.id.is_empty() { n.to_string() } else { source.id.clone() });
    if let Some(path) = &source.vault_path {
        let advice = "check the path, the login of worker.credentials, and that its policy lets it read there";
        match in_vault(path, source, settings).await {
            Ok(1) => {}
            Ok(count) => {
                return Finding::warn(
                    key,
                    format!("{path}: {count} secrets are in force"),
                    "take the second line out once the forge uses the first",
                );
            }
            Err(why) => return Finding::fail(key, format!("{path}: {why}"), advice),
        }
    }
    match gateway::secrets_in_force(source, settings) {
        Ok(0) => Finding::ok(key, "its files and its secret in Vault can be used; one secret is in force"),
        Ok(1) => Finding::ok(key, "its files can be used; one secret is in force"),
        Ok(count) => Finding::warn(
            key,
            format!("its files can be used; {count} secrets are in force"),
            "take the second line out once the forge uses the first",
        ),
        Err(fault) => {
            let causes = crate::problem::causes(&fault);
            let told = if causes.is_empty() { fault.to_string() } else { format!("{fault}: {causes}") };
            Finding::fail(key, told, "no gateway starts with it as it is")
        }
    }
}

/// How many secrets of a webhook stand in Vault.
async fn in_vault(path: &str, source: &Followed, settings: &Settings) -> Result<usize, String> {
    let told = |error: crate::problem::CliError| format!("{error}: {}", crate::problem::causes(&error));
    let vault = Vault::of_sources(settings).map_err(told)?.ok_or("no source needs it")?;
    gateway::secrets_in(gateway::SecretStore::fetch(&vault, path).await?.expose(), source.kind)
}

/// The file of the services' secrets, by the rules of the worker.
fn services(settings: &Settings) -> Option<Finding> {
    let (key, path) = ("worker.sync.secrets_file", settings.worker.sync.secrets_file.as_ref()?);
    Some(match worker::sync::secrets_file::read(path) {
        Ok(variables) => Finding::ok(key, format!("{}: {} variables", path.display(), variables.len())),
        Err(error) => Finding::fail(key, format!("{}: {error}", path.display()), "see to it that its agent runs and may read the secrets"),
    })
}

async fn vault(settings: &Settings) -> Option<Finding> {
    let (key, address) = ("Vault", settings.worker.credentials.vault_url.as_ref()?);
    let keeper = match worker::keeper(settings) {
        Ok(keeper) => keeper,
        Err(error) => {
            return Some(Finding::fail(key, format!("{error}: {}", crate::problem::causes(&error)), "correct worker.credentials"));
        }
    };
    Some(match keeper.check_vault().await {
        Ok(()) => Finding::ok(key, format!("{address} takes the worker's token")),
        Err(cause) => Finding::fail(key, format!("{address}: {cause}"), "check the address, the login, and that Vault is unsealed"),
    })
}

async fn github(settings: &Settings) -> Vec<Finding> {
    let key = "gateway.github.token";
    if settings.gateway.github.token.is_none() {
        return Vec::new();
    }
    let github = match GitHub::new(&settings.gateway.github) {
        Ok(github) => github,
        Err(error) => return vec![Finding::fail(key, error.to_string(), "correct gateway.github")],
    };
    let repositories: Vec<String> = gateway::repositories_of(&github, settings);
    if repositories.is_empty() {
        return vec![asked(key.to_owned(), github.reach(None).await)];
    }
    let mut all = Vec::new();
    for repository in repositories {
        all.push(asked(format!("{key} at {repository}"), github.reach(Some(&repository)).await));
    }
    all
}

/// Only where GitHub has spoken about the token is another one of any use.
fn asked(key: String, answer: Result<(), ForgeError>) -> Finding {
    let Err(error) = answer else { return Finding::ok(key, "GitHub takes it") };
    let advice = match error {
        ForgeError::NotThere(_) | ForgeError::Denied(_) | ForgeError::Refused(_) => {
            "make a token that may do what the configuration's reference says of it"
        }
        ForgeError::Limited { .. } => "wait as long, and look once more",
        ForgeError::Unavailable(_) => "check gateway.github.api_url and the way there; nothing is known of the token",
    };
    Finding::fail(key, error.to_string(), advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_judged_by_whom_it_is_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "hunter2").unwrap();
        for (mode, owner, custom, everybody) in [
            (0o600, State::Ok, State::Ok, State::Ok),
            (0o644, State::Fail, State::Warn, State::Ok),
            (0o640, State::Fail, State::Warn, State::Ok),
            (0o620, State::Fail, State::Fail, State::Fail),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let judged = [For::Owner, For::OwnerByCustom, For::Everybody].map(|whom| file("x".into(), &path, whom));
            assert_eq!(judged.each_ref().map(|finding| finding.state), [owner, custom, everybody], "{mode:o}");
            assert!(judged.iter().all(|finding| !format!("{finding:?}").contains("hunter2")));
        }
        std::fs::write(&path, "").unwrap();
        for (path, word) in [(path, "empty"), (dir.path().join("gone"), "No such file"), (dir.path().to_owned(), "no regular file")] {
            let finding = file("x".into(), &path, For::Owner);
            assert!(finding.state == State::Fail && finding.found.contains(word) && !finding.advice.is_empty(), "{finding:?}");
        }
    }

    #[test]
    fn a_forge_that_is_away_says_nothing_of_the_token() {
        for (answer, word) in [
            (ForgeError::Denied("x".into()), "make a token"),
            (ForgeError::NotThere("x".into()), "make a token"),
            (ForgeError::Unavailable("x".into()), "nothing is known of the token"),
            (ForgeError::Limited { retry_after: std::time::Duration::from_mins(1) }, "wait"),
        ] {
            let finding = asked("k".into(), Err(answer.clone()));
            assert!(finding.state == State::Fail && finding.advice.contains(word), "{answer:?}: {finding:?}");
        }
        assert_eq!(asked("k".into(), Ok(())).state, State::Ok);
    }

    #[tokio::test]
    async fn what_the_configuration_names_is_looked_at_and_no_value_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            Some(path)
        };
        let secret = "hunter2-hunter2-hunter2-hunter2-hunter2";
        let source = |id: &str, text: &str| Followed {
            id: id.into(),
            repository: "https://git.example/acme/infra".into(),
            secrets_file: write(id, text),
            ..Followed::default()
        };
        let mut settings = Settings { data_dir: dir.path().join("data"), ..Settings::default() };
        settings.git.allowed_hosts = vec!["git.example".into()];
        settings.sources = vec![source("one", secret), source("two", &format!("{secret}\n{secret}2\n")), source("short", "hunter2\n")];
        settings.worker.sync.secrets_file = write("env", "PASSWORD=hunter2");
        let all = check(&settings).await;
        let state = |key: &str| all.iter().find(|finding| finding.check == key).unwrap_or_else(|| panic!("{key} in {all:?}")).state;
        assert_eq!((state("source one"), state("source two"), state("source short")), (State::Ok, State::Warn, State::Fail));
        assert_eq!(
            (state("sources[0].secrets_file"), state("worker.sync.secrets_file")),
            (State::Ok, State::Fail),
            "it may be half written"
        );
        assert!(!format!("{all:?}").contains("hunter2"), "{all:?}");
        let nothing = check(&Settings { data_dir: dir.path().join("data"), ..Settings::default() }).await;
        assert_eq!((nothing.len(), nothing[0].state), (1, State::Ok));
    }
}
