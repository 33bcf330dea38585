//! The tree, and how a text becomes one.

use super::problem::{FileProblem, FileProblems};
use crate::told;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// What one file may keep in mind of what its aliases repeat, in bytes.
const MAX_KEPT: usize = 4 * 1024 * 1024;
const MAX_NODES: usize = 100_000;
const MAX_DEPTH: usize = 32;
/// What all aliases of a file may repeat together, in parts of the tree.
const MAX_REPEATED: usize = 20_000;

/// Where something stands, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file. Names are unique; each has its own place.
    Map(Vec<(Key, Node)>),
}

/// The name of a value, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

impl Kind {
    /// What it is, for people.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Node {
    /// The value of a name in a map.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value),
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) | Kind::List(_) => None,
        }
    }

    /// The entries of a map; of anything else none.
    pub(crate) fn entries(&self) -> &[(Key, Self)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) | Kind::List(_) => &[],
        }
    }

    /// The parts of a list; of anything else none.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) | Kind::Map(_) => &[],
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::List(_) | Kind::Map(_) => None,
        }
    }
}

/// Reads a text of one document of at most `most` bytes. Refuses what is no YAML, names that stand twice, and what is too large.
pub(crate) fn parse(file: &str, text: &str, most: usize) -> Result<Node, FileProblems> {
    let refused =
        |line, column, message| FileProblems { file: file.to_owned(), problems: vec![FileProblem { line, column, message }], more: 0 };
    if text.len() > most {
        let message = format!("the file has {} bytes, and {most} at most are read: make it smaller", text.len());
        return Err(refused(0, 0, message));
    }
    serde_saphyr::from_str_with_options::<Node>(text, options()).map_err(|error| {
        let place = error.location().map(place_of).unwrap_or_default();
        let formatter = serde_saphyr::DefaultMessageFormatter;
        let rendered = error.render_with_options(serde_saphyr::render_options! {
            formatter: &formatter,
            snippets: serde_saphyr::SnippetMode::Off,
        });
        refused(place.line, place.column, told::line(rendered.trim()))
    })
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_documents: 1,
            max_aliases: 1000,
            max_anchors: 1000,
            max_merge_keys: 1000,
            max_recorded_anchor_events: MAX_NODES,
            max_recorded_anchor_bytes: MAX_KEPT,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPEATED,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 1000,
        },
        // What looks like a number but would not be written as one is a text: `0755`, `1_000`.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        with_snippet: false,
    }
}

fn place_of(location: serde_saphyr::Location) -> Place {
    Place { line: location.line() as u32, column: location.column() as u32 }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { place: place_of(spanned.referenced), kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        Kind::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(i64::try_from(value).map_or(Kind::Float(value as f64), Kind::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Kind, E> {
        Ok(Kind::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            entries.push((Key { place: place_of(key.referenced), name: key.value }, access.next_value()?));
        }
        Ok(Kind::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, String> {
        parse("f.yaml", text, 1_000_000).map_err(|problems| problems.to_string())
    }

    #[test]
    fn everything_knows_its_place() {
        let node = read("a: 1\nb:\n  - x\n  - {value: 2, c: ~}\nd: &n 0755\ne: *n\nf: [1.5, true, yes, 1_0]\n").unwrap();
        let place = |node: &Node| (node.place.line, node.place.column);
        let keys: Vec<(u32, u32, &str)> =
            node.entries().iter().map(|(key, _)| (key.place.line, key.place.column, key.name.as_str())).collect();
        assert_eq!(keys, [(1, 1, "a"), (2, 1, "b"), (5, 1, "d"), (6, 1, "e"), (7, 1, "f")]);
        let list = node.get("b").unwrap();
        assert_eq!(list.items().iter().map(place).collect::<Vec<_>>(), [(3, 5), (4, 5)]);
        let inner = &list.items()[1];
        assert_eq!(inner.get("value").map(|node| (place(node), node.kind.clone())), Some(((4, 13), Kind::Int(2))));
        assert_eq!(inner.get("c").map(|node| node.kind.clone()), Some(Kind::Null));
        assert_eq!(node.get("e").and_then(Node::text), Some("0755"), "a mode stays what it looks like");
        assert_eq!(place(node.get("e").unwrap()), (6, 4), "an alias stands where it is used");
        let kinds: Vec<Kind> = node.get("f").unwrap().items().iter().map(|node| node.kind.clone()).collect();
        assert_eq!(kinds, [Kind::Float(1.5), Kind::Bool(true), Kind::Text("yes".to_owned()), Kind::Text("1_0".to_owned())]);
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_place() {
        for (text, place) in
            [("a: [1\n", "f.yaml:"), ("a: 1\na: 2\n", "f.yaml:2:1:"), ("a: \"\n", "f.yaml:"), ("--- 1\n--- 2\n", "f.yaml:")]
        {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(place), "{text:?}: {error}");
        }
    }

    #[test]
    fn bombs_are_refused() {
        let level = |level: usize| {
            format!(
                "a{level}: &a{level} [{}]
",
                vec![format!("*a{}", level.wrapping_sub(1)); 9].join(", ")
            )
        };
        let laughs = format!(
            "a0: &a0 [x, x, x, x, x, x, x, x, x]
{}",
            (1..9).map(level).collect::<Vec<_>>().concat()
        );
        for (name, text) in [
            ("aliases", laughs),
            ("depth", "[".repeat(50_000)),
            ("block depth", (0..2000).map(|level| " ".repeat(level)).collect::<Vec<_>>().join("a:\n")),
            ("size", "x".repeat(1_000_001)),
            ("nodes", format!("[{}]", "1,".repeat(MAX_NODES + 1))),
        ] {
            assert!(read(&text).is_err(), "{name}");
        }
    }
}
