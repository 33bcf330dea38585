//! The lines of the configuration: printed, or added to a file after the whole of it was checked with them.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use service::settings::{Layers, SettingsError};

use crate::args::SourceAddArgs;
use crate::environment;
use crate::problem::CliError;

/// The `[[sources]]` of a source.
pub(super) fn text(args: &SourceAddArgs, secrets_file: &Path) -> String {
    let secrets_file = secrets_file.display().to_string();
    let fields = [
        ("id", args.id.as_str()),
        ("kind", args.forge.as_str()),
        ("repository", &args.repository),
        ("branch", &args.branch),
        ("secrets_file", &secrets_file),
    ];
    let lines: String = fields.map(|(name, value)| format!("{name} = {}\n", quoted(value))).concat();
    format!("[[sources]]\n{lines}")
}

/// A basic string of TOML; what JSON escapes, TOML does too, in the same way. DEL alone it must not hold as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// What became of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    Added,
    /// The source was there already.
    Present,
}

impl Added {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Present => "present",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Added => "the source was added; gateways take it up at their next start",
            Self::Present => "the source is there already, and was left as it is",
        }
    }
}

/// A change of the configuration that was found to be good.
#[derive(Debug)]
pub(super) enum Plan {
    Nothing,
    Replace { config: PathBuf, beside: Beside, mode: u32 },
}

/// A file that goes away again unless it takes the other's place.
#[derive(Debug)]
pub(super) struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // It has taken the other's place, then.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Checks the configuration with the lines added.
pub(super) fn plan(config: &Path, args: &SourceAddArgs, block: &str) -> Result<Plan, CliError> {
    // What a link points to is replaced, not the link.
    let found = std::fs::canonicalize(config).unwrap_or_else(|_| config.to_owned());
    let config = found.as_path();
    let failed = |operation: &'static str| move |source| CliError::File { operation, path: config.to_owned(), source };
    let (before, mode) = match std::fs::read_to_string(config) {
        Ok(text) => (text, std::fs::metadata(config).map_err(failed("read"))?.permissions().mode() & 0o777),
        Err(error) if error.kind() == ErrorKind::NotFound => (String::new(), 0o600),
        Err(source) => return Err(failed("read")(source)),
    };
    if !before.is_empty() {
        let there = load(config)?.sources.into_iter().find(|source| source.id == args.id);
        if let Some(there) = there {
            if there.repository == args.repository && there.kind.as_str() == args.forge.as_str() {
                return Ok(Plan::Nothing);
            }
            let what = format!("{} has a source `{}` of another repository or forge", config.display(), args.id);
            return Err(CliError::usage(what, "give this one another --id, or change the file by hand"));
        }
    }
    let gap = if before.is_empty() {
        ""
    } else if before.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    };
    let beside = Beside(config.with_added_extension("new"));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside.0)
        .and_then(|mut file| file.write_all(format!("{before}{gap}{block}").as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|source| CliError::File { operation: "create", path: beside.0.clone(), source })?;
    load(&beside.0)?.check().map_err(SettingsError::Refused)?;
    Ok(Plan::Replace { config: config.to_owned(), beside, mode })
}

fn load(file: &Path) -> Result<service::settings::Settings, CliError> {
    Ok(Layers { file: Some(file.to_owned()), env: environment::all(), flags: Vec::new() }.load()?.settings)
}

impl Plan {
    pub(super) fn perform(self) -> Result<Added, CliError> {
        let Self::Replace { config, beside, mode } = self else { return Ok(Added::Present) };
        let permissions = std::fs::Permissions::from_mode(mode);
        let done = std::fs::set_permissions(&beside.0, permissions).and_then(|()| std::fs::rename(&beside.0, &config));
        done.map_err(|source| CliError::File { operation: "replace", path: config, source })?;
        Ok(Added::Added)
    }
}
