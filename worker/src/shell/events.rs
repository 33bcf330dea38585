//! What an order told while it ran: JSON files that its commands dropped into the events folder.
//!
//! Read once, after the last process has ended: nothing can change any more while it is read, and a file that is half
//! written is its writer's mistake. Everything in it is the order's word: bounded, masked, and never followed anywhere.

use super::small_file;
use crate::mask::MASK;
use proto::orders::OrderEvent;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, path::Path};

/// Most words of an event's type or status, in bytes.
const MAX_WORD: usize = 64;
/// Most warnings that are given one by one.
const MAX_WARNINGS: usize = 10;
/// Longest name in a warning, in characters.
const MAX_NAME: usize = 80;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// Sorted by the names of their files.
    pub events: Vec<OrderEvent>,
    /// What was left out and why, for the log.
    pub warnings: Vec<String>,
}

/// Reads the events in `folder`; `mask` takes secrets out of a text.
pub fn read(folder: &Path, mask: &dyn Fn(&str) -> String) -> Told {
    let (names, more) = names(folder);
    let (mut told, mut skipped) = (Told::default(), 0);
    for name in names {
        match event(&folder.join(&name), &name, mask) {
            Ok(event) => told.events.push(event),
            Err(why) => {
                skipped += 1;
                if skipped <= MAX_WARNINGS {
                    let name: String = mask(&name).chars().take(MAX_NAME).flat_map(char::escape_debug).collect();
                    told.warnings.push(format!("⚠ the event {name} is left out: {why}"));
                }
            }
        }
    }
    if skipped > MAX_WARNINGS {
        told.warnings.push(format!("⚠ {} more events are left out", skipped - MAX_WARNINGS));
    }
    if more > 0 {
        told.warnings.push(format!("⚠ {more} more events are left out: an order may tell {}", OrderEvent::MAX_PER_ORDER));
    }
    told
}

/// The first names in order, and how many more there are. An order may have made millions of files.
fn names(folder: &Path) -> (BTreeSet<String>, usize) {
    let (mut first, mut more) = (BTreeSet::new(), 0);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        first.insert(name);
        if first.len() > OrderEvent::MAX_PER_ORDER {
            first.pop_last();
            more += 1;
        }
    }
    (first, more)
}

fn event(path: &Path, name: &str, mask: &dyn Fn(&str) -> String) -> Result<OrderEvent, String> {
    let content = small_file::read(path, OrderEvent::MAX_BYTES).map_err(|error| error.to_string())?;
    let parsed = serde_json::from_slice(&content)
        .map_err(|error| format!("line {}, column {} cannot be read as JSON", error.line(), error.column()))?;
    let Value::Object(mut object) = parsed else { return Err("it is not a JSON object".to_owned()) };
    let stem = name.strip_suffix(".json").unwrap_or(name);
    let event_type = mask(&word(&mut object, "event_type", stem)?);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if event_type.is_empty() || event_type.len() > MAX_WORD || !event_type.chars().all(is_plain) {
        return Err(format!("its type is not 1 to {MAX_WORD} characters of A-Z, a-z, 0-9, _, . and -"));
    }
    let status = mask(&word(&mut object, "status", "info")?);
    if status.is_empty() || status.len() > MAX_WORD || status.chars().any(char::is_control) {
        return Err(format!("its status is not 1 to {MAX_WORD} bytes without control characters"));
    }
    let data = masked(Value::Object(object), mask);
    if data.to_string().len() > OrderEvent::MAX_BYTES {
        return Err(format!("it is larger than {} bytes", OrderEvent::MAX_BYTES));
    }
    Ok(OrderEvent { event_type, status, data })
}

/// Takes a text out of an object.
fn word(object: &mut Map<String, Value>, key: &str, default: &str) -> Result<String, String> {
    match object.remove(key) {
        None => Ok(default.to_owned()),
        Some(Value::String(text)) => Ok(text),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(format!("its {key} is not a text"))
        }
    }
}

/// The same without secrets, wherever they stand: a number can be one too.
fn masked(value: Value, mask: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(mask(&text)),
        Value::Number(number) => {
            let text = number.to_string();
            if mask(&text) == text { Value::Number(number) } else { Value::String(MASK.to_owned()) }
        }
        Value::Array(values) => values.into_iter().map(|value| masked(value, mask)).collect(),
        Value::Object(object) => object.into_iter().map(|(key, value)| (mask(&key), masked(value, mask))).collect(),
        Value::Null | Value::Bool(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    /// What comes of one file.
    fn told(name: &str, content: &[u8]) -> Told {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), content).unwrap();
        read(folder.path(), &|text| text.replace("hunter2", MASK).replace("12345678", MASK))
    }

    #[test]
    fn every_kind_of_event_is_taken_or_left_out_with_a_reason() {
        let event =
            |event_type: &str, status: &str, data| Ok(OrderEvent { event_type: event_type.to_owned(), status: status.to_owned(), data });
        let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(OrderEvent::MAX_BYTES));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(1000), "}".repeat(1000));
        let table: Vec<(&str, &str, Result<OrderEvent, &str>)> = vec![
            ("db-ready.json", "{}", event("db-ready", "info", json!({}))),
            (
                "a.json",
                r#"{"event_type":"b","status":"ok","n":1,"data":{"x":[true,null]}}"#,
                event("b", "ok", json!({"n":1,"data":{"x":[true,null]}})),
            ),
            (
                "a.json",
                r#"{"k hunter2":"v hunter2","list":["hunter2",12345678,7]}"#,
                event("a", "info", json!({"k ***":"v ***","list":["***","***",7]})),
            ),
            ("a.json", r#"{"event_type":"hunter2"}"#, Err("its type")),
            ("a b.json", "{}", Err("its type")),
            ("a.json", r#"{"event_type":7}"#, Err("its event_type is not a text")),
            ("a.json", r#"{"status":""}"#, Err("its status")),
            ("a.json", r#"{"status":"a\nb"}"#, Err("its status")),
            ("a.json", "[1]", Err("not a JSON object")),
            ("a.json", r#"{"half":"#, Err("line 1, column 8")),
            ("a.json", "", Err("cannot be read as JSON")),
            ("a.json", &large, Err("larger than 8192 bytes")),
            ("a.json", &deep, Err("cannot be read as JSON")),
        ];
        for (name, content, expected) in table {
            let found = told(name, content.as_bytes());
            match expected {
                Ok(event) => assert_eq!((found.events.as_slice(), found.warnings.len()), ([event].as_slice(), 0), "{content}"),
                Err(why) => {
                    assert!(found.events.is_empty() && found.warnings.len() == 1, "{content}: {found:?}");
                    assert!(found.warnings[0].contains(why) && !found.warnings[0].contains("hunter2"), "{found:?}");
                }
            }
        }
        assert_eq!(told("a.txt", b"{}"), Told::default());
        assert_eq!(read(Path::new("/no/such/folder"), &str::to_owned), Told::default());
    }

    #[test]
    fn links_pipes_and_folders_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("outside");
        fs::write(&secret, "{}").unwrap();
        std::os::unix::fs::symlink(&secret, folder.path().join("link.json")).unwrap();
        fs::create_dir(folder.path().join("folder.json")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("pipe.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let found = read(folder.path(), &str::to_owned);
        assert!(found.events.is_empty() && found.warnings.len() == 3, "{found:?}");
        assert!(found.warnings.iter().all(|warning| warning.contains("not a plain file")), "{found:?}");
    }

    #[test]
    fn events_come_by_name_and_too_many_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        for n in (0..100).rev() {
            fs::write(folder.path().join(format!("e{n:03}.json")), "{}").unwrap();
        }
        for n in 0..20 {
            fs::write(folder.path().join(format!("a{n:03}.json")), "nonsense").unwrap();
        }
        let found = read(folder.path(), &str::to_owned);
        let types: Vec<&str> = found.events.iter().map(|event| event.event_type.as_str()).collect();
        let expected: Vec<String> = (0..44).map(|n| format!("e{n:03}")).collect();
        assert_eq!(types, expected, "64 files are looked at, 20 of which are nonsense");
        assert_eq!(found.warnings.len(), MAX_WARNINGS + 2);
        assert!(found.warnings[MAX_WARNINGS + 1].starts_with("⚠ 56 more"), "{:?}", found.warnings);
    }
}
