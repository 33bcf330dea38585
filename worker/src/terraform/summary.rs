//! From a plan's JSON to the summary that people approve: counts, and each changed resource with its attributes.
//!
//! Every resource is counted once: a replacement is a replacement, not an addition and a removal. Sensitive values never
//! get in, secrets of the run are masked, and the whole stays small enough for one message.

use super::plan_document::{self, Change, Resource};
use super::values::{self, Mask, SENSITIVE};
use proto::terraform::{AttributeChange, PlanSummary, ResourceChange};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Room for all resources together, in bytes of JSON: half of one message (1 MiB), the rest is for what is around them.
const MAX_BYTES: usize = 512 * 1024;
/// From here on resources are listed without their attributes.
const MAX_BYTES_WITH_ATTRIBUTES: usize = 384 * 1024;
/// Most attributes of one resource.
const MAX_ATTRIBUTES: usize = 60;
/// Most sensitive texts of one resource that are looked for in its other attributes.
const MAX_SENSITIVE: usize = 200;
const MAX_ADDRESS_CHARS: usize = 500;

/// Summarises the output of `show -json PLAN`. The error does not quote the document.
pub(super) fn summarise(json: &[u8], mask: &Mask<'_>) -> Result<PlanSummary, serde_json::Error> {
    let (mut summary, mut bytes) = (PlanSummary::default(), 0);
    let rest = plan_document::read(json, |resource| add(&mut summary, &mut bytes, &resource, mask))?;
    summary.output_changes = u32::try_from(rest.output_changes).unwrap_or(u32::MAX);
    Ok(summary)
}

fn add(summary: &mut PlanSummary, bytes: &mut usize, resource: &Resource, mask: &Mask<'_>) {
    let change = &resource.change;
    let importing = change.importing.is_some();
    let Some(action) = action(resource) else { return };
    let count = match action {
        "create" => Some(&mut summary.adds),
        "update" => Some(&mut summary.changes),
        "delete" => Some(&mut summary.destroys),
        "replace" => Some(&mut summary.replacements),
        _ => None,
    };
    if let Some(count) = count {
        *count = count.saturating_add(1);
    }
    summary.imports = summary.imports.saturating_add(u32::from(importing));

    let address = match &resource.deposed {
        Some(key) => format!("{} (deposed object {key})", resource.address),
        None => resource.address.clone(),
    };
    let address = mask(&address).chars().take(MAX_ADDRESS_CHARS).collect();
    let attributes = if *bytes < MAX_BYTES_WITH_ATTRIBUTES { attributes(action, change, mask) } else { Vec::new() };
    let replace_because = if action == "replace" { reasons(resource, mask) } else { Vec::new() };
    let listed = ResourceChange { address, action: action.to_owned(), attributes, replace_because };
    let size = serde_json::to_string(&listed).map_or(MAX_BYTES, |text| text.len());
    if summary.resources.len() < PlanSummary::MAX_RESOURCES && *bytes + size <= MAX_BYTES {
        *bytes += size;
        summary.resources.push(listed);
    } else {
        summary.resources_omitted = summary.resources_omitted.saturating_add(1);
    }
}

/// The one word for what happens; nothing when nothing does.
fn action(resource: &Resource) -> Option<&'static str> {
    let actions: Vec<&str> = resource.change.actions.iter().map(String::as_str).collect();
    Some(match actions[..] {
        ["create"] => "create",
        ["read"] => "read",
        ["delete"] => "delete",
        ["delete", "create"] | ["create", "delete" | "forget"] => "replace",
        ["forget"] => "forget",
        [] | ["no-op"] if resource.change.importing.is_some() => "import",
        [] | ["no-op"] if resource.previous_address.is_some() => "move",
        [] | ["no-op"] => return None,
        // `update`; and for a word of a later version, that something changes rather than nothing.
        _ => "update",
    })
}

fn attributes(action: &str, change: &Change, mask: &Mask<'_>) -> Vec<AttributeChange> {
    let Change { before, after, after_unknown, before_sensitive, after_sensitive, .. } = change;
    let keys = |value: &'_ Value| value.as_object().map(|items| items.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let names: BTreeSet<String> = [before, after, after_unknown].into_iter().flat_map(keys).collect();
    let differs = |name: &String| match action {
        "delete" | "forget" => !before[name].is_null(),
        "create" | "read" => !after[name].is_null() || values::marks(&after_unknown[name]),
        "update" | "replace" => before[name] != after[name] || values::marks(&after_unknown[name]),
        _ => false,
    };
    // A whole object may be sensitive: then each of its attributes is.
    let of = |tree: &Value, name: &str| if tree.is_object() { tree[name].clone() } else { Value::Bool(values::marks(tree)) };
    // Providers copy sensitive arguments into attributes that they do not mark (`output` of `terraform_data` is one).
    let mut sensitive = Vec::new();
    values::sensitive_texts(before, before_sensitive, &mut sensitive);
    values::sensitive_texts(after, after_sensitive, &mut sensitive);
    // Longer ones first: a part of one may be another.
    sensitive.sort_by_key(|text| Reverse(text.len()));
    sensitive.dedup();
    sensitive.truncate(MAX_SENSITIVE);
    let mask = |text: &str| mask(&sensitive.iter().fold(text.to_owned(), |text, hidden| text.replace(hidden, SENSITIVE)));
    let changed = names.into_iter().filter(differs).take(MAX_ATTRIBUTES);
    let listed = changed.map(|name| {
        let nothing = Value::Bool(false);
        let unknown = if action == "delete" { nothing.clone() } else { of(after_unknown, &name) };
        let old = values::shown(&before[&name], &of(before_sensitive, &name), &nothing, &mask);
        let new = values::shown(&after[&name], &of(after_sensitive, &name), &unknown, &mask);
        AttributeChange { before: values::short(&old), after: values::short(&new), name: mask(&name) }
    });
    listed.collect()
}

fn reasons(resource: &Resource, mask: &Mask<'_>) -> Vec<String> {
    let paths: Vec<String> = resource.change.replace_paths.iter().take(MAX_ATTRIBUTES).map(|path| mask(&attribute_path(path))).collect();
    if !paths.is_empty() {
        return paths;
    }
    let reason = match resource.action_reason.as_str() {
        "replace_because_tainted" => "(tainted)",
        "replace_by_request" => "(asked for with -replace)",
        "replace_by_triggers" => "(replace_triggered_by)",
        _ => return Vec::new(),
    };
    vec![reason.to_owned()]
}

/// `tags.name`, `list[0].x`, `map["a b"]`.
fn attribute_path(path: &[Value]) -> String {
    let mut text = String::new();
    for step in path {
        match step.as_str() {
            Some(name) if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            _ => {
                text.push('[');
                text.push_str(&step.to_string());
                text.push(']');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn summary(resources: &Value) -> PlanSummary {
        let document = json!({"format_version": "1.2", "resource_changes": resources});
        summarise(document.to_string().as_bytes(), &|text| text.replace("hunter22", "***")).expect("a plan")
    }

    fn resource(actions: &[&str], more: &Value) -> Value {
        let mut change = json!({"actions": actions, "before": {"a": 1}, "after": {"a": 2}});
        let mut resource = json!({"address": "x.y"});
        for (key, value) in more.as_object().expect("an object") {
            let into = if ["address", "previous_address", "deposed", "action_reason"].contains(&key.as_str()) {
                &mut resource
            } else {
                &mut change
            };
            into[key] = value.clone();
        }
        resource["change"] = change;
        resource
    }

    #[test]
    fn each_resource_is_counted_once() {
        let found = summary(&json!([
            resource(&["create"], &json!({})),
            resource(&["update"], &json!({"importing": {"id": "i"}})),
            resource(&["delete"], &json!({"deposed": "abc123"})),
            resource(&["delete", "create"], &json!({"replace_paths": [["a"], ["tags", "b c", 0]]})),
            resource(&["create", "delete"], &json!({"action_reason": "replace_because_tainted"})),
            resource(&["no-op"], &json!({"importing": {"id": "i"}})),
            resource(&["no-op"], &json!({"previous_address": "x.z"})),
            resource(&["no-op"], &json!({})),
            resource(&["read"], &json!({})),
            resource(&["forget"], &json!({})),
            resource(&["polish"], &json!({})),
        ]));
        let counts = [found.adds, found.changes, found.destroys, found.replacements, found.imports];
        assert_eq!(counts, [1, 2, 1, 2, 2]);
        let actions: Vec<&str> = found.resources.iter().map(|resource| resource.action.as_str()).collect();
        assert_eq!(actions, ["create", "update", "delete", "replace", "replace", "import", "move", "read", "forget", "update"]);
        assert_eq!(found.resources[2].address, "x.y (deposed object abc123)");
        assert_eq!(found.resources[3].replace_because, ["a", "tags[\"b c\"][0]"]);
        assert_eq!(found.resources[4].replace_because, ["(tainted)"]);
    }

    #[test]
    fn no_sensitive_value_and_no_secret_of_the_run_gets_in() {
        let found = summary(&json!([
            resource(
                &["update"],
                &json!({"address": "x.y[\"hunter22\"]", "before": {"a": "SECRET", "b": {"c": "SECRET", "d": 1}}, "after": {"a": "SECRET2", "b": {"c": "SECRET", "d": 2}, "e": "is hunter22"},
                "before_sensitive": {"a": true, "b": {"c": true}}, "after_sensitive": {"a": true, "b": {"c": true}}})
            ),
            resource(&["delete"], &json!({"before": {"a": "SECRET"}, "after": null, "before_sensitive": true, "after_sensitive": false})),
        ]));
        let text = serde_json::to_string(&found).expect("encodes");
        assert!(!text.contains("SECRET") && !text.contains("hunter22"), "{text}");
        let shown: Vec<String> = found.resources[0].attributes.iter().map(|a| format!("{}: {} -> {}", a.name, a.before, a.after)).collect();
        assert_eq!(
            shown,
            ["a: (sensitive) -> (sensitive)", r#"b: {"c":"(sensitive)","d":1} -> {"c":"(sensitive)","d":2}"#, r#"e: null -> "is ***""#]
        );
        assert_eq!(found.resources[1].attributes[0].before, "(sensitive)");
    }

    #[test]
    fn a_large_plan_stays_below_one_message() {
        let many: Vec<Value> = (0..1200)
            .map(|n| {
                let attributes: serde_json::Map<String, Value> =
                    (0..70).map(|a| (format!("attribute_{a}"), json!("\u{1}".repeat(300)))).collect();
                resource(&["create"], &json!({"address": format!("x.y[{n}]"), "before": null, "after": attributes}))
            })
            .collect();
        let found = summary(&json!(many));
        assert_eq!(found.adds, 1200);
        assert_eq!(found.resources.len() + found.resources_omitted as usize, 1200);
        assert_eq!(found.resources.len(), PlanSummary::MAX_RESOURCES);
        assert!(serde_json::to_string(&found).expect("encodes").len() < 600 * 1024);
    }
}
