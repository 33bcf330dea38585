//! What a sync's command says of itself: a file, or the last line of its output. Both are the command's word: bounded, and
//! the file's only believed as far as it can be read.

use crate::shell::small_file;
use proto::sync::SyncAction;
use serde::Deserialize;
use std::path::Path;

/// Largest such file, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Longest details that are kept, in characters.
pub(super) const MAX_DETAILS: usize = 2000;

/// What the command did, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// `None`: it says that it failed.
    pub(super) action: Option<SyncAction>,
    pub(super) details: String,
}

/// Why what was told is no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} is no result: {}{why}", .said.as_ref().map(|said| format!("`{said}` ")).unwrap_or_default())]
pub struct BadResult {
    place: &'static str,
    why: String,
    /// The command's own text, which may hold a secret.
    said: Option<String>,
}

/// Longest text of the command's that is quoted, in characters.
const MAX_SAID: usize = 40;

impl BadResult {
    /// The same, with the secrets taken out of what the command said before that is cut.
    pub(super) fn masked(self, mask: &dyn Fn(&str) -> String) -> Self {
        let quoted = |said: String| mask(&said).chars().take(MAX_SAID).flat_map(char::escape_debug).collect();
        Self { said: self.said.map(quoted), ..self }
    }
}

#[derive(Deserialize)]
struct Words {
    action: String,
    #[serde(default)]
    details: Option<String>,
}

/// The result in the file that the command was told the name of. `None`: it wrote none.
pub(super) fn in_file(path: &Path) -> Result<Option<Told>, BadResult> {
    let place = "the file NAVVY_RESULT";
    let bad = |why: String| BadResult { place, why, said: None };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(_) | Ok(_) => {}
    }
    let content = small_file::read(path, MAX_BYTES).map_err(|error| bad(error.to_string()))?;
    let words: Words = serde_json::from_slice(&content)
        .map_err(|error| bad(format!("write {FORM} into it (line {}, column {})", error.line(), error.column())))?;
    told(words, place).map(Some)
}

/// The result in the last line of the output, if that line is one.
pub(super) fn in_last_line(output: &str) -> Result<Option<Told>, BadResult> {
    let place = "the last line of the output";
    let last = output.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    // Whatever else ends in braces is output like any other.
    if !last.starts_with('{') {
        return Ok(None);
    }
    let words = match serde_json::from_str(last) {
        Ok(words) => words,
        // Meant as a result, and unreadable: what it would have said is not known, and may be that it failed.
        Err(_) if last.contains("action") => {
            return Err(BadResult { place, why: format!("write {FORM}"), said: None });
        }
        Err(_) => return Ok(None),
    };
    told(words, place).map(Some)
}

const FORM: &str = r#"{"action":"skipped|updated|created|failed","details":"…"}"#;

fn told(words: Words, place: &'static str) -> Result<Told, BadResult> {
    let action = match words.action.as_str() {
        "skipped" => Some(SyncAction::Skipped),
        "updated" => Some(SyncAction::Updated),
        "created" => Some(SyncAction::Created),
        "failed" => None,
        other => return Err(BadResult { place, why: format!("is no action; write {FORM}"), said: Some(other.to_owned()) }),
    };
    Ok(Told { action, details: words.details.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(action: Option<SyncAction>, details: &str) -> Told {
        Told { action, details: details.to_owned() }
    }

    #[test]
    fn a_file_says_what_was_done_or_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("result.json");
        assert_eq!(in_file(&path), Ok(None));
        for (content, expected) in [
            (r#"{"action":"skipped","details":"no changes"}"#, Some(told(Some(SyncAction::Skipped), "no changes"))),
            (r#"{"action":"created"}"#, Some(told(Some(SyncAction::Created), ""))),
            (r#"{"action":"updated","details":null,"more":1}"#, Some(told(Some(SyncAction::Updated), ""))),
            (r#"{"action":"failed","details":"no"}"#, Some(told(None, "no"))),
            (r#"{"action":"done"}"#, None),
            (r#"{"details":"x"}"#, None),
            ("", None),
            ("skipped", None),
            (r#"{"action":"skip"#, None),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(in_file(&path).ok().flatten(), expected, "{content}");
        }
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(in_file(&path).unwrap_err().to_string().contains("plain file"));
    }

    #[test]
    fn the_last_line_counts_only_if_it_is_a_result() {
        let skipped = Ok(Some(told(Some(SyncAction::Skipped), "")));
        for (output, expected) in [
            ("hello\n{\"action\": \"skipped\"}\r\n\n", skipped.clone()),
            ("{\"action\": \"skipped\"}\nbye\n", Ok(None)),
            ("{\"level\":\"info\"}\n", Ok(None)),
            ("", Ok(None)),
        ] {
            assert_eq!(in_last_line(output), expected, "{output}");
        }
        for unreadable in ["{'action': 'failed'}", "{\"action\": \"failed\", \"details\": \"cut"] {
            assert!(in_last_line(unreadable).is_err(), "{unreadable}");
        }
        assert!(in_last_line("{\"action\":\"done\"}").unwrap_err().to_string().contains("`done` is no action"));
    }
}
