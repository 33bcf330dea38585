//! Refuses requests that Dokploy would: other fields, other types, other words than its published document has.

use serde_json::{Map, Value};

/// Why a request is refused, if it is.
pub(crate) fn fault(operation: &str, method: &str, fields: &Map<String, Value>) -> Option<String> {
    let document: Value = serde_json::from_str(include_str!("shapes.json")).expect("the shapes are JSON");
    let shape = &document["operations"][operation];
    if shape["method"] != method {
        return Some(format!("{method} {operation} is no operation"));
    }
    for name in shape["required"].as_array().expect("a list").iter().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            return Some(format!("{operation}: {name} is missing"));
        }
    }
    fields.iter().find_map(|(name, value)| {
        let fits = match &shape["fields"][name] {
            Value::Null => false,
            Value::Array(words) => words.contains(value),
            Value::String(kind) => match kind.as_str() {
                "string" => value.is_string(),
                "text" => value.as_str().is_some_and(|text| !text.is_empty()),
                "boolean" => value.is_boolean(),
                "port" => value.as_u64().is_some_and(|port| (1..=65535).contains(&port)),
                other => panic!("{other} is no kind"),
            },
            other => panic!("{other} is no shape"),
        };
        (!fits).then(|| format!("{operation}: {name} cannot be {value}"))
    })
}

#[test]
fn requests_of_another_shape_are_refused() {
    for (operation, method, fields, good) in [
        ("compose.deploy", "POST", r#"{"composeId":"a","title":"t"}"#, true),
        ("compose.deploy", "GET", r#"{"composeId":"a"}"#, false),
        ("compose.deploy", "POST", r#"{"title":"t"}"#, false),
        ("compose.deploy", "POST", r#"{"composeId":"","title":"t"}"#, false),
        ("compose.update", "POST", r#"{"composeId":"a","autoDeploy":"no"}"#, false),
        ("compose.update", "POST", r#"{"composeId":"a","sourceType":"file"}"#, false),
        ("compose.create", "POST", r#"{"name":"a","environmentId":"e","env":"A=1"}"#, false),
        ("compose.unknown", "POST", "{}", false),
        ("domain.create", "POST", r#"{"host":"a","port":70000}"#, false),
    ] {
        let fields = serde_json::from_str(fields).expect("an object");
        assert_eq!(fault(operation, method, &fields).is_none(), good, "{operation}");
    }
}
