//! How a worker logs in to a source's git server: from files, as they are when a run is started.

use super::watched::{FileFault, Watched};
use proto::{Secret, terraform::GitAuth};
use service::settings::Followed;
use std::path::Path;

/// The files.
#[derive(Debug)]
pub(super) enum Login {
    Nothing,
    Token { username: Option<String>, token: Watched<Secret> },
    Key { username: Option<String>, key: Watched<Secret>, known_hosts: Watched<String> },
}

impl Login {
    pub(super) fn new(of: &Followed) -> Result<Self, FileFault> {
        let username = of.username.clone();
        Ok(match (&of.token_file, &of.ssh_key_file, &of.known_hosts_file) {
            (Some(path), _, _) => Self::Token { username, token: Watched::open(path, token)? },
            (None, Some(path), Some(hosts)) => {
                Self::Key { username, key: Watched::open(path, key)?, known_hosts: Watched::open(hosts, known_hosts)? }
            }
            (None, None, _) => Self::Nothing,
            // The settings are checked before: a key without hosts is refused there, and here once more.
            (None, Some(path), None) => return Err(missing_hosts(path)),
        })
    }

    /// As the files have it now.
    pub(super) fn now(&self) -> Option<GitAuth> {
        match self {
            Self::Nothing => None,
            Self::Token { username: None, token } => Some(GitAuth::Token { token: (*token.now()).clone() }),
            Self::Token { username: Some(username), token } => {
                Some(GitAuth::Basic { username: username.clone(), password: (*token.now()).clone() })
            }
            Self::Key { username, key, known_hosts } => Some(GitAuth::Ssh {
                username: username.clone(),
                private_key: (*key.now()).clone(),
                known_hosts: (*known_hosts.now()).clone(),
            }),
        }
    }

    /// Whether the files can be read now.
    pub(super) fn check(&self) -> Result<(), FileFault> {
        match self {
            Self::Nothing => Ok(()),
            Self::Token { token, .. } => token.check(),
            Self::Key { key, known_hosts, .. } => key.check().and_then(|()| known_hosts.check()),
        }
    }
}

fn missing_hosts(path: &Path) -> FileFault {
    FileFault {
        path: path.to_owned(),
        what: "is a key without known_hosts_file: a server whose key is not known could be anybody's".to_owned(),
    }
}

fn token(text: &str) -> Result<Secret, String> {
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() || line.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err("is no good: a token is one line of visible characters".to_owned());
    }
    Ok(Secret::new(line))
}

fn key(text: &str) -> Result<Secret, String> {
    let whole = text.trim_start().starts_with("-----BEGIN ") && text.trim_end().ends_with("-----");
    if whole { Ok(Secret::new(text)) } else { Err("is no good: a private key begins with `-----BEGIN` and ends with `-----`".to_owned()) }
}

fn known_hosts(text: &str) -> Result<String, String> {
    let named = text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    if named { Ok(text.to_owned()) } else { Err("names no host: write the server's keys into it, as ssh-keyscan shows them".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_login_is_made_of_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).unwrap();
            Some(dir.path().join(name))
        };
        let pem = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n";
        let of = Followed { token_file: file("token", "canary-token\n"), ..Followed::default() };
        let told = Login::new(&of).unwrap().now();
        assert_eq!(told, Some(GitAuth::Token { token: Secret::new("canary-token") }));
        let with_user = Followed { username: Some("bot".into()), ..of };
        let told = Login::new(&with_user).unwrap().now();
        assert_eq!(told, Some(GitAuth::Basic { username: "bot".into(), password: Secret::new("canary-token") }));
        let of =
            Followed { ssh_key_file: file("key", pem), known_hosts_file: file("hosts", "h ssh-ed25519 AAAA\n"), ..Followed::default() };
        let Some(GitAuth::Ssh { private_key, known_hosts, .. }) = Login::new(&of).unwrap().now() else { panic!("a key") };
        assert_eq!((private_key.expose(), known_hosts.as_str()), (pem, "h ssh-ed25519 AAAA\n"));
        assert_eq!(Login::new(&Followed::default()).unwrap().now(), None);
        for of in [
            Followed { token_file: file("token", "two words"), ..Followed::default() },
            Followed { ssh_key_file: file("key", "no key"), known_hosts_file: file("hosts", "h x y"), ..Followed::default() },
            Followed { ssh_key_file: file("key", pem), known_hosts_file: file("hosts", "# nothing\n"), ..Followed::default() },
            Followed { ssh_key_file: file("key", pem), ..Followed::default() },
        ] {
            assert!(Login::new(&of).is_err(), "{of:?}");
        }
    }
}
