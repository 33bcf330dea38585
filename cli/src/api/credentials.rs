//! Which API key goes with the requests. Flags are stronger than the environment; two of one strength are refused,
//! because it would not be clear which one is meant.

use std::path::Path;

use proto::Secret;

use crate::args::Global;
use crate::environment;
use crate::files;
use crate::problem::CliError;

/// The key, or none: an anonymous gateway needs none, any other answers 401.
///
/// # Errors
/// The key's file cannot be read, is empty or not one line; or NAVVY_TOKEN and NAVVY_TOKEN_FILE are both set.
pub(crate) fn token(global: &Global) -> Result<Option<Secret>, CliError> {
    if let Some(token) = &global.token {
        return checked(token.clone(), "--token").map(Some);
    }
    if let Some(path) = &global.token_file {
        return from_file(path).map(Some);
    }
    match (environment::text("NAVVY_TOKEN"), environment::text("NAVVY_TOKEN_FILE")) {
        (Some(_), Some(_)) => {
            Err(CliError::usage("NAVVY_TOKEN and NAVVY_TOKEN_FILE are both set: which one is meant?", "unset one of them"))
        }
        (Some(token), None) => checked(Secret::new(token), "NAVVY_TOKEN").map(Some),
        (None, Some(path)) => from_file(Path::new(&path)).map(Some),
        (None, None) => Ok(None),
    }
}

fn from_file(path: &Path) -> Result<Secret, CliError> {
    checked(files::secret_line(path)?, &path.display().to_string())
}

/// A key goes into an HTTP header, so only visible ASCII can be one.
fn checked(token: Secret, place: &str) -> Result<Secret, CliError> {
    if !token.is_empty() && token.expose().bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(token);
    }
    let what = format!("{place} holds no API key: a key is one word of visible ASCII characters");
    Err(CliError::usage(what, "copy the key again; it was shown when it was created"))
}
