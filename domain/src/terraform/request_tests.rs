//! Every way a request may be wrong, and the field that is named.

use super::*;
use serde_json::{Value, json};

fn hosts() -> AllowedHosts {
    AllowedHosts::parse(["git.example", "127.0.0.1:8080"]).expect("valid hosts")
}

fn base() -> Value {
    json!({"tool": "terraform", "git_url": "https://git.example/acme/infra.git", "git_ref": "main"})
}

fn validate(change: &Value) -> Result<(TerraformSpec, SecretParts), Vec<FieldError>> {
    let mut request = base();
    for (key, value) in change.as_object().expect("object") {
        request[key] = value.clone();
    }
    serde_json::from_value::<DeployRequest>(request).expect("well-formed").validate(&hosts())
}

#[test]
fn the_smallest_request_gets_the_defaults_of_the_replaced_runner() {
    let (spec, secrets) = validate(&json!({})).expect("valid");
    assert_eq!(spec.path.as_str(), ".");
    assert_eq!(spec.workspace, "default");
    assert_eq!(spec.timeout_minutes, 60);
    assert!(!spec.auto_approve && !spec.destroy);
    assert_eq!(secrets, SecretParts::default());
}

#[test]
fn each_bad_field_is_named() {
    for (change, field) in [
        (json!({"tool": "pulumi"}), "tool"),
        (json!({"tool": null}), "tool"),
        (json!({"git_url": null}), "git_url"),
        (json!({"git_url": "ext::sh -c id"}), "git_url"),
        (json!({"git_url": "file:///etc"}), "git_url"),
        (json!({"git_url": "https://other.example/x"}), "git_url"),
        (json!({"git_url": "http://169.254.169.254/x"}), "git_url"),
        (json!({"git_ref": "--upload-pack=x"}), "git_ref"),
        (json!({"git_ref": ""}), "git_ref"),
        (json!({"path": "../x"}), "path"),
        (json!({"path": "/etc"}), "path"),
        (json!({"tfvars_files": ["ok.tfvars", "../x"]}), "tfvars_files[1]"),
        (json!({"tfvars_files": [""]}), "tfvars_files[0]"),
        (json!({"tfvars_files": ["./."]}), "tfvars_files[0]"),
        (json!({"init_flags": "-plugin-dir=x"}), "init_flags"),
        (json!({"plan_flags": "-out=x"}), "plan_flags"),
        (json!({"plan_flags": "'open"}), "plan_flags"),
        (json!({"timeout": 0}), "timeout"),
        (json!({"timeout": -1}), "timeout"),
        (json!({"timeout": 1_000_000_000}), "timeout"),
        (json!({"env_vars": {"LD_PRELOAD": "x"}}), "env_vars"),
        (json!({"env_vars": {"GIT_SSH_COMMAND": "x"}}), "env_vars"),
        (json!({"public_env": ["NOT_SET"]}), "public_env"),
        (json!({"workspace": "../x"}), "workspace"),
        (json!({"workspace": ""}), "workspace"),
        (json!({"workspace": "-x"}), "workspace"),
        (json!({"tool_version": "../../x"}), "tool_version"),
        (json!({"tool_version": "latest"}), "tool_version"),
        (json!({"backend_config": {"a b": "x"}}), "backend_config"),
        (json!({"git_auth": {"type": "magic"}}), "git_auth.type"),
        (json!({"git_auth": {"type": "http", "username": "u"}}), "git_auth"),
        (json!({"git_auth": {"type": "ssh", "private_key": "k", "known_hosts": "h"}}), "git_auth.type"),
        (json!({"git_url": "git@git.example:acme/infra"}), "git_auth"),
    ] {
        let errors = validate(&change).expect_err(&change.to_string());
        assert!(errors.iter().any(|error| error.field == field), "{change}: {errors:?}");
    }
}

#[test]
fn all_problems_come_at_once() {
    let errors = validate(&json!({"tool": "x", "git_ref": "-x", "timeout": 0})).expect_err("three problems");
    assert_eq!(errors.len(), 3, "{errors:?}");
}

#[test]
fn every_kind_of_git_login_is_understood() {
    for (auth, kind) in [
        (json!({"type": "http", "username": "u", "password": "p"}), "basic"),
        (json!({"type": "https", "username": "u", "password": "p"}), "basic"),
        (json!({"type": "basic", "username": "u", "password": "p"}), "basic"),
        (json!({"type": "token", "token": "t"}), "token"),
        (json!({"type": "token", "password": "t"}), "token"),
    ] {
        let (spec, _) = validate(&json!({"git_auth": auth})).expect("valid");
        assert_eq!(spec.git_auth.as_deref(), Some(kind));
    }
    let ssh = json!({"git_url": "git@git.example:a/b", "git_auth": {"type": "ssh", "private_key": "k", "known_hosts": "h"}});
    assert_eq!(validate(&ssh).expect("valid").0.git_auth.as_deref(), Some("ssh"));
}

#[test]
fn no_secret_is_in_the_spec_or_in_an_error() {
    let change = json!({
        "env_vars": {"TF_VAR_password": "canary-value", "LD_PRELOAD": "canary-value"},
        "git_auth": {"type": "http", "username": "u", "password": "canary-value"},
    });
    let errors = validate(&change).expect_err("LD_PRELOAD");
    assert!(!format!("{errors:?}").contains("canary"));
    let fine = json!({"env_vars": {"TF_VAR_password": "canary-value"}, "backend_config": {"password": "canary-value"}});
    let (spec, secrets) = validate(&fine).expect("valid");
    assert!(!serde_json::to_string(&spec).expect("json").contains("canary"));
    assert!(!format!("{spec:?}{secrets:?}").contains("canary"));
}

#[test]
fn unknown_fields_are_refused() {
    let mut request = base();
    request["role"] = json!("admin");
    let error = serde_json::from_value::<DeployRequest>(request).expect_err("unknown field");
    assert!(error.to_string().contains("role"));
}
