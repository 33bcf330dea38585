//! Carries credentials to one git command: through an askpass file for http and https, through a key file and a
//! configuration of our own for ssh. What is written here is removed when the command has ended.

use super::address::Endpoint;
use super::askpass::{Credentials, FILE, PROGRAM};
use super::private_dir::PrivateDir;
use super::{GitError, Source};
use proto::Secret;
use proto::git::Scheme;
use proto::terraform::GitAuth;
use std::ffi::OsString;
use std::path::Path;

/// User name that goes with a bare token. GitHub requires it for app tokens and ignores it for personal ones; GitLab
/// (personal, project and group tokens), Gitea, Forgejo and Azure DevOps accept any name. Two need `basic` with a name
/// of their own: Bitbucket Cloud access tokens (`x-token-auth`) and GitLab deploy or job tokens.
pub(super) const TOKEN_USER: &str = "x-access-token";

/// Environment variables for one git command, and the files they point to.
#[derive(Debug, Default)]
pub(super) struct Login {
    pub(super) env: Vec<(&'static str, OsString)>,
    _files: Option<PrivateDir>,
}

impl Login {
    /// Writes the files. `askpass` is the program that answers git, `fallback` a directory for systems without /dev/shm.
    pub(super) fn prepare(source: Source<'_>, endpoint: &Endpoint, askpass: &Path, fallback: &Path) -> Result<Self, GitError> {
        check(source)?;
        match source.auth {
            None => Ok(Self::default()),
            Some(GitAuth::Basic { username, password }) => Self::by_password(origin(source), (username, password), askpass, fallback),
            Some(GitAuth::Token { token }) => Self::by_password(origin(source), (TOKEN_USER, token), askpass, fallback),
            Some(GitAuth::Ssh { username, private_key, known_hosts }) => {
                let user = username.as_deref().unwrap_or("git");
                Self::by_key(endpoint, (user, private_key), known_hosts, fallback)
            }
        }
    }

    fn by_password(origin: String, login: (&str, &Secret), askpass: &Path, fallback: &Path) -> Result<Self, GitError> {
        let dir = PrivateDir::create(fallback)?;
        let credentials = Credentials { origin, username: login.0.to_owned(), password: login.1.clone() };
        let content = serde_json::to_vec(&credentials).expect("three strings have a JSON form");
        let file = dir.write("credentials", &content)?;
        // A link instead of a script: git starts the binary directly, under a name it recognises.
        let program = dir.link(PROGRAM, askpass)?;
        Ok(Self { env: vec![("GIT_ASKPASS", program.into()), (FILE, file.into())], _files: Some(dir) })
    }

    fn by_key(endpoint: &Endpoint, login: (&str, &Secret), known_hosts: &str, fallback: &Path) -> Result<Self, GitError> {
        let dir = PrivateDir::create(fallback)?;
        write_key(&dir, login.1, known_hosts)?;
        let config = dir.write("ssh_config", ssh_config(endpoint, login.0, dir.path())?.as_bytes())?;
        // git hands this to a shell. The path is ours and `ssh_config` has checked its characters.
        let command = format!("ssh -F {}", config.display());
        Ok(Self { env: vec![("GIT_SSH_COMMAND", command.into()), ("GIT_SSH_VARIANT", "ssh".into())], _files: Some(dir) })
    }
}

/// Writes what [`ssh_settings`] names: a key and the host keys it may be offered to.
pub(super) fn write_key(dir: &PrivateDir, key: &Secret, known_hosts: &str) -> Result<(), GitError> {
    let mut key = key.expose().replace("\r\n", "\n");
    if !key.ends_with('\n') {
        key.push('\n');
    }
    dir.write("key", key.as_bytes())?;
    dir.write("known_hosts", format!("{}\n", known_hosts.replace("\r\n", "\n")).as_bytes())?;
    Ok(())
}

/// Whether the credentials can belong to the address, and hold nothing that would turn into syntax.
pub(super) fn check(source: Source<'_>) -> Result<(), GitError> {
    let url = || source.url.to_string();
    match (source.url.scheme(), source.auth) {
        (Scheme::Http | Scheme::Https, None) => Ok(()),
        (Scheme::Ssh, None) => Err(GitError::SshKeyNeeded { url: url() }),
        (Scheme::Http | Scheme::Https, Some(GitAuth::Basic { username, password })) => {
            one_line("username", username)?;
            one_line("password", password.expose())
        }
        (Scheme::Http | Scheme::Https, Some(GitAuth::Token { token })) => one_line("token", token.expose()),
        (Scheme::Ssh, Some(GitAuth::Ssh { username, private_key, known_hosts })) => {
            let user = username.as_deref().unwrap_or("git");
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if user.is_empty() || user.starts_with('-') || !user.chars().all(plain) {
                let why = "only letters, digits, dot, dash and underscore are allowed";
                return Err(GitError::LoginUnusable { field: "username", why });
            }
            if known_hosts.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
                return Err(GitError::KnownHostsMissing { host: source.url.host().to_owned() });
            }
            if private_key.expose().trim_start().starts_with("-----BEGIN ") { Ok(()) } else { Err(GitError::SshKeyUnusable) }
        }
        (_, Some(auth)) => Err(GitError::LoginDoesNotFit { url: url(), kind: auth.kind() }),
    }
}

fn one_line(field: &'static str, value: &str) -> Result<(), GitError> {
    if value.chars().any(char::is_control) {
        return Err(GitError::LoginUnusable { field, why: "it holds a line break or another control character" });
    }
    if value.is_empty() {
        return Err(GitError::LoginUnusable { field, why: "it is empty" });
    }
    Ok(())
}

/// Scheme, host and port as git repeats them in its question.
pub(super) fn origin(source: Source<'_>) -> String {
    let scheme = match source.url.scheme() {
        Scheme::Http => "http",
        Scheme::Https => "https",
        Scheme::Ssh => "ssh",
    };
    format!("{scheme}://{}", authority(source.url.host(), source.url.port()))
}

/// `host[:port]`, with an IPv6 address in brackets.
pub(super) fn authority(host: &str, port: Option<u16>) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// Everything ssh may do, in place of the system's and the user's configuration. It connects to the checked address and
/// looks for the host key under the name that the user knows.
fn ssh_config(endpoint: &Endpoint, user: &str, dir: &Path) -> Result<String, GitError> {
    let settings = ssh_settings(user, dir)?;
    let alias = if endpoint.port == 22 { endpoint.host.clone() } else { format!("[{}]:{}", endpoint.host, endpoint.port) };
    let address = endpoint.addresses.first().expect("an endpoint has an address");
    Ok(format!("Host *\nHostName {address}\nHostKeyAlias {alias}\n{settings}"))
}

/// How ssh logs in with the key in `dir`: to a server whose key is pinned there, with nothing else, and with no way back
/// into this machine.
pub(super) fn ssh_settings(user: &str, dir: &Path) -> Result<String, GitError> {
    plain_path(dir, "name in ssh's configuration (use a data directory with plain characters)")?;
    let dir = dir.display();
    Ok(format!(
        "User {user}\n\
         IdentityFile {dir}/key\nIdentitiesOnly yes\nIdentityAgent none\n\
         UserKnownHostsFile {dir}/known_hosts\nGlobalKnownHostsFile /dev/null\n\
         StrictHostKeyChecking yes\nUpdateHostKeys no\nCheckHostIP no\nVerifyHostKeyDNS no\n\
         BatchMode yes\nPreferredAuthentications publickey\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nGSSAPIAuthentication no\nHostbasedAuthentication no\n\
         ConnectTimeout 20\nServerAliveInterval 15\nServerAliveCountMax 4\n\
         ForwardAgent no\nForwardX11 no\nClearAllForwardings yes\nTunnel no\nPermitLocalCommand no\n\
         ProxyCommand none\nControlMaster no\nControlPath none\nCanonicalizeHostname no\n\
         AddKeysToAgent no\nLogLevel ERROR\n"
    ))
}

/// Whether a path can stand in a configuration and in a shell's line as it is.
pub(super) fn plain_path(path: &Path, operation: &'static str) -> Result<(), GitError> {
    if path.to_str().is_some_and(|text| text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))) {
        return Ok(());
    }
    Err(GitError::Storage { operation, path: path.to_owned(), source: std::io::ErrorKind::InvalidInput.into() })
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
