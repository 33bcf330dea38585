//! Reads a JSON body strictly: no duplicate keys, no unknown fields, nothing behind the end, bounded depth.
//!
//! A lenient reader lets two parties see two different requests in one body. What is wrong is told with its field, and
//! never with its value, which may be a secret.

use crate::answers::{FieldProblem, Refusal};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use std::fmt;

/// Reads `body` as a `T`, whose unknown fields must be denied by its own `Deserialize`.
pub(crate) fn strict<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let mut text = serde_json::Deserializer::from_slice(body);
    let value: Strict = serde_path_to_error::deserialize(&mut text).map_err(|error| unreadable(&error))?;
    text.end().map_err(|_| Refusal::field("", "there is something behind the end of the JSON value"))?;
    if !value.0.is_object() {
        return Err(Refusal::field("", "the body must be a JSON object"));
    }
    serde_path_to_error::deserialize(value.0).map_err(|error| mismatched(&error))
}

/// The text is no JSON, or is ambiguous.
fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> Refusal {
    let cause = error.inner();
    if let Some(key) = between(&cause.to_string(), DUPLICATE, "`") {
        let path = join(&path_text(error.path()), &key);
        return Refusal::field(path, "is there twice");
    }
    let place = format!("line {}, column {}", cause.line(), cause.column());
    let what = match cause.classify() {
        serde_json::error::Category::Eof => "the JSON ends too early",
        _ if cause.to_string().contains("recursion limit") => "the JSON is nested too deeply",
        _ if cause.to_string().contains("out of range") => "the JSON has a number that is too large",
        _ => "this is not JSON",
    };
    Refusal::field("", format!("{what} ({place})"))
}

/// The JSON is fine, but is not what is expected here.
fn mismatched(error: &serde_path_to_error::Error<serde_json::Error>) -> Refusal {
    let told = error.inner().to_string();
    let at = path_text(error.path());
    let problem = if told.starts_with("unknown field `") {
        // The path names the field itself.
        FieldProblem::new(at, "is not known here")
    } else if let Some(field) = between(&told, "missing field `", "`") {
        FieldProblem::new(join(&at, &field), "is required")
    } else if let Some((_, expected)) = told.split_once(", expected ") {
        FieldProblem::new(at, format!("must be {}", expected_words(expected)))
    } else {
        FieldProblem::new(at, "is not valid")
    };
    Refusal::BadInput(vec![problem])
}

/// serde speaks Rust; the reader of the answer may not.
fn expected_words(expected: &str) -> &str {
    match expected {
        "i64" | "u64" | "u32" | "i32" => "a whole number",
        "a map" => "an object",
        "a sequence" => "an array",
        struct_name if struct_name.starts_with("struct ") => "an object",
        other => other,
    }
}

/// `a.b[2]`; empty for the root. Keys are the caller's: kept short and printable.
fn path_text(path: &serde_path_to_error::Path) -> String {
    let text = path.to_string();
    if text == "." { String::new() } else { printable(&text) }
}

fn join(path: &str, field: &str) -> String {
    let field = printable(field);
    if path.is_empty() { field } else { format!("{path}.{field}") }
}

fn printable(text: &str) -> String {
    text.chars().take(120).flat_map(char::escape_debug).collect()
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let rest = text.strip_prefix(before)?;
    rest.split_once(after).map(|(found, _)| found.to_owned())
}

const DUPLICATE: &str = "duplicate key `";

/// Any JSON value whose objects have no key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            // Looked up before the value is read: of two values neither is to be believed.
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("{DUPLICATE}{key}`")));
            }
            let Strict(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default)]
        #[expect(dead_code, reason = "only its type matters here")]
        minutes: Option<i64>,
        #[serde(default)]
        #[expect(dead_code, reason = "only its type matters here")]
        env: BTreeMap<String, String>,
        #[serde(default)]
        #[expect(dead_code, reason = "only its type matters here")]
        files: Vec<String>,
        #[serde(default)]
        #[expect(dead_code, reason = "only its type matters here")]
        auth: Option<Auth>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Auth {
        #[serde(rename = "type")]
        #[expect(dead_code, reason = "only its type matters here")]
        kind: String,
    }

    fn told(body: &[u8]) -> String {
        match strict::<Sample>(body) {
            Ok(_) => "fine".into(),
            Err(refusal) => refusal.text(),
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field() {
        let deep = format!("{{\"env\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        let table: &[(&[u8], &str)] = &[
            (b"{}", "fine"),
            (br#"{"minutes":5,"env":{"A":"b"},"files":["x"],"auth":{"type":"ssh"}}"#, "fine"),
            (br#"{"minutes":5,"minutes":6}"#, "minutes: is there twice"),
            (br#"{"env":{"A":"1","A":"2"}}"#, "env.A: is there twice"),
            (br#"{"auth":{"type":"a","type":"b"}}"#, "auth.type: is there twice"),
            (br#"{"role":"admin"}"#, "role: is not known here"),
            (br#"{"auth":{"type":"a","token_":"canary"}}"#, "auth.token_: is not known here"),
            (br#"{"auth":{}}"#, "auth.type: is required"),
            (br#"{"minutes":"canary"}"#, "minutes: must be a whole number"),
            (br#"{"minutes":1.5}"#, "minutes: must be a whole number"),
            (br#"{"minutes":18446744073709551615}"#, "minutes: must be a whole number"),
            (br#"{"env":"canary"}"#, "env: must be an object"),
            (br#"{"env":{"A":5}}"#, "env.A: must be a string"),
            (br#"{"files":{}}"#, "files: must be an array"),
            (br#"{"files":["a",5]}"#, "files[1]: must be a string"),
            (br#"{"auth":"canary"}"#, "auth: must be an object"),
            (b"[]", "the body must be a JSON object"),
            (b"null", "the body must be a JSON object"),
            (b"", "the JSON ends too early (line 1, column 0)"),
            (b"{", "the JSON ends too early (line 1, column 1)"),
            (b"{} x", "there is something behind the end of the JSON value"),
            (b"\xef\xbb\xbf{}", "this is not JSON (line 1, column 1)"),
            (br#"{"minutes":NaN}"#, "this is not JSON (line 1, column 12)"),
            (br#"{"minutes":1e400}"#, "the JSON has a number that is too large (line 1, column 16)"),
            (br#"{"files":["\ud800"]}"#, "this is not JSON (line 1, column 18)"),
            (b"{\"files\":[\"\xff\"]}", "this is not JSON (line 1, column 12)"),
            (deep.as_bytes(), "the JSON is nested too deeply (line 1, column 134)"),
        ];
        for (body, expected) in table {
            let text = told(body);
            assert_eq!(&text, expected, "{}", String::from_utf8_lossy(&body[..body.len().min(80)]));
            assert!(!text.contains("canary"));
        }
    }

    #[test]
    fn a_hostile_key_is_shortened_and_escaped() {
        let body = format!("{{\"{}\\u001b[2J\":1}}", "k".repeat(10));
        assert_eq!(told(body.as_bytes()), "kkkkkkkkkk\\u{1b}[2J: is not known here");
        let body = format!("{{\"{}\":1}}", "k".repeat(10_000));
        assert!(told(body.as_bytes()).len() < 200);
    }
}
