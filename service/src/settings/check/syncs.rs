//! The rules of syncs: sources, and what becomes of their pushes. What files hold is looked at by the gateway, which reads them.
//!
//! A rule says why it is there; the numbers that are limits of ours stand at the top.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Findings, address};
use crate::settings::tree::{Followed, ForgeKind, Settings, Sync};

/// Shortest secret of a webhook, in bytes: 128 bits as hexadecimal digits.
const SHORTEST_SECRET: usize = 32;
/// Longest that a stamped signature may be good for: nonces are remembered for two hours, a time may be off both ways, and
/// so may the clocks of gateways. The gateway compares this with the store.
const LONGEST_SIGNATURE: Duration = Duration::from_mins(30);

pub(super) fn syncs(settings: &Settings, found: &mut Findings) {
    sync(&settings.sync, found);
    let mut ids = BTreeSet::new();
    for (n, source) in settings.sources.iter().enumerate() {
        let key = |name: &str| format!("sources[{n}].{name}");
        let unique = source.id.is_empty() || ids.insert(source.id.as_str());
        let rest = ("the id is its address and its name in the store", "give each source an id of its own");
        found.require(unique, &key("id"), format!("{:?} is there twice", source.id), rest);
        followed(source, &key, found);
        secrets(source, &key, settings.worker.credentials.vault_url.is_some(), found);
        login(source, &key, found);
    }
}

fn sync(sync: &Sync, found: &mut Findings) {
    environment("sync.environment", &sync.environment, found);
    let first = sync.command.first().is_some_and(|program| !program.contains('{'));
    let rest = ("which program runs must not depend on what is pushed", "write the program first, such as [\"invoke\", \"{task}\"]");
    found.require(first, "sync.command", "does not begin with a program", rest);
    let whole_seconds = sync.timeout.subsec_nanos() == 0 && u32::try_from(sync.timeout.as_secs()).is_ok();
    let rest = ("workers count in seconds", "write such as 10m");
    found.require(whole_seconds, "sync.timeout", format!("{} is not a number of seconds", sync.timeout), rest);
    let rest = ("nonces are not remembered longer", "write 30m or less");
    found.require(*sync.signature_ttl <= LONGEST_SIGNATURE, "sync.signature_ttl", format!("{} is too long", sync.signature_ttl), rest);
}

pub(super) fn environment(key: &str, name: &str, found: &mut Findings) {
    let good = (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let rest = ("it becomes a part of host names and folders", "use 1 to 32 of a-z, 0-9 and _, such as staging");
    found.require(good, key, format!("{name:?} is no environment"), rest);
}

fn followed(source: &Followed, key: &impl Fn(&str) -> String, found: &mut Findings) {
    let name = ("the name is part of a NATS subject or key", "use 1 to 63 lower-case letters, digits, - and _");
    found.require(address::is_name(&source.id, false), &key("id"), format!("{:?} is no name", source.id), name);
    found.require(address::is_name(&source.pool, false), &key("pool"), format!("{:?} is no name", source.pool), name);
    repository(source, key, found);
    let branch = !source.branch.is_empty() && !source.branch.starts_with("refs/");
    let rest = ("pushes name branches in full, and it is put together from this", "write the branch alone, such as main");
    found.require(branch, &key("branch"), format!("{:?} is no branch", source.branch), rest);
    let rest = ("nothing would ever be synced", "name at least one, such as [\"platform\"]");
    found.require(!source.projects.is_empty(), &key("projects"), "is empty", rest);
    let rest = ("it would match nobody, or whoever has no name", "write names as `sender` of a delivery shows them");
    found.require(source.ignore_senders.iter().all(|name| !name.trim().is_empty()), &key("ignore_senders"), "has an empty name", rest);
    if let Some(name) = &source.environment {
        environment(&key("environment"), name, found);
    }
}

/// Only what can be told without quoting it: it may hold a password. The gateway reads it to the letter.
fn repository(source: &Followed, key: &impl Fn(&str) -> String, found: &mut Findings) {
    let text = source.repository.as_str();
    let rest = ("there is nothing to sync from", "write the address that git clones it from");
    found.require(!text.is_empty(), &key("repository"), "is missing", rest);
    let authority = text.split_once("://").map(|(scheme, rest)| (scheme, rest.split('/').next().unwrap_or_default()));
    let credentials = match authority {
        Some(("ssh", authority)) => authority.split_once('@').is_some_and(|(login, _)| login.contains(':')),
        Some((_, authority)) => authority.contains('@'),
        None => false,
    };
    let rest = ("addresses are shown in logs and listings", "use token_file or ssh_key_file instead");
    found.require(!credentials, &key("repository"), "holds a user name or password", rest);
}

fn secrets(source: &Followed, key: &impl Fn(&str) -> String, has_vault: bool, found: &mut Findings) {
    let make = "make one with: openssl rand -hex 32";
    let given = [
        ("secrets_file", source.secrets_file.is_some()),
        ("webhook_secret", source.webhook_secret.is_some()),
        ("vault_path", source.vault_path.is_some()),
    ];
    let mut given = given.iter().filter(|(_, is)| *is).map(|(name, _)| *name);
    match (given.next(), given.next()) {
        (None, _) => {
            let why = "whoever reaches the address could deploy";
            found.add(&key("secrets_file"), "is missing, and so are vault_path and webhook_secret (WEBHOOK_SECRET)", why, make);
        }
        (Some(first), Some(second)) => {
            let why = "it is not clear which of them is meant";
            found.add(&key(second), format!("is set together with {first}"), why, "keep one of them");
        }
        (Some(_), None) => {}
    }
    if let Some(secret) = &source.webhook_secret {
        let long = secret.expose().len() >= SHORTEST_SECRET;
        let rest = ("it can be guessed, and whoever has it can deploy", make);
        found.require(long, &key("webhook_secret"), format!("has fewer than {SHORTEST_SECRET} bytes"), rest);
        let pair = source.kind != ForgeKind::AzureDevops || secret.expose().contains(':');
        let rest = ("Azure DevOps logs in with both", "write user:password");
        found.require(pair, &key("webhook_secret"), "is no user and password", rest);
    }
    if let Some(path) = &source.vault_path {
        let sound = path.split_once('#').is_some_and(|(path, field)| {
            let whole = path.split('/').count() >= 2 && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
            whole && !field.is_empty() && !path.chars().chain(field.chars()).any(char::is_control)
        });
        let rest = ("one field of one secret is read", "write MOUNT/PATH#FIELD, such as secret/platform/webhook#SECRET");
        found.require(sound, &key("vault_path"), format!("{path:?} is no field of a secret"), rest);
        let rest = ("there is no Vault to ask", "set worker.credentials.vault_url, and how to log in there");
        found.require(has_vault, &key("vault_path"), "is set without worker.credentials.vault_url", rest);
    }
}

fn login(source: &Followed, key: &impl Fn(&str) -> String, found: &mut Findings) {
    let (token, ssh) = (source.token_file.is_some(), source.ssh_key_file.is_some());
    found.require(!(token && ssh), &key("token_file"), "is set together with ssh_key_file", ("only one can be used", "keep one of them"));
    let rest = ("a server whose key is not known could be anybody's", "set both, or neither");
    found.require(ssh == source.known_hosts_file.is_some(), &key("ssh_key_file"), "and known_hosts_file go together", rest);
    let rest = ("it logs in nowhere", "set token_file or ssh_key_file, or remove it");
    found.require(source.username.is_none() || token || ssh, &key("username"), "is set without a token or key", rest);
    let over_ssh = source.repository.starts_with("ssh://") || !source.repository.contains("://");
    let rest = ("ssh_key_file goes with ssh, token_file with https", "use the one that fits repository");
    let fits = (!token || !over_ssh) && (!ssh || over_ssh);
    found.require(source.repository.is_empty() || fits, &key("repository"), "is not reached with this login", rest);
}
