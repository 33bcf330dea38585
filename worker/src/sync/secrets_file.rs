//! The file with the secrets of the services: variables as a shell would read them, written by an agent beside the worker.
//!
//! Read anew for each sync. It may be in the middle of being written, so whatever does not look finished is refused: a sync
//! with half of its secrets is worse than none. Errors name the file and the line, never what stands there.

use nix::fcntl::OFlag;
use proto::Secret;
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Largest file, in bytes. An agent keeps it in memory.
const MAX_BYTES: usize = 1 << 20;

/// Why the file was not used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsFileError {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("it is no plain file")]
    NotPlain,
    #[error("others than its owner may write it")]
    Writable,
    #[error("it is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("it is not UTF-8")]
    NotText,
    #[error("there is no variable in it: its writer may not be done, or have no access")]
    Empty,
    #[error("line {0}: it does not end in a line break: it may be half written")]
    Unfinished(usize),
    #[error("line {0}: the quote is not closed: it may be half written")]
    OpenQuote(usize),
    #[error("line {0}: it is not of the form NAME=value")]
    NotAnAssignment(usize),
    #[error("line {0}: something follows the closing quote")]
    AfterQuote(usize),
    #[error("line {0}: the value holds a zero byte")]
    ZeroByte(usize),
}

/// The variables in a file.
///
/// # Errors
/// Whatever leaves a doubt that they are all there, and as meant.
pub fn read(path: &Path) -> Result<BTreeMap<String, Secret>, SecretsFileError> {
    // NONBLOCK: to open a pipe that nobody writes to would never end.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(SecretsFileError::NotPlain);
    }
    // Whoever writes it decides what is deployed, and with what.
    if about.mode() & 0o022 != 0 {
        return Err(SecretsFileError::Writable);
    }
    let mut text = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut text)?;
    if text.len() > MAX_BYTES {
        return Err(SecretsFileError::TooLarge);
    }
    parse(std::str::from_utf8(&text).map_err(|_| SecretsFileError::NotText)?)
}

/// `NAME=value` lines; of a name that comes twice the last counts, as in a shell. Nothing is expanded.
///
/// # Errors
/// See [`SecretsFileError`].
pub fn parse(text: &str) -> Result<BTreeMap<String, Secret>, SecretsFileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = BTreeMap::new();
    let mut reader = Reader { rest: text, line: 1 };
    while !reader.rest.is_empty() {
        reader.skip(|c| matches!(c, ' ' | '\t' | '\r'));
        match reader.rest.chars().next() {
            None => {}
            Some('\n') => reader.skip_line(),
            Some('#') => reader.skip_line(),
            Some(_) => {
                let (name, value) = reader.assignment()?;
                variables.insert(name, Secret::new(value));
            }
        }
    }
    if variables.is_empty() {
        return Err(SecretsFileError::Empty);
    }
    if text.ends_with('\n') { Ok(variables) } else { Err(SecretsFileError::Unfinished(reader.line)) }
}

struct Reader<'a> {
    rest: &'a str,
    /// Counted from 1.
    line: usize,
}

impl Reader<'_> {
    fn skip(&mut self, one: impl Fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(one);
    }

    fn skip_line(&mut self) {
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        self.line += usize::from(self.rest[..end].ends_with('\n'));
        self.rest = &self.rest[end..];
    }

    fn assignment(&mut self) -> Result<(String, String), SecretsFileError> {
        let line = self.line;
        if let Some(after) = self.rest.strip_prefix("export").filter(|after| after.starts_with([' ', '\t'])) {
            self.rest = after.trim_start_matches([' ', '\t']);
        }
        let end = self.rest.find(['=', '\n']).filter(|at| self.rest[*at..].starts_with('='));
        let (name, after) = self.rest.split_at(end.ok_or(SecretsFileError::NotAnAssignment(line))?);
        if !is_name(name) {
            return Err(SecretsFileError::NotAnAssignment(line));
        }
        self.rest = &after[1..];
        let value = match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
            Some(_) | None => self.plain(),
        };
        if value.contains('\0') { Err(SecretsFileError::ZeroByte(line)) } else { Ok((name.to_owned(), value)) }
    }

    /// Up to the end of the line, or to a comment that a blank stands before.
    fn plain(&mut self) -> String {
        let line = self.rest.lines().next().unwrap_or_default();
        let comment = line.char_indices().find(|(at, c)| *c == '#' && (*at == 0 || line[..*at].ends_with([' ', '\t'])));
        let value = comment.map_or(line, |(at, _)| &line[..at]).trim_end().to_owned();
        self.skip_line();
        value
    }

    /// May go over several lines. In double quotes a backslash takes away the meaning of what follows, as in a shell; `\n`
    /// besides is a line break, as those who write such files expect.
    fn quoted(&mut self, quote: char) -> Result<String, SecretsFileError> {
        let begun = self.line;
        let mut value = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        let end = loop {
            let (at, c) = chars.next().ok_or(SecretsFileError::OpenQuote(begun))?;
            match c {
                _ if c == quote => break at + 1,
                '\\' if quote == '"' => match chars.next().ok_or(SecretsFileError::OpenQuote(begun))?.1 {
                    'n' => value.push('\n'),
                    meant @ ('"' | '\\' | '$' | '`') => value.push(meant),
                    '\n' => self.line += 1,
                    other => value.extend(['\\', other]),
                },
                _ => {
                    self.line += usize::from(c == '\n');
                    value.push(c);
                }
            }
        };
        self.rest = self.rest[end..].trim_start_matches([' ', '\t', '\r']);
        if self.rest.is_empty() || self.rest.starts_with(['\n', '#']) {
            self.skip_line();
            Ok(value)
        } else {
            Err(SecretsFileError::AfterQuote(self.line))
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_') && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn parsed(text: &str) -> Result<Vec<(String, String)>, String> {
        let pairs = |found: BTreeMap<String, Secret>| found.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect();
        parse(text).map(pairs).map_err(|error| error.to_string())
    }

    #[test]
    fn lines_are_read_as_a_shell_reads_them() {
        for (text, expected) in [
            ("A=1\n", [("A", "1")].as_slice()),
            ("# secrets\n\n  export A=x y  \nB=\n", &[("A", "x y"), ("B", "")]),
            ("A=a#b # why\nB=# nothing\n", &[("A", "a#b"), ("B", "")]),
            ("A='it''s'\n", &[]),
            ("A='$x \\n # y'  # why\r\n", &[("A", "$x \\n # y")]),
            ("A=\"a\\\"b\\\\c\\n\\$d\\e\"\n", &[("A", "a\"b\\c\n$d\\e")]),
            ("KEY=\"-----BEGIN-----\nabc=\n-----END-----\n\"\nB=2\n", &[("B", "2"), ("KEY", "-----BEGIN-----\nabc=\n-----END-----\n")]),
            ("A=1\nA=2\n", &[("A", "2")]),
            ("\u{feff}exporter=1\n", &[("exporter", "1")]),
            ("A==\r\n", &[("A", "=")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            match parsed(text) {
                Ok(found) => assert_eq!(found, expected, "{text:?}"),
                Err(why) => assert!(expected.is_empty() && why.contains("closing quote"), "{text:?}: {why}"),
            }
        }
    }

    #[test]
    fn what_may_be_half_written_is_refused_by_line_and_without_the_value() {
        for (text, why) in [
            ("", "no variable"),
            ("# nothing yet\n", "no variable"),
            ("A=1\nTOKEN=hunter2", "line 2: it does not end"),
            ("A=1\nTOKEN=\"hunter2\n", "line 2: the quote"),
            ("A=1\nTOKEN='hunter2\nB=2\n", "line 2: the quote"),
            ("A=1\n\nhunter2\n", "line 3: it is not of the form"),
            ("A=1\nexport hunter2\n", "line 2: it is not"),
            ("hunter-2=x\n", "line 1: it is not"),
            ("=hunter2\n", "line 1: it is not"),
            ("A='x\ny' hunter2\n", "line 2: something follows"),
            ("A=hunter2\0\n", "line 1: the value holds"),
        ] {
            let found = parsed(text).expect_err(text);
            assert!(found.contains(why) && !found.contains("hunter"), "{text:?}: {found}");
        }
    }

    #[test]
    fn a_file_that_others_may_write_or_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        std::fs::write(&path, "A=1\n").unwrap();
        let with = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read(&path).map(|found| found.len()).map_err(|error| error.to_string())
        };
        assert_eq!(with(0o600), Ok(1));
        assert_eq!(with(0o644), Ok(1));
        assert!(with(0o664).unwrap_err().contains("others"));
        assert!(matches!(read(dir.path()), Err(SecretsFileError::NotPlain)));
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(matches!(read(&pipe), Err(SecretsFileError::NotPlain)), "nobody is waited for");
        assert!(matches!(read(&dir.path().join("gone")), Err(SecretsFileError::Unreadable(_))));
    }
}
