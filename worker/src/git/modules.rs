//! Lends a run's credentials to what its configuration fetches from the server that the configuration itself came from
//! (private modules), and to nobody else.
//!
//! `init` starts git by itself, for addresses that the author of the repository wrote. So the addresses are not to be
//! trusted, and the credentials are given to a question, not to a command: over http and https git asks a credential
//! helper of ours, which answers for exactly one scheme, host and port; over ssh the key is offered to exactly one host
//! and port, and only if its host key is pinned. Where git goes otherwise is not changed.

use super::askpass::{Credentials, PROGRAM};
use super::login::{self, TOKEN_USER};
use super::private_dir::PrivateDir;
use super::{GitError, Source, askpass};
use proto::Secret;
use proto::terraform::GitAuth;
use std::path::Path;

/// Variables for one command that starts git by itself, and the files they point to, which go when this is dropped.
#[derive(Debug, Default)]
pub struct ModuleLogin {
    env: Vec<(&'static str, String)>,
    _files: Option<PrivateDir>,
}

impl ModuleLogin {
    /// Writes the files. `helper` is this binary, `fallback` a directory for systems without /dev/shm. What an operator
    /// lets through (`operator`) stays in force: their git configuration is read first, their ssh command is not replaced.
    ///
    /// # Errors
    /// The credentials do not fit the address, or the files cannot be written.
    pub fn prepare(source: Source<'_>, helper: &Path, fallback: &Path, operator: &[(String, String)]) -> Result<Self, GitError> {
        let Some(auth) = source.auth else { return Ok(Self::default()) };
        login::check(source)?;
        let set = |wanted: &str| operator.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        match auth {
            GitAuth::Basic { username, password } => {
                Self::by_password(source, (username, password), helper, fallback, set("GIT_CONFIG_GLOBAL"))
            }
            GitAuth::Token { token } => Self::by_password(source, (TOKEN_USER, token), helper, fallback, set("GIT_CONFIG_GLOBAL")),
            GitAuth::Ssh { .. } if set("GIT_SSH_COMMAND").is_some() => Ok(Self::default()),
            GitAuth::Ssh { username, private_key, known_hosts } => {
                let dir = PrivateDir::create(fallback)?;
                login::write_key(&dir, private_key, known_hosts)?;
                let settings = login::ssh_settings(username.as_deref().unwrap_or("git"), dir.path())?;
                let config = dir.write("ssh_config", ssh_config(source, &settings).as_bytes())?;
                // `ssh_settings` has checked the path's characters: git hands this to a shell.
                let command = format!("ssh -oBatchMode=yes -F {}", config.display());
                Ok(Self { env: vec![("GIT_SSH_COMMAND", command), ("GIT_SSH_VARIANT", "ssh".to_owned())], _files: Some(dir) })
            }
        }
    }

    fn by_password(
        source: Source<'_>,
        login: (&str, &Secret),
        helper: &Path,
        fallback: &Path,
        operators_config: Option<&str>,
    ) -> Result<Self, GitError> {
        let dir = PrivateDir::create(fallback)?;
        login::plain_path(dir.path(), "name in git's configuration (use a data directory with plain characters)")?;
        let origin = login::origin(source);
        let credentials = Credentials { origin: origin.clone(), username: login.0.to_owned(), password: login.1.clone() };
        let file = dir.write("credentials", &serde_json::to_vec(&credentials).expect("three strings have a JSON form"))?;
        let program = dir.link(PROGRAM, helper)?;
        let quoted = |path: &str| path.replace('\\', "\\\\").replace('"', "\\\"");
        let include = operators_config.map(|path| format!("[include]\n\tpath = \"{}\"\n", quoted(path))).unwrap_or_default();
        // The empty helper first: nobody else's helper may be told these credentials to store them.
        let config = format!(
            "{include}[credential \"{origin}\"]\n\thelper =\n\thelper = \"!{}={} {}\"\n\tuseHttpPath = false\n",
            askpass::FILE,
            file.display(),
            program.display()
        );
        let config = dir.write("config", config.as_bytes())?;
        Ok(Self { env: vec![("GIT_CONFIG_GLOBAL", config.display().to_string())], _files: Some(dir) })
    }

    /// What the command gets in its environment. No value is a secret.
    pub fn env(&self) -> &[(&'static str, String)] {
        &self.env
    }
}

/// The pinned settings for one host and port; everywhere else ssh does what it does without us.
fn ssh_config(source: Source<'_>, settings: &str) -> String {
    let (host, port) = (source.url.host(), source.url.port_or_default());
    let others = "  Include ~/.ssh/config\n  Include /etc/ssh/ssh_config\n";
    // A shell runs the test, and the port is the only text in it that comes from an address: ssh has made it a number.
    format!(
        "Match originalhost {host} exec \"test %p = {port}\"\n{settings}\
         Match !originalhost {host}\n{others}\
         Match originalhost {host} !exec \"test %p = {port}\"\n{others}"
    )
}

#[cfg(test)]
#[path = "modules_tests.rs"]
mod tests;
