//! The part of `show -json PLAN` that is read (format 1.x: <https://developer.hashicorp.com/terraform/internals/json-format>).
//!
//! A plan of thousands of resources is a document of a hundred megabytes that holds every secret there is. So it is read
//! one resource at a time, and everything that is not named here is passed over without being kept.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The change of one resource.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    pub(super) address: String,
    /// Where it was before it was moved.
    pub(super) previous_address: Option<String>,
    /// Key of an old object that is still to be destroyed.
    pub(super) deposed: Option<String>,
    pub(super) change: Change,
    /// Why, where the change itself does not tell: `replace_because_tainted` and the like.
    pub(super) action_reason: String,
}

/// What happens to it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Change {
    pub(super) actions: Vec<String>,
    pub(super) before: Value,
    pub(super) after: Value,
    pub(super) after_unknown: Value,
    pub(super) before_sensitive: Value,
    pub(super) after_sensitive: Value,
    pub(super) replace_paths: Vec<Vec<Value>>,
    pub(super) importing: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputChange {
    actions: Vec<String>,
}

/// What a document says besides its resources.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    /// Outputs that change.
    pub(super) output_changes: usize,
}

/// Reads a document and hands over each resource as it comes.
pub(super) fn read(json: &[u8], take: impl FnMut(Resource)) -> Result<Rest, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let rest = Document { take }.deserialize(&mut reader)?;
    reader.end().map(|()| rest)
}

struct Document<F> {
    take: F,
}

impl<'de, F: FnMut(Resource)> DeserializeSeed<'de> for Document<F> {
    type Value = Rest;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Rest, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Resource)> Visitor<'de> for Document<F> {
    type Value = Rest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plan as JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Rest, A::Error> {
        let (mut rest, mut versioned) = (Rest::default(), false);
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "format_version" => {
                    let version: String = fields.next_value()?;
                    versioned = version.starts_with("1.");
                    if !versioned {
                        return Err(A::Error::custom(format!("the format {version} is not known")));
                    }
                }
                "resource_changes" => fields.next_value_seed(Each { take: &mut self.take })?,
                "output_changes" => {
                    let changes: BTreeMap<String, OutputChange> = fields.next_value()?;
                    rest.output_changes = changes.values().filter(|change| change.actions != ["no-op"]).count();
                }
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        if versioned { Ok(rest) } else { Err(A::Error::missing_field("format_version")) }
    }
}

struct Each<'a, F> {
    take: &'a mut F,
}

impl<'de, F: FnMut(Resource)> DeserializeSeed<'de> for Each<'_, F> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Resource)> Visitor<'de> for Each<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of resource changes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut resources: A) -> Result<(), A::Error> {
        while let Some(resource) = resources.next_element()? {
            (self.take)(resource);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(json: &str) -> Result<(Vec<String>, usize), serde_json::Error> {
        let mut found = Vec::new();
        let rest = read(json.as_bytes(), |resource| found.push(resource.address))?;
        Ok((found, rest.output_changes))
    }

    #[test]
    fn resources_come_one_by_one_and_the_rest_is_passed_over() {
        let json = r#"{"format_version": "1.2", "planned_values": {"x": [1]}, "resource_changes": [{"address": "a", "mode": "managed"}, {"address": "b"}],
            "output_changes": {"o": {"actions": ["create"]}, "p": {"actions": ["no-op"]}}}"#;
        assert_eq!(addresses(json).expect("read"), (vec!["a".to_owned(), "b".to_owned()], 1));
        assert_eq!(addresses(r#"{"format_version": "1.0"}"#).expect("read"), (vec![], 0));
    }

    #[test]
    fn what_is_not_a_plan_is_an_error() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"format_version": "2.0"}"#,
            r#"{"format_version": "1.2"} x"#,
            r#"{"format_version": "1.2", "resource_changes": {}}"#,
        ] {
            assert!(addresses(json).is_err(), "{json}");
        }
    }
}
