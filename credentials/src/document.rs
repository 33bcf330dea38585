//! JSON in the order it was written in. Two readers need that: a SOPS file is authenticated in its own order, and the
//! "first value" of a credential is the first that somebody wrote. Bounded by whoever hands the text over.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A value of a JSON document.
#[derive(Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// Names are unique.
    Branch(Vec<(String, Node)>),
}

impl Node {
    /// The document in a text. The error says where, and nothing of what stands there.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| format!("no JSON (line {}, column {})", error.line(), error.column()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Branch(entries) => entries.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::List(_) | Self::Branch(_) => None,
        }
    }

    /// What a variable would hold: texts, numbers and truth values have one, the others do not.
    pub(crate) fn as_variable(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(number) => Some(number.to_string()),
            Self::Float(number) => Some(number.to_string()),
            Self::Null | Self::List(_) | Self::Branch(_) => None,
        }
    }
}

/// Shapes only: a node may hold secrets.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Text(_) => f.write_str("***"),
            Self::List(nodes) => f.debug_list().entries(nodes).finish(),
            Self::Branch(entries) => f.debug_map().entries(entries.iter().map(|(key, value)| (key, value))).finish(),
        }
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::Float(value as f64), Node::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = access.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let (mut entries, mut seen) = (Vec::new(), std::collections::HashSet::new());
        while let Some((key, value)) = access.next_entry::<String, Node>()? {
            // Two readers could take different ones of them.
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom("a name stands twice"));
            }
            entries.push((key, value));
        }
        Ok(Node::Branch(entries))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_errors_and_debug_tell_no_value() {
        let node = Node::parse(br#"{"z":"hunter2","a":[1,-1.5,null,true],"m":{}}"#).unwrap();
        let Node::Branch(entries) = &node else { panic!("a branch") };
        assert_eq!(entries.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["z", "a", "m"]);
        assert_eq!(format!("{node:?}"), r#"{"z": ***, "a": [***, ***, null, ***], "m": {}}"#);
        for bad in [r#"{"a":"hunter2","a":1}"#, r#"{"a":"hunter2"} hunter2"#, "hunter2", ""] {
            let error = Node::parse(bad.as_bytes()).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(Node::parse("[".repeat(10_000).as_bytes()).is_err(), "depth is bounded");
    }

    #[test]
    fn only_single_values_fit_a_variable() {
        let variable = |text: &str| Node::parse(text.as_bytes()).unwrap().as_variable();
        for (text, expected) in
            [(r#""x""#, Some("x")), ("5432", Some("5432")), ("1.50", Some("1.5")), ("true", Some("true")), ("null", None), ("[]", None)]
        {
            assert_eq!(variable(text).as_deref(), expected, "{text}");
        }
    }
}
