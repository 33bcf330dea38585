//! Which environment variables a run may set for its tool: asked at the gateway, and again by the worker that sets them.
//! Programs read more from their environment than users know: what loads code, moves files we rely on, or changes how git
//! and terraform are called is refused by name.

/// Why a variable is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvRefused {
    #[error("`{0}` is not a variable name: letters, digits and _, not starting with a digit, at most 256 characters")]
    Name(String),
    #[error("`{name}` may not be set: {reason}")]
    Reserved { name: String, reason: &'static str },
    #[error("the value of `{0}` is longer than 64 KiB or holds a NUL byte")]
    Value(String),
    #[error("more than 500 variables")]
    TooMany,
}

/// Most variables a run may set.
pub const MAX_VARIABLES: usize = 500;
const MAX_VALUE: usize = 64 * 1024;

const LOADS_CODE: &str = "it makes programs load or run other code";
const OURS: &str = "Navvy sets it, and relies on it";
const ARGUMENTS: &str = "it adds arguments behind Navvy's back; use init_flags or plan_flags";
const GIT: &str = "it changes how git works; use git_auth";

/// Exact names.
const NAMES: &[(&str, &str)] = &[
    ("PATH", OURS),
    ("HOME", OURS),
    ("USER", OURS),
    ("LOGNAME", OURS),
    ("SHELL", OURS),
    ("PWD", OURS),
    ("TMPDIR", OURS),
    ("TMP", OURS),
    ("TEMP", OURS),
    ("TERM", OURS),
    ("TRACEPARENT", OURS),
    ("TERRAFORM_CONFIG", OURS),
    ("TF_DATA_DIR", OURS),
    ("TF_WORKSPACE", "use the field workspace"),
    ("TF_INPUT", OURS),
    ("TF_IN_AUTOMATION", OURS),
    ("TF_LOG_PATH", "it writes a file outside the job's log"),
    ("TF_LOG_PROVIDER_PATH", "it writes a file outside the job's log"),
    ("TF_TEMP_LOG_PATH", "it writes a file outside the job's log"),
    ("TF_LOG_SDK_PROTO_DATA_DIR", "it writes files outside the job's log"),
    ("TF_REATTACH_PROVIDERS", LOADS_CODE),
    ("TF_FORK", OURS),
    ("CHECKPOINT_DISABLE", OURS),
    ("BASH_ENV", LOADS_CODE),
    ("ENV", LOADS_CODE),
    ("IFS", LOADS_CODE),
    ("SHELLOPTS", LOADS_CODE),
    ("BASHOPTS", LOADS_CODE),
    ("PS4", LOADS_CODE),
    ("PROMPT_COMMAND", LOADS_CODE),
    ("NODE_OPTIONS", LOADS_CODE),
    ("RUBYOPT", LOADS_CODE),
    ("RUBYLIB", LOADS_CODE),
    ("JAVA_TOOL_OPTIONS", LOADS_CODE),
    ("_JAVA_OPTIONS", LOADS_CODE),
    ("GCONV_PATH", LOADS_CODE),
    ("LOCPATH", LOADS_CODE),
    ("NLSPATH", LOADS_CODE),
    ("EDITOR", LOADS_CODE),
    ("VISUAL", LOADS_CODE),
    ("PAGER", LOADS_CODE),
    ("BROWSER", LOADS_CODE),
    ("OPENSSL_CONF", LOADS_CODE),
    ("OPENSSL_ENGINES", LOADS_CODE),
    ("OPENSSL_MODULES", LOADS_CODE),
    ("MALLOC_CHECK_", LOADS_CODE),
];

/// Beginnings of names.
const PREFIXES: &[(&str, &str)] = &[
    ("LD_", LOADS_CODE),
    ("DYLD_", LOADS_CODE),
    ("GLIBC_", LOADS_CODE),
    ("TF_CLI_ARGS", ARGUMENTS),
    ("TOFU_CLI_ARGS", ARGUMENTS),
    ("TF_CLI_", OURS),
    ("TOFU_CLI_", OURS),
    ("TF_PLUGIN_CACHE", OURS),
    ("GIT_", GIT),
    ("SSH_", GIT),
    ("XDG_", "it moves where programs look for their settings"),
    ("PYTHON", LOADS_CODE),
    ("PERL", LOADS_CODE),
    ("BASH_FUNC_", LOADS_CODE),
    ("ANSIBLE_", "it changes how ansible works"),
    ("NATS_", "it belongs to Navvy's own connection"),
    ("NAVVY", "it belongs to Navvy"),
];

/// Checks one variable.
pub fn check_env(name: &str, value: &str) -> Result<(), EnvRefused> {
    let legal = (1..=256).contains(&name.len())
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !legal {
        return Err(EnvRefused::Name(name.chars().take(80).flat_map(char::escape_debug).collect()));
    }
    // Compared without case: some programs read both spellings (http_proxy, HTTP_PROXY), and nobody needs `Path`.
    let upper = name.to_ascii_uppercase();
    let exact = NAMES.iter().find(|(reserved, _)| *reserved == upper);
    let prefix = || PREFIXES.iter().find(|(prefix, _)| upper.starts_with(prefix));
    if let Some((_, reason)) = exact.or_else(prefix) {
        return Err(EnvRefused::Reserved { name: name.to_owned(), reason });
    }
    if value.len() > MAX_VALUE || value.contains('\0') {
        return Err(EnvRefused::Value(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_need_passes_and_what_bends_them_does_not() {
        for good in ["TF_VAR_region", "AWS_ACCESS_KEY_ID", "ARM_CLIENT_SECRET", "TF_LOG", "TF_TOKEN_app_terraform_io", "https_proxy", "_x"]
        {
            assert_eq!(check_env(good, "x"), Ok(()), "{good}");
        }
        for bad in [
            "",
            "1A",
            "A-B",
            "A=B",
            "A\nB",
            "LD_PRELOAD",
            "ld_preload",
            "PATH",
            "Path",
            "TF_CLI_ARGS",
            "TF_CLI_ARGS_apply",
            "TF_CLI_CONFIG_FILE",
            "TF_REATTACH_PROVIDERS",
            "TF_TEMP_LOG_PATH",
            "TF_PLUGIN_CACHE_DIR",
            "TOFU_CLI_CONFIG_FILE",
            "GIT_SSH_COMMAND",
            "BASH_ENV",
            "PYTHONPATH",
            "ANSIBLE_CONFIG",
            "NATS_URL",
            "NAVVY_TOKEN",
            "HOME",
        ] {
            assert!(check_env(bad, "x").is_err(), "{bad}");
        }
        assert!(check_env("A", "x\0y").is_err());
        assert!(check_env("A", &"x".repeat(64 * 1024 + 1)).is_err());
    }
}
