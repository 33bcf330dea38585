//! The only place that reads the environment of the process, beside clap (`NAVVY_URL`, `NAVVY_CONFIG`).
//!
//! A variable that is set but empty counts as absent, as most shells and container files mean it.

/// The value of a variable, when it is set, not empty and valid UTF-8.
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
}

/// Whether a variable is set to anything but nothing.
pub(crate) fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// Every variable whose name and value are valid UTF-8; settings look at the `NAVVY__` ones among them.
pub(crate) fn all() -> Vec<(String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}
