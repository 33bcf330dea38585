//! Turns the arguments of `navvy deploy` into the body of `POST /deploy`: files are read, variables collected.
//!
//! A name given twice is refused: which of two values is meant is not for this program to guess.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proto::Secret;
use serde_json::{Map, Value, json};

use crate::args::{DeployArgs, GitLogin, Pair};
use crate::environment;
use crate::files;
use crate::problem::CliError;

type Named = BTreeMap<String, Secret>;

/// The request body. It holds secrets in the clear: send it, never print it.
pub(super) fn body(args: &DeployArgs) -> Result<Value, CliError> {
    let mut env = Named::new();
    for pair in from_files(&args.env_file)? {
        put(&mut env, pair, "variable")?;
    }
    for name in &args.secret_env {
        put(&mut env, from_environment(name)?, "variable")?;
    }
    for pair in &args.env {
        put(&mut env, pair.clone(), "variable")?;
    }
    if let Some(name) = args.public_env.iter().find(|name| !env.contains_key(*name)) {
        let what = format!("--public-env {name}: there is no variable of this name in the request");
        return Err(CliError::usage(what, "give its value with --env, --env-file or --secret-env"));
    }
    let mut backend = Named::new();
    for pair in from_files(&args.backend_config_file)?.into_iter().chain(args.backend_config.iter().cloned()) {
        put(&mut backend, pair, "backend setting")?;
    }
    let mut body = plain_fields(args);
    if !env.is_empty() {
        body.insert("env_vars".into(), exposed(&env));
    }
    if !backend.is_empty() {
        body.insert("backend_config".into(), exposed(&backend));
    }
    if let Some(auth) = git_auth(&args.git_login)? {
        body.insert("git_auth".into(), auth);
    }
    Ok(Value::Object(body))
}

/// The flags among those used whose values other users of this machine can see.
pub(super) fn visible_flags(args: &DeployArgs) -> Vec<&'static str> {
    let used = [(!args.env.is_empty(), "--env"), (!args.backend_config.is_empty(), "--backend-config")];
    used.iter().filter(|(used, _)| *used).map(|(_, flag)| *flag).collect()
}

/// What is not secret. What was not given is left out, so that the gateway's default applies.
fn plain_fields(args: &DeployArgs) -> Map<String, Value> {
    let fields = [
        ("tool", Some(json!(args.tool.as_str()))),
        ("git_url", Some(json!(args.git_url))),
        ("git_ref", Some(json!(args.git_ref))),
        ("tool_version", args.tool_version.as_ref().map(|text| json!(text))),
        ("path", args.path.as_ref().map(|text| json!(text))),
        ("workspace", args.workspace.as_ref().map(|text| json!(text))),
        ("init_flags", args.init_flags.as_ref().map(|text| json!(text))),
        ("plan_flags", args.plan_flags.as_ref().map(|text| json!(text))),
        ("timeout", args.timeout.map(|minutes| json!(minutes))),
        ("pool", args.pool.as_ref().map(|text| json!(text))),
        ("tfvars_files", (!args.tfvars_file.is_empty()).then(|| json!(args.tfvars_file))),
        ("public_env", (!args.public_env.is_empty()).then(|| json!(args.public_env))),
        ("auto_approve", args.auto_approve.then_some(json!(true))),
        ("destroy", args.destroy.then_some(json!(true))),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn from_files(paths: &[PathBuf]) -> Result<Vec<Pair>, CliError> {
    let lists = paths.iter().map(|path| files::pairs(path)).collect::<Result<Vec<_>, _>>()?;
    Ok(lists.into_iter().flatten().collect())
}

fn from_environment(name: &str) -> Result<Pair, CliError> {
    let value = environment::text(name).ok_or_else(|| {
        let what = format!("--secret-env {name}: there is no such variable in the environment, or it is empty");
        CliError::usage(what, format!("export {name} first; --secret-env takes a name, not a value"))
    })?;
    Ok(Pair { key: name.to_owned(), value: Secret::new(value) })
}

fn put(all: &mut Named, pair: Pair, what: &str) -> Result<(), CliError> {
    let key = pair.key.clone();
    match all.insert(pair.key, pair.value) {
        None => Ok(()),
        Some(_) => Err(CliError::usage(format!("the {what} {key} is given twice"), "give each name once")),
    }
}

fn exposed(all: &Named) -> Value {
    all.iter().map(|(name, value)| (name.clone(), json!(value.expose()))).collect::<Map<_, _>>().into()
}

fn git_auth(login: &GitLogin) -> Result<Option<Value>, CliError> {
    if let Some(path) = &login.git_password_file {
        let password = files::secret_line(path)?;
        return Ok(Some(json!({ "type": "basic", "username": login.git_username, "password": password.expose() })));
    }
    if let Some(path) = &login.git_token_file {
        return Ok(Some(json!({ "type": "token", "token": files::secret_line(path)?.expose() })));
    }
    if let (Some(key), Some(hosts)) = (&login.git_ssh_key_file, &login.git_known_hosts_file) {
        let (private_key, known_hosts) = (files::text(key)?, files::text(hosts)?);
        let mut auth = json!({ "type": "ssh", "private_key": private_key.expose(), "known_hosts": known_hosts.expose() });
        if let Some(username) = &login.git_username {
            auth["username"] = json!(username);
        }
        return Ok(Some(auth));
    }
    match &login.git_username {
        None => Ok(None),
        Some(_) => Err(CliError::usage(
            "--git-username alone logs nobody in",
            "add --git-password-file, or --git-ssh-key-file with --git-known-hosts-file",
        )),
    }
}

#[cfg(test)]
#[path = "deploy_request_tests.rs"]
mod tests;
