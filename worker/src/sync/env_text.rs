//! The variables of a compose service as they are kept: one text, a line each, read by a dotenv parser (Dokploy, docker compose).

use std::{collections::BTreeMap, fmt};

/// What stood in it: names, and the lines as they were written.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Lines(BTreeMap<String, String>);

/// Names only: values may be secret.
impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Lines {
    pub(super) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(|line| Some((name_of(line)?.to_owned(), line.trim().to_owned()))).collect())
    }

    /// The value of a variable, quotes taken off.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.get(name)?.split_once('=')?;
        let value = value.trim();
        let quoted = ['"', '\'', '`'].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        Some(quoted.unwrap_or(value)).filter(|value| !value.is_empty())
    }

    /// The lines of these variables, as they were written: whoever wrote them knows how.
    pub(super) fn lines_of<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
        names.iter().filter_map(|name| self.0.get(*name)).map(String::as_str)
    }
}

/// The name that a line gives a value to.
fn name_of(line: &str) -> Option<&str> {
    let line = line.trim();
    let (name, _) = line.trim_start_matches("export ").split_once('=')?;
    let name = name.trim();
    Some(name).filter(|name| !line.starts_with('#') && !name.is_empty())
}

/// A text with these variables set, and everything else in it as it was. The values are plain words.
pub(super) fn with(text: &str, set: &[(&str, &str)]) -> String {
    let other = text.lines().filter(|line| name_of(line).is_none_or(|name| set.iter().all(|(set, _)| *set != name)));
    let mut all: Vec<String> = other.map(str::to_owned).collect();
    all.extend(set.iter().map(|(name, value)| format!("{name}={value}")));
    all.push(String::new());
    all.join("\n")
}

/// A line that is read as it is meant.
///
/// # Errors
/// The value cannot be written so that a dotenv parser reads it.
pub(super) fn line(name: &str, value: &str) -> Result<String, NotWritable> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@,+=%~".contains(c);
    let not_writable = || NotWritable(name.to_owned());
    if value.chars().any(char::is_control) || value.contains("${{") {
        return Err(not_writable());
    }
    if value.chars().all(plain) {
        return Ok(format!("{name}={value}"));
    }
    // Nothing is taken for something else between single quotes; between double ones a backslash would be.
    if !value.contains('\'') {
        return Ok(format!("{name}='{value}'"));
    }
    if value.contains(['"', '\\', '$', '`']) { Err(not_writable()) } else { Ok(format!("{name}=\"{value}\"")) }
}

/// A value with both kinds of quotes, say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of `{0}` cannot be written into a dotenv file: it holds control characters, `${{{{` or both kinds of quotes")]
pub(super) struct NotWritable(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (value, written) in [
            ("a-b.c:/d", Some("A=a-b.c:/d")),
            ("", Some("A=")),
            ("a b # c", Some("A='a b # c'")),
            ("$x", Some("A='$x'")),
            ("it's", Some("A=\"it's\"")),
            ("it's $x", None),
            ("a\nb", None),
            ("${{project.X}}", None),
        ] {
            let found = line("A", value).ok();
            assert_eq!(found.as_deref(), written, "{value}");
            if let Some(found) = found.filter(|_| !value.is_empty()) {
                assert_eq!(Lines::parse(&found).value("A"), Some(value));
            }
        }
    }

    #[test]
    fn setting_some_leaves_the_others() {
        let text = "# note\nA=1\n export B='2' \nC=3";
        assert_eq!(with(text, &[("B", "x"), ("D", "y")]), "# note\nA=1\nC=3\nB=x\nD=y\n");
        assert_eq!(with("", &[("A", "x")]), "A=x\n");
    }

    #[test]
    fn lines_are_kept_as_they_were_written() {
        let lines = Lines::parse("# A=0\nVAULT_ROLE_ID=\"r 1\"\r\n\nexport B=2\nno line\nVAULT_SECRET_ID='s'\n=x\nEMPTY=\n");
        assert_eq!(
            lines.lines_of(&["VAULT_ROLE_ID", "GONE", "VAULT_SECRET_ID"]).collect::<Vec<_>>(),
            ["VAULT_ROLE_ID=\"r 1\"", "VAULT_SECRET_ID='s'"]
        );
        assert_eq!(
            (lines.value("VAULT_ROLE_ID"), lines.value("B"), lines.value("EMPTY"), lines.value("A")),
            (Some("r 1"), Some("2"), None, None)
        );
    }
}
