//! What the tool finds in its environment: nothing of the worker's own but what an operator lets through.
//!
//! In this order, later ones win where they may: ours that can be changed, the operator's (`worker.pass_env`), the run's.
//! Ours that cannot be changed are put in last, and a run that names one of them is refused, not overruled in silence.

use proto::environment::check_env;
use proto::message::Failure;
use proto::terraform::SecretBundle;
use std::collections::BTreeMap;

/// What an operator may not set either: they would change the arguments that are relied on.
const NOT_BY_OPERATORS: &[&str] = &["TF_CLI_ARGS", "TOFU_CLI_ARGS", "TF_REATTACH_PROVIDERS"];

/// Where the attempt's own things are.
pub(super) struct Places<'a> {
    pub(super) home: &'a str,
    pub(super) temporary: &'a str,
    pub(super) cli_config: &'a str,
    pub(super) plugin_cache: Option<&'a str>,
    pub(super) search_path: &'a str,
    pub(super) traceparent: Option<&'a str>,
}

/// The whole environment, sorted by name.
pub(super) fn build(
    places: &Places<'_>,
    operator: &[(String, String)],
    secrets: Option<&SecretBundle>,
) -> Result<BTreeMap<String, String>, Failure> {
    let fixed = fixed(places);
    let mut all = changeable();
    for (name, value) in operator {
        let upper = name.to_ascii_uppercase();
        if fixed.contains_key(upper.as_str()) || NOT_BY_OPERATORS.iter().any(|never| upper.starts_with(never)) {
            return Err(refused("the worker's setting worker.pass_env", name, "Ask an operator to take it out of worker.pass_env."));
        }
        all.insert(name.clone(), value.clone());
    }
    for (name, value) in secrets.iter().flat_map(|secrets| &secrets.env) {
        // A second look at what the gateway has refused by the same table already, and at what is only known here.
        if check_env(name, value.expose()).is_err() || fixed.contains_key(name.to_ascii_uppercase().as_str()) {
            return Err(refused("env_vars", name, "Take it out of env_vars."));
        }
        all.insert(name.clone(), value.expose().to_owned());
    }
    all.extend(fixed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    Ok(all)
}

/// Ours, and nobody else's.
fn fixed<'a>(places: &Places<'a>) -> BTreeMap<&'static str, &'a str> {
    let mut fixed = BTreeMap::from([
        ("PATH", places.search_path),
        ("HOME", places.home),
        ("TMPDIR", places.temporary),
        ("TERM", "xterm-256color"),
        ("TF_IN_AUTOMATION", "1"),
        ("TF_INPUT", "0"),
        ("CHECKPOINT_DISABLE", "1"),
        // Always set, even to an empty file: otherwise the tool looks for one in places of its own.
        ("TF_CLI_CONFIG_FILE", places.cli_config),
    ]);
    fixed.extend(places.plugin_cache.map(|dir| ("TF_PLUGIN_CACHE_DIR", dir)));
    fixed.extend(places.traceparent.map(|parent| ("TRACEPARENT", parent)));
    fixed
}

/// Ours, where somebody may know better. git is here because `init` runs it for modules, and must not wait on the
/// terminal for somebody to type a password.
fn changeable() -> BTreeMap<String, String> {
    let ours = [
        ("LANG", "C.UTF-8"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
        ("GIT_ALLOW_PROTOCOL", "https:http:ssh"),
    ];
    ours.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn refused(by: &str, name: &str, next_action: &str) -> Failure {
    let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    Failure {
        kind: "environment".to_owned(),
        phase: "init".to_owned(),
        message: format!("{by} sets `{name}`, which may not be set: it would change what Navvy relies on"),
        next_action: next_action.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Secret;

    const PLACES: Places<'_> = Places {
        home: "/s/home",
        temporary: "/s/tmp",
        cli_config: "/s/cli.tfrc",
        plugin_cache: Some("/cache"),
        search_path: "/usr/bin",
        traceparent: Some("00-1-2-01"),
    };

    fn bundle(name: &str, value: &str) -> SecretBundle {
        let env = BTreeMap::from([(name.to_owned(), Secret::new(value))]);
        SecretBundle { run_key: Secret::new(""), env, git_auth: None, backend_config: BTreeMap::new() }
    }

    #[test]
    fn nothing_but_what_was_given_is_there() {
        let operator = [("AWS_REGION".to_owned(), "eu-1".to_owned()), ("LANG".to_owned(), "de_DE.UTF-8".to_owned())];
        let found = build(&PLACES, &operator, Some(&bundle("AWS_REGION", "eu-2"))).expect("allowed");
        let expected = [
            ("AWS_REGION", "eu-2"),
            ("CHECKPOINT_DISABLE", "1"),
            ("GIT_ALLOW_PROTOCOL", "https:http:ssh"),
            ("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("HOME", "/s/home"),
            ("LANG", "de_DE.UTF-8"),
            ("PATH", "/usr/bin"),
            ("TERM", "xterm-256color"),
            ("TF_CLI_CONFIG_FILE", "/s/cli.tfrc"),
            ("TF_INPUT", "0"),
            ("TF_IN_AUTOMATION", "1"),
            ("TF_PLUGIN_CACHE_DIR", "/cache"),
            ("TMPDIR", "/s/tmp"),
            ("TRACEPARENT", "00-1-2-01"),
        ];
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_would_bend_the_tool_is_refused_by_name() {
        for name in [
            "PATH",
            "path",
            "HOME",
            "TF_INPUT",
            "TF_CLI_ARGS_apply",
            "TF_CLI_CONFIG_FILE",
            "LD_PRELOAD",
            "ld_preload",
            "GIT_DIR",
            "TRACEPARENT",
            "NAVVY_TOKEN",
            "A-B",
            "",
        ] {
            let failure = build(&PLACES, &[], Some(&bundle(name, "x"))).expect_err(name);
            assert!(failure.message.contains(name) && failure.kind == "environment", "{failure:?}");
        }
        assert!(build(&PLACES, &[], Some(&bundle("A", "x\0y"))).is_err());
        for name in ["PATH", "TF_CLI_ARGS", "TF_CLI_CONFIG_FILE"] {
            let failure = build(&PLACES, &[(name.to_owned(), "x".to_owned())], None).expect_err(name);
            assert!(failure.message.contains("worker.pass_env"), "{failure:?}");
        }
        assert!(build(&PLACES, &[("GIT_SSH_COMMAND".to_owned(), "ssh -i /key".to_owned())], None).is_ok());
    }
}
