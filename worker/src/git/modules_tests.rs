//! What is written down for a command that starts git by itself. Whether git and ssh keep to it is shown over real servers.

use super::*;
use proto::git::GitUrl;
use std::path::PathBuf;

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n";

fn prepared(url: &str, auth: Option<&GitAuth>, operator: &[(&str, &str)]) -> ModuleLogin {
    let url: GitUrl = url.parse().expect("an address");
    let operator: Vec<_> = operator.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let source = Source { url: &url, auth };
    ModuleLogin::prepare(source, Path::new("/proc/1/exe"), &std::env::temp_dir(), &operator).expect("prepared")
}

fn token() -> GitAuth {
    GitAuth::Token { token: Secret::new("s3cret-token") }
}

fn ssh() -> GitAuth {
    GitAuth::Ssh { username: None, private_key: Secret::new(KEY), known_hosts: "h ssh-ed25519 AAAA".to_owned() }
}

#[test]
fn without_credentials_nothing_is_changed() {
    assert!(prepared("https://git.example/x.git", None, &[]).env().is_empty());
}

#[test]
fn a_password_is_behind_a_helper_for_one_origin_and_goes_with_the_login() {
    let login = prepared("https://Git.example:8443/x.git", Some(&token()), &[("GIT_CONFIG_GLOBAL", "/etc/op\"s")]);
    let [("GIT_CONFIG_GLOBAL", path)] = login.env() else { panic!("{login:?}") };
    let config = std::fs::read_to_string(path).expect("written");
    assert!(
        config.starts_with("[include]\n\tpath = \"/etc/op\\\"s\"\n[credential \"https://git.example:8443\"]\n\thelper =\n"),
        "{config}"
    );
    assert!(!config.contains("s3cret") && !format!("{login:?}").contains("s3cret"), "{config}");
    let dir = PathBuf::from(path).parent().expect("a folder").to_owned();
    assert!(dir.join("credentials").exists());
    drop(login);
    assert!(!dir.exists());
}

#[test]
fn a_key_is_for_one_host_and_port() {
    let login = prepared("ssh://git.example:2222/x.git", Some(&ssh()), &[]);
    let command = &login.env()[0].1;
    let path = command.rsplit(' ').next().expect("a path");
    let config = std::fs::read_to_string(path).expect("written");
    assert!(config.starts_with("Match originalhost git.example exec \"test %p = 2222\"\nUser git\nIdentityFile "), "{config}");
    assert_eq!(config.matches("IdentityFile").count(), 1);
    assert!(
        config
            .ends_with("Match originalhost git.example !exec \"test %p = 2222\"\n  Include ~/.ssh/config\n  Include /etc/ssh/ssh_config\n")
    );
    assert!(
        prepared("git@git.example:x.git", Some(&ssh()), &[("GIT_SSH_COMMAND", "ssh -i /op")]).env().is_empty(),
        "an operator's own stays"
    );
}
