//! The other end of `GIT_ASKPASS` and of a credential helper: git starts this binary to ask for a user name or a password.
//!
//! The answer comes from a 0600 file that exists only while one git command runs; its path is in the environment of that
//! command. Nothing secret is in argv or in an environment variable. A question about another server than the one the
//! credentials were given for gets no answer.
//!
//! Askpass serves addresses that were checked here. A helper (git calls it with `get`) serves those that somebody else
//! wrote: git hands it scheme and host in fields of their own, which no spelling of an address can shift.

use proto::Secret;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Name under which git starts this binary.
pub(super) const PROGRAM: &str = "navvy-askpass";
/// Environment variable with the path of the credentials file.
pub(super) const FILE: &str = "NAVVY_ASKPASS_FILE";

/// What the credentials file holds, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Credentials {
    /// `https://host[:port]`, as git writes it in its question.
    pub(super) origin: String,
    pub(super) username: String,
    pub(super) password: Secret,
}

/// Whether the program was started by git to answer a question; `argv0` is the first argument. Then `main` must do
/// nothing but return [`main`]'s exit code.
pub fn called_as(argv0: &OsStr) -> bool {
    Path::new(argv0).file_name() == Some(OsStr::new(PROGRAM))
}

/// Longest description of a request that is read from git, in bytes.
const MAX_REQUEST: u64 = 64 * 1024;

/// Answers the question in the last argument on standard output. Prints nothing on failure: git then gives up.
pub fn main() -> ExitCode {
    let question = std::env::args_os().next_back().unwrap_or_default();
    // A helper is also told to keep or to forget credentials: these are nobody's to keep.
    if question == "store" || question == "erase" {
        return ExitCode::SUCCESS;
    }
    let credentials = std::env::var_os(FILE)
        .and_then(|path| std::fs::read(path).ok())
        .and_then(|content| serde_json::from_slice::<Credentials>(&content).ok());
    let answer = credentials.and_then(|credentials| {
        if question == "get" {
            let mut request = String::new();
            std::io::stdin().take(MAX_REQUEST).read_to_string(&mut request).ok()?;
            return help(&request, &credentials);
        }
        answer(&question.to_string_lossy(), credentials)
    });
    let Some(answer) = answer else {
        return ExitCode::FAILURE;
    };
    match writeln!(std::io::stdout(), "{}", answer.expose()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// git-credential(1): lines `key=value`, of which the last of its name counts.
fn help(request: &str, credentials: &Credentials) -> Option<Secret> {
    let field = |wanted: &str| request.lines().rev().filter_map(|line| line.split_once('=')).find(|(key, _)| *key == wanted);
    let ((_, scheme), (_, host)) = (field("protocol")?, field("host")?);
    let usual = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let host = host.strip_suffix(usual).unwrap_or(host);
    (format!("{scheme}://{host}") == credentials.origin)
        .then(|| Secret::new(format!("username={}\npassword={}", credentials.username, credentials.password.expose())))
}

/// git asks `Username for 'https://host': ` and `Password for 'https://user@host': ` (in the C locale).
fn answer(question: &str, credentials: Credentials) -> Option<Secret> {
    let (kind, rest) = question.split_once(" for '")?;
    let (asked, _) = rest.rsplit_once('\'')?;
    let (scheme, authority) = asked.split_once("://")?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if format!("{scheme}://{host}") != credentials.origin {
        return None;
    }
    match kind {
        "Username" => Some(Secret::new(credentials.username)),
        "Password" => Some(credentials.password),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(question: &str) -> Option<String> {
        let credentials = Credentials { origin: "https://git.example:8443".into(), username: "ci".into(), password: Secret::new("pw") };
        answer(question, credentials).map(|answer| answer.expose().to_owned())
    }

    #[test]
    fn only_the_right_server_gets_an_answer() {
        assert_eq!(told("Username for 'https://git.example:8443': ").as_deref(), Some("ci"));
        assert_eq!(told("Password for 'https://c%40i@git.example:8443': ").as_deref(), Some("pw"));
        for question in [
            "Password for 'https://git.example': ",
            "Password for 'http://git.example:8443': ",
            "Password for 'https://ci@evil.example:8443': ",
            "Password for 'https://git.example:8443@evil.example': ",
            "Enter passphrase for key '/k': ",
            "",
        ] {
            assert_eq!(told(question), None, "{question}");
        }
    }

    #[test]
    fn a_helper_answers_for_one_scheme_host_and_port() {
        let asked = |origin: &str, request: &str| {
            let credentials = Credentials { origin: origin.into(), username: "ci".into(), password: Secret::new("pw") };
            help(request, &credentials).map(|answer| answer.expose().to_owned())
        };
        let given = Some("username=ci\npassword=pw".to_owned());
        let own = "https://git.example:8443";
        assert_eq!(asked(own, "protocol=https\nhost=git.example:8443\nusername=x\n\n"), given);
        assert_eq!(asked("https://git.example", "capability[]=authtype\nprotocol=https\nhost=git.example:443\n"), given);
        for request in [
            "protocol=http\nhost=git.example:8443\n",
            "protocol=https\nhost=git.example\n",
            "protocol=https\nhost=git.example:443\n",
            "protocol=https\nhost=evil.example:8443\npath=git.example:8443\n",
            "protocol=https\nhost=git.example:8443\nhost=evil.example\n",
            "protocol=https\nhost=git.example:8443@evil.example\n",
            "protocol=ftp\nhost=git.example:8443\n",
            "host=git.example:8443\n",
            "",
        ] {
            assert_eq!(asked(own, request), None, "{request}");
        }
    }

    #[test]
    fn the_name_decides_who_is_called() {
        assert!(called_as(OsStr::new("/dev/shm/x/navvy-askpass")));
        assert!(!called_as(OsStr::new("/usr/bin/navvy")));
    }
}
