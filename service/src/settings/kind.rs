//! What a value may look like, and how a wrong one is refused.
//!
//! Every layer is checked here key by key before the tree is typed, so that all mistakes are reported at once, each
//! with the place it came from, and so that a refused secret is never quoted.

use config::ValueKind;

use super::listen::Listen;
use super::period::Period;

/// The kind of value a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that is never shown; may also be named by a file (`*_file`).
    Secret,
    /// A path; relative ones start at the working directory of the process.
    Path,
    /// An address to listen on, `IP:PORT`.
    Listen,
    /// A length of time with units, such as `45s`.
    Period,
    /// A whole number from 0 to `max`.
    Number {
        /// The largest number that fits the type.
        max: u64,
    },
    /// `true` or `false`.
    Switch,
    /// Texts; comma separated in the environment and in flags.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// Why `value` cannot stand for this kind, and what to write instead; `None` when it can.
    pub(super) fn refuse(self, value: &ValueKind) -> Option<(String, String)> {
        let text = match value {
            ValueKind::String(text) => Some(text.as_str()),
            ValueKind::Nil
            | ValueKind::Boolean(_)
            | ValueKind::I64(_)
            | ValueKind::I128(_)
            | ValueKind::U64(_)
            | ValueKind::U128(_)
            | ValueKind::Float(_)
            | ValueKind::Table(_)
            | ValueKind::Array(_) => None,
        };
        if text.is_some_and(str::is_empty) {
            return Some(("the value is empty".into(), "give a value, or leave the key out".into()));
        }
        match self {
            Self::Text | Self::Path | Self::Secret => text.is_none().then(|| wrong(self, value, "write the text in quotes")),
            Self::Period => parsed(self, value, text, |t| t.parse::<Period>().map(drop)),
            Self::Listen => parsed(self, value, text, |t| t.parse::<Listen>().map(drop)),
            Self::Number { max } => number(value, text, max).then(|| wrong(self, value, &format!("write a whole number from 0 to {max}"))),
            Self::Switch => {
                let fits = matches!(value, ValueKind::Boolean(_)) || matches!(text, Some("true" | "false"));
                (!fits).then(|| wrong(self, value, "write true or false"))
            }
            Self::List => (!is_list(value)).then(|| wrong(self, value, "write a list of texts, such as [\"a\", \"b\"]")),
            Self::Choice(words) => {
                let fits = text.is_some_and(|t| words.contains(&t));
                (!fits).then(|| wrong(self, value, &format!("write one of: {}", words.join(", "))))
            }
        }
    }

    /// The word the reference page uses.
    pub(super) fn word(self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Secret => "secret".into(),
            Self::Path => "path".into(),
            Self::Listen => "IP:PORT".into(),
            Self::Period => "time".into(),
            Self::Number { .. } => "number".into(),
            Self::Switch => "true/false".into(),
            Self::List => "list".into(),
            Self::Choice(words) => words.join("/"),
        }
    }
}

/// A refusal that quotes the value, unless it is a secret.
fn wrong(kind: Kind, value: &ValueKind, fix: &str) -> (String, String) {
    let seen = match value {
        ValueKind::Table(_) => "a section".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
        ValueKind::Nil => "nothing".to_owned(),
        ValueKind::Boolean(_) | ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) | ValueKind::Float(_)
            if kind == Kind::Secret =>
        {
            "a value without quotes".to_owned()
        }
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Boolean(_) | ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) | ValueKind::Float(_) => {
            value.to_string()
        }
    };
    (format!("{seen} is no {}", kind.word()), fix.to_owned())
}

fn parsed<E: std::fmt::Display>(
    kind: Kind,
    value: &ValueKind,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<(), E>,
) -> Option<(String, String)> {
    let example = if kind == Kind::Period { "\"45s\"" } else { "\"127.0.0.1:8080\"" };
    let fix = format!("write it in quotes, such as {example}");
    match text {
        None => Some(wrong(kind, value, &fix)),
        Some(text) => parse(text).err().map(|error| (error.to_string(), fix)),
    }
}

/// True when `value` is no whole number up to `max`.
fn number(value: &ValueKind, text: Option<&str>, max: u64) -> bool {
    let read = match value {
        ValueKind::I64(n) => u64::try_from(*n).ok(),
        ValueKind::U64(n) => Some(*n),
        ValueKind::String(_) => text.filter(|t| t.bytes().all(|b| b.is_ascii_digit())).and_then(|t| t.parse().ok()),
        ValueKind::I128(_)
        | ValueKind::U128(_)
        | ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::Float(_)
        | ValueKind::Table(_)
        | ValueKind::Array(_) => None,
    };
    read.is_none_or(|n| n > max)
}

fn is_list(value: &ValueKind) -> bool {
    match value {
        ValueKind::Array(items) => items.iter().all(|i| matches!(&i.kind, ValueKind::String(t) if !t.is_empty())),
        ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_)
        | ValueKind::String(_)
        | ValueKind::Table(_) => false,
    }
}
