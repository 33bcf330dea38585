//! Reads values out of the tree, and gathers what is wrong with them.

use super::{
    problem::{FileProblem, FileProblems},
    tree::{Key, Kind, Node, Place},
};
use crate::{spelling::nearest, told};
use std::{fmt::Display, str::FromStr};

/// Problems of a file that are told; the rest is counted.
const MOST_TOLD: usize = 20;

/// What is wrong with a file so far.
#[derive(Debug)]
pub(crate) struct Problems {
    file: String,
    found: Vec<FileProblem>,
}

impl Problems {
    pub(crate) fn of(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    pub(crate) fn add(&mut self, place: Place, message: impl Into<String>) {
        self.found.push(FileProblem { line: place.line, column: place.column, message: told::line(&message.into()) });
    }

    /// The value, unless something is wrong.
    pub(crate) fn or<T>(mut self, value: T) -> Result<T, FileProblems> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort();
        let more = self.found.len().saturating_sub(MOST_TOLD);
        self.found.truncate(MOST_TOLD);
        Err(FileProblems { file: self.file, problems: self.found, more })
    }

    fn wrong_kind(&mut self, node: &Node, what: &str, wanted: &str) {
        self.add(node.place, format!("{what} must be {wanted}, and this is {}", node.kind.noun()));
    }

    /// A list with at most `most` parts; empty where it is none.
    pub(crate) fn list<'a>(&mut self, node: &'a Node, what: &str, most: usize) -> &'a [Node] {
        match &node.kind {
            Kind::List(items) if items.len() > most => {
                self.add(node.place, format!("{what} has {} entries, and {most} at most are read: write fewer", items.len()));
                &[]
            }
            Kind::List(items) => items,
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) | Kind::Map(_) => {
                self.wrong_kind(node, what, "a list");
                &[]
            }
        }
    }

    /// A map with at most `most` entries; empty where it is none. Nothing at all is an empty map.
    pub(crate) fn map<'a>(&mut self, node: &'a Node, what: &str, most: usize) -> &'a [(Key, Node)] {
        match &node.kind {
            Kind::Map(entries) if entries.len() > most => {
                self.add(node.place, format!("{what} has {} entries, and {most} at most are read: write fewer", entries.len()));
                &[]
            }
            Kind::Map(entries) => entries,
            Kind::Null => &[],
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) | Kind::List(_) => {
                self.wrong_kind(node, what, "a map of names and values");
                &[]
            }
        }
    }

    /// A text that is not empty, on one line, of at most `most` bytes.
    pub(crate) fn text<'a>(&mut self, node: &'a Node, what: &str, most: usize) -> Option<&'a str> {
        let Some(text) = node.text() else {
            self.wrong_kind(node, what, "a text (in quotes, if it looks like something else)");
            return None;
        };
        if text.is_empty() || text.len() > most || text.chars().any(char::is_control) {
            self.add(node.place, format!("{what} must be a text of 1 to {most} bytes on one line"));
            return None;
        }
        Some(text)
    }

    /// A text that is parsed; the message says what it must be.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, node: &Node, what: &str) -> Option<T> {
        let text = self.text(node, what, 1024)?;
        text.parse().map_err(|error| self.add(node.place, format!("{what}: {error}"))).ok()
    }

    /// True or false.
    pub(crate) fn truth(&mut self, node: &Node, what: &str) -> Option<bool> {
        if let Kind::Bool(value) = node.kind {
            return Some(value);
        }
        self.wrong_kind(node, what, "true or false");
        None
    }

    /// A whole number in a range.
    pub(crate) fn number(&mut self, node: &Node, what: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        if let Kind::Int(value) = node.kind
            && range.contains(&value)
        {
            return Some(value);
        }
        self.add(node.place, format!("{what} must be a whole number from {} to {}", range.start(), range.end()));
        None
    }

    /// The fields of a map whose names are all known.
    pub(crate) fn fields<'a>(&mut self, node: &'a Node, what: &str, known: &[&str]) -> Fields<'a> {
        let entries = self.map(node, what, usize::MAX);
        for (key, _) in entries {
            if !known.contains(&key.name.as_str()) {
                let advice = match nearest(&key.name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it may be one of {}", known.join(", ")),
                };
                let name = told::path(&key.name);
                self.add(key.place, format!("{what} has no field `{name}`: {advice}"));
            }
        }
        Fields { place: node.place, entries }
    }

    /// The file says `version: 1`, so that a later shape is not misread.
    pub(crate) fn version_1(&mut self, fields: &Fields<'_>) {
        match fields.get("version") {
            Some(Node { kind: Kind::Int(1), .. }) => {}
            Some(node) => self.add(node.place, "version must be 1: this is the only shape of the file that is known here"),
            None => self.add(fields.place, "the file must say `version: 1`"),
        }
    }
}

/// Fields of a map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) place: Place,
    entries: &'a [(Key, Node)],
}

impl<'a> Fields<'a> {
    /// The value of a field; a field that is there without a value counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value).filter(|node| node.kind != Kind::Null)
    }
}
