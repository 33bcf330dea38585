//! Values of a plan or an output as people may see them: sensitive parts hidden, unknown parts named, secrets of the run
//! masked wherever they turn up, and short.

use serde_json::{Map, Value};

/// Stands for a sensitive value.
pub(super) const SENSITIVE: &str = "(sensitive)";
/// Stands for a value that only the apply will know.
pub(super) const UNKNOWN: &str = "(known after apply)";
/// Longest text of one value, in characters.
const MAX_CHARS: usize = 200;

/// Shortest sensitive text, in bytes, that is looked for where it is not marked.
const SHORTEST_SENSITIVE: usize = 6;

/// Takes the run's secrets out of a text.
pub(super) type Mask<'a> = dyn Fn(&str) -> String + 'a;

/// Whether a marker tree (`after_sensitive`, `after_unknown`) marks anything at all.
pub(super) fn marks(tree: &Value) -> bool {
    match tree {
        Value::Bool(marked) => *marked,
        Value::Array(items) => items.iter().any(marks),
        Value::Object(items) => items.values().any(marks),
        Value::Null => false,
        // No marker looks like this: what we do not understand, we hide.
        Value::Number(_) | Value::String(_) => true,
    }
}

/// The value with everything hidden that the two marker trees say. Where a tree has another shape than the value, and
/// marks something, the whole value is hidden.
pub(super) fn shown(value: &Value, sensitive: &Value, unknown: &Value, mask: &Mask<'_>) -> Value {
    if *sensitive == Value::Bool(true) {
        return Value::String(SENSITIVE.to_owned());
    }
    if *unknown == Value::Bool(true) {
        return Value::String(UNKNOWN.to_owned());
    }
    match value {
        Value::Object(items) if fits(sensitive, Value::is_object) && fits(unknown, Value::is_object) => {
            let names = items.keys().chain(marked_keys(unknown).filter(|key| !items.contains_key(*key)));
            let shown_item = |key: &String| (mask(key), shown(&value[key], &sensitive[key], &unknown[key], mask));
            Value::Object(names.map(shown_item).collect::<Map<_, _>>())
        }
        Value::Array(items) if fits(sensitive, Value::is_array) && fits(unknown, Value::is_array) => {
            let length = items.len().max(unknown.as_array().map_or(0, Vec::len));
            Value::Array((0..length).map(|at| shown(&value[at], &sensitive[at], &unknown[at], mask)).collect())
        }
        _ if marks(sensitive) => Value::String(SENSITIVE.to_owned()),
        _ if marks(unknown) => Value::String(UNKNOWN.to_owned()),
        leaf => masked(leaf, mask),
    }
}

/// Gathers the texts that a marker tree calls sensitive. Short ones are left out: they are parts of ordinary words.
pub(super) fn sensitive_texts(value: &Value, sensitive: &Value, found: &mut Vec<String>) {
    let everything = Value::Bool(true);
    let below = |at: &Value| if *sensitive == everything { everything.clone() } else { at.clone() };
    match value {
        Value::String(text) if marks(sensitive) && text.len() >= SHORTEST_SENSITIVE => found.push(text.clone()),
        Value::Object(items) => {
            items.iter().for_each(|(key, item)| sensitive_texts(item, &below(&sensitive[key]), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| sensitive_texts(item, &below(&sensitive[at]), found));
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn fits(tree: &Value, shape: fn(&Value) -> bool) -> bool {
    shape(tree) || !marks(tree)
}

fn marked_keys(tree: &Value) -> impl Iterator<Item = &String> {
    tree.as_object().into_iter().flatten().filter(|(_, marker)| marks(marker)).map(|(key, _)| key)
}

/// A value without marker trees, with the run's secrets masked, also where one is a number or a name.
pub(super) fn masked(value: &Value, mask: &Mask<'_>) -> Value {
    match value {
        Value::String(text) => Value::String(mask(text)),
        Value::Number(number) => {
            let text = number.to_string();
            let hidden = mask(&text);
            if hidden == text { value.clone() } else { Value::String(hidden) }
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| masked(item, mask)).collect()),
        Value::Object(items) => Value::Object(items.iter().map(|(key, item)| (mask(key), masked(item, mask))).collect()),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

/// As a short JSON text; the two stand-ins without quotes.
pub(super) fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) if text == SENSITIVE || text == UNKNOWN => return text.clone(),
        value => value.to_string(),
    };
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn show(value: &Value, sensitive: &Value, unknown: &Value) -> Value {
        shown(value, sensitive, unknown, &|text| text.replace("hunter22", "***").replace("12345678", "***"))
    }

    #[test]
    fn sensitive_and_unknown_parts_are_replaced() {
        for (value, sensitive, unknown, expected) in [
            (json!("x"), json!(false), json!(false), json!("x")),
            (json!("x"), json!(true), json!(true), json!(SENSITIVE)),
            (Value::Null, json!(false), json!(true), json!(UNKNOWN)),
            (json!({"a": "s", "b": 1}), json!({"a": true}), json!({}), json!({"a": SENSITIVE, "b": 1})),
            (json!({"b": 1}), json!({}), json!({"a": true, "c": {}}), json!({"a": UNKNOWN, "b": 1})),
            (json!([["s"], 2]), json!([[true]]), json!([]), json!([[SENSITIVE], 2])),
            (json!([1]), json!([]), json!([false, true]), json!([1, UNKNOWN])),
            // A tree of another shape: all or nothing.
            (json!({"a": "s"}), json!([true]), json!({}), json!(SENSITIVE)),
            (json!("s"), json!({"a": true}), json!({}), json!(SENSITIVE)),
            (json!(["s"]), json!({"0": true}), json!(false), json!(SENSITIVE)),
            (json!("s"), json!("odd"), json!(false), json!(SENSITIVE)),
            (json!({"a": "s"}), json!([]), json!(false), json!({"a": "s"})),
        ] {
            assert_eq!(show(&value, &sensitive, &unknown), expected, "{value} {sensitive} {unknown}");
        }
    }

    #[test]
    fn secrets_of_the_run_are_masked_in_texts_names_and_numbers() {
        let value = json!({"hunter22": ["x hunter22", 12_345_678, 1]});
        assert_eq!(show(&value, &json!({}), &json!({})), json!({"***": ["x ***", "***", 1]}));
    }

    #[test]
    fn sensitive_texts_are_found_below_their_markers() {
        let mut found = Vec::new();
        let value = json!({"a": "secret-a", "b": ["secret-b", "open-text"], "c": {"d": "secret-c", "e": "abc"}, "f": "open-text"});
        sensitive_texts(&value, &json!({"a": true, "b": [true], "c": true}), &mut found);
        assert_eq!(found, ["secret-a", "secret-b", "secret-c"]);
    }

    #[test]
    fn texts_are_short() {
        assert_eq!(short(&json!({"a": 1})), r#"{"a":1}"#);
        assert_eq!(short(&json!(SENSITIVE)), SENSITIVE);
        assert_eq!(short(&json!("ü".repeat(500))).chars().count(), MAX_CHARS + 1);
    }
}
