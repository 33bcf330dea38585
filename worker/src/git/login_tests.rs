//! Which credentials may go with which address.

use super::*;
use proto::git::GitUrl;

fn ssh(user: Option<&str>, key: &str, known_hosts: &str) -> GitAuth {
    GitAuth::Ssh { username: user.map(str::to_owned), private_key: Secret::new(key), known_hosts: known_hosts.to_owned() }
}

fn verdict(url: &str, auth: Option<&GitAuth>) -> Result<(), GitError> {
    let url: GitUrl = url.parse().expect("an address");
    check(Source { url: &url, auth })
}

#[test]
fn credentials_must_fit_the_address() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n";
    let good = ssh(None, key, "h ssh-ed25519 AAAA");
    let basic = GitAuth::Basic { username: "u".into(), password: Secret::new("p") };
    assert!(verdict("git@h:x", Some(&good)).is_ok());
    assert!(verdict("https://h/x", Some(&basic)).is_ok());
    assert!(matches!(verdict("https://h/x", Some(&good)), Err(GitError::LoginDoesNotFit { kind: "ssh", .. })));
    assert!(matches!(verdict("git@h:x", Some(&basic)), Err(GitError::LoginDoesNotFit { .. })));
    assert!(matches!(verdict("git@h:x", None), Err(GitError::SshKeyNeeded { .. })));
}

#[test]
fn an_ssh_login_needs_a_pinned_host_a_key_and_a_plain_name() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n";
    let hosts = "h ssh-ed25519 AAAA";
    let at = |auth: &GitAuth| verdict("ssh://h/x", Some(auth));
    assert!(matches!(at(&ssh(None, key, " \n# none\n")), Err(GitError::KnownHostsMissing { .. })));
    assert!(matches!(at(&ssh(None, "hello", hosts)), Err(GitError::SshKeyUnusable)));
    for user in ["", "-oProxyCommand=x", "a b", "a\nProxyCommand x"] {
        assert!(matches!(at(&ssh(Some(user), key, hosts)), Err(GitError::LoginUnusable { .. })), "{user:?}");
    }
}

#[test]
fn a_password_is_one_line() {
    let two = GitAuth::Token { token: Secret::new("a\nb") };
    let none = GitAuth::Token { token: Secret::new("") };
    assert!(matches!(verdict("https://h/x", Some(&two)), Err(GitError::LoginUnusable { .. })));
    assert!(matches!(verdict("https://h/x", Some(&none)), Err(GitError::LoginUnusable { .. })));
}
