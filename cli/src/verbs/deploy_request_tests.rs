//! What `navvy deploy` sends, and what it refuses to send.

use super::*;
use crate::args::{Cli, ClientVerb, Verb};
use clap::Parser as _;

fn parsed(extra: &[&str]) -> Box<DeployArgs> {
    let fixed = ["navvy", "deploy", "--git-url", "https://g.example/a", "--git-ref", "main", "--tool", "tofu"];
    match Cli::try_parse_from(fixed.iter().chain(extra)).unwrap().verb {
        Verb::Client(ClientVerb::Deploy(args)) => args,
        other => panic!("{other:?}"),
    }
}

fn file(content: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let path = file.path().display().to_string();
    (file, path)
}

#[test]
fn what_was_not_given_is_not_sent() {
    let expected = json!({"tool": "tofu", "git_url": "https://g.example/a", "git_ref": "main"});
    assert_eq!(body(&parsed(&[])).unwrap(), expected);
}

#[test]
fn everything_given_is_sent() {
    let (_env, env) = file("TF_VAR_a=1\n");
    let (_password, password) = file("pw\n");
    let flags = ["--init-flags", "-upgrade", "--timeout", "5", "--auto-approve", "--destroy", "--pool", "gpu"];
    let more = ["--env-file", &env, "--env", "TF_VAR_b=x=y", "--public-env", "TF_VAR_b", "--tfvars-file", "a.tfvars"];
    let git = ["--git-username", "me", "--git-password-file", &password, "--backend-config", "bucket=b"];
    let all: Vec<&str> = flags.iter().chain(&more).chain(&git).copied().collect();
    let sent = body(&parsed(&all)).unwrap();
    for (field, value) in [
        ("init_flags", json!("-upgrade")),
        ("timeout", json!(5)),
        ("auto_approve", json!(true)),
        ("destroy", json!(true)),
        ("pool", json!("gpu")),
        ("env_vars", json!({"TF_VAR_a": "1", "TF_VAR_b": "x=y"})),
        ("public_env", json!(["TF_VAR_b"])),
        ("tfvars_files", json!(["a.tfvars"])),
        ("backend_config", json!({"bucket": "b"})),
        ("git_auth", json!({"type": "basic", "username": "me", "password": "pw"})),
    ] {
        assert_eq!(sent[field], value, "{field}");
    }
}

#[test]
fn ssh_and_token_logins_come_from_files() {
    let (_key, key) = file("KEY\nLINES\n");
    let (_hosts, hosts) = file("g.example ssh-ed25519 AAAA\n");
    let ssh = body(&parsed(&["--git-ssh-key-file", &key, "--git-known-hosts-file", &hosts])).unwrap();
    let expected = json!({"type": "ssh", "private_key": "KEY\nLINES\n", "known_hosts": "g.example ssh-ed25519 AAAA\n"});
    assert_eq!(ssh["git_auth"], expected);
    let (_token, token) = file("t0ken\n");
    let sent = body(&parsed(&["--git-token-file", &token])).unwrap();
    assert_eq!(sent["git_auth"], json!({"type": "token", "token": "t0ken"}));
}

#[test]
fn unclear_requests_are_refused_without_quoting_a_value() {
    let (_env, env) = file("A=hunter2\n");
    for extra in [
        &["--env", "A=1", "--env-file", &env] as &[&str],
        &["--public-env", "B"],
        &["--secret-env", "NAVVY_TEST_THAT_IS_NOT_SET"],
        &["--git-username", "me"],
        &["--env-file", "/nonexistent"],
    ] {
        let error = body(&parsed(extra)).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
