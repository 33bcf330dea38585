//! From `output -json` to what people may see of it: the values of sensitive outputs hidden, secrets of the run masked.

use super::values::{self, Mask, SENSITIVE};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Longest JSON text of one value, in bytes.
const MAX_VALUE: usize = 16 * 1024;
/// Longest JSON text of all outputs, in bytes: a report is one message (1 MiB), and this text is encoded once more in it.
const MAX_TOTAL: usize = 256 * 1024;

#[derive(Deserialize)]
struct Output {
    /// What does not say that it may be seen, may not.
    #[serde(default = "yes")]
    sensitive: bool,
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    value: Value,
}

fn yes() -> bool {
    true
}

/// The outputs as `output -json` gives them, fit to be shown; nothing when there are none. The error does not quote them.
pub(super) fn masked(json: &[u8], mask: &Mask<'_>) -> Result<Option<String>, serde_json::Error> {
    let outputs: BTreeMap<String, Output> = serde_json::from_slice(json)?;
    if outputs.is_empty() {
        return Ok(None);
    }
    let (mut shown, mut bytes) = (Map::new(), 0);
    let all = outputs.len();
    for (name, output) in outputs {
        if bytes > MAX_TOTAL + MAX_VALUE {
            let left_out = format!("({} more outputs are left out)", all - shown.len());
            shown.insert("…".to_owned(), json!({"sensitive": false, "type": "string", "value": left_out}));
            break;
        }
        let value = if output.sensitive { json!(SENSITIVE) } else { values::masked(&output.value, mask) };
        // A type names the attributes of a value: as telling as the value itself. A plain one (`string`) tells nothing.
        let hides = output.sensitive && !output.kind.is_string();
        let kind = if hides { json!(SENSITIVE) } else { values::masked(&output.kind, mask) };
        let mut entry = json!({"sensitive": output.sensitive, "type": kind, "value": value});
        let length = entry["value"].to_string().len();
        let whole = entry.to_string().len();
        if length > MAX_VALUE || whole > 2 * MAX_VALUE || bytes + whole > MAX_TOTAL {
            entry = json!({"sensitive": output.sensitive, "type": "string", "value": format!("(omitted: {length} bytes)")});
        }
        bytes += entry.to_string().len();
        shown.insert(mask(&name), entry);
    }
    Ok(Some(Value::Object(shown).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &Value) -> Option<Value> {
        let text = masked(json.to_string().as_bytes(), &|text| text.replace("hunter22", "***")).expect("outputs");
        text.map(|text| serde_json::from_str(&text).expect("JSON"))
    }

    #[test]
    fn sensitive_values_and_secrets_are_hidden() {
        let found = shown(&json!({
            "open": {"sensitive": false, "type": ["object", {"a": "string"}], "value": {"a": "x hunter22"}},
            "closed": {"sensitive": true, "type": "string", "value": "SECRET"},
            "silent": {"type": "string", "value": "SECRET"},
        }))
        .expect("some");
        assert_eq!(found["open"], json!({"sensitive": false, "type": ["object", {"a": "string"}], "value": {"a": "x ***"}}));
        assert_eq!(found["closed"]["value"], json!(SENSITIVE));
        assert!(!found.to_string().contains("SECRET"));
    }

    #[test]
    fn large_values_are_left_out_one_by_one() {
        let long = "x".repeat(MAX_VALUE);
        let mut outputs: Map<String, Value> =
            (0..400).map(|n| (format!("o{n:03}"), json!({"sensitive": false, "type": "string", "value": "y".repeat(1000)}))).collect();
        outputs.insert("a".to_owned(), json!({"sensitive": false, "type": "string", "value": long}));
        let found = shown(&Value::Object(outputs)).expect("some");
        assert_eq!(found["a"]["value"], json!("(omitted: 16386 bytes)"));
        assert_eq!(found["o000"]["value"].as_str().map(str::len), Some(1000));
        assert!(found.to_string().len() < MAX_TOTAL + 100 * 400);
    }

    #[test]
    fn no_outputs_are_nothing() {
        assert_eq!(shown(&json!({})), None);
        assert!(masked(b"Warning: x", &str::to_owned).is_err());
    }
}
