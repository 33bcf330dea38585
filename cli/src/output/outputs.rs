//! The outputs of an apply, from the tool's `output -json`. Sensitive values are already masked when they get here.

use serde_json::Value;

use super::ansi;

/// `name = value`, one line each, in the order of the names. What is no object of outputs is shown as it is.
pub(crate) fn lines(outputs: &Value) -> impl Iterator<Item = String> {
    let parsed = match outputs {
        Value::String(text) if text.trim().is_empty() => Value::Null,
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| outputs.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => outputs.clone(),
    };
    let lines: Vec<String> = match parsed {
        Value::Null => Vec::new(),
        Value::Object(all) => all.iter().map(|(name, output)| line(name, output)).collect(),
        Value::String(text) => ansi::lines(&text).collect(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_)) => vec![other.to_string()],
    };
    lines.into_iter()
}

fn line(name: &str, output: &Value) -> String {
    // Marked sensitive but not masked would be a fault elsewhere; nothing is lost by not trusting it.
    let sensitive = output.get("sensitive").and_then(Value::as_bool).unwrap_or(false);
    let value = match output.get("value") {
        _ if sensitive => "(sensitive)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => output.to_string(),
    };
    format!("{} = {}", ansi::plain(name), ansi::plain(&value))
}
