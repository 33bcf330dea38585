//! The table and the document agree, and every route has the access it must have.

use super::{table::Verb, *};
use crate::auth::{Access, Scope};
use serde_json::Value;
use std::collections::BTreeSet;

fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "get",
        Verb::Post => "post",
        Verb::Delete => "delete",
    }
}

fn document() -> Value {
    serde_json::from_str(&DOCUMENT.to_json().unwrap()).unwrap()
}

#[test]
fn every_route_is_documented_and_nothing_else() {
    let document = document();
    let documented: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |verb| format!("{verb} {path}")))
        .collect();
    let routes: BTreeSet<String> = table().iter().map(|route| format!("{} {}", word(route.verb), route.path)).collect();
    assert_eq!(documented, routes);
    assert_eq!(routes.len(), table().len(), "no route stands twice");
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    found.push(reference);
                }
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 30);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn the_document_has_every_field_of_the_status_object() {
    let document = document();
    let schema = &document["components"]["schemas"]["StatusBody"];
    let fields: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    for field in [
        "deployment_id",
        "status",
        "phase",
        "started_at",
        "ended_at",
        "error",
        "init_log",
        "plan_log",
        "plan_output",
        "apply_log",
        "apply_output",
        "clone_log",
        "failed_phase",
        "waiting_for",
        "commit",
        "approval",
        "tool_version",
    ] {
        assert!(fields.contains(field), "{field}");
    }
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}

#[test]
fn every_route_asks_for_the_right_scope() {
    let told: Vec<String> =
        table().iter().map(|route| format!("{} {} {}", word(route.verb), route.path, access_word(route.access))).collect();
    let expected = [
        "post /deploy a key, or a signature of the first source",
        "get /deploy/{id}/status read",
        "get /deploy/{id}/logs read",
        "post /deploy/{id}/approve approve",
        "post /deploy/{id}/reject approve",
        "post /deploy/{id}/cancel deploy",
        "post /deploy/status a key, or a signature of the first source",
        "post /sync a key, or a signature of the first source",
        "post /v1/orders deploy",
        "post /webhook a key or a signature",
        "post /hooks/{source} a signature",
        "get /v1/deliveries read",
        "get /v1/deliveries/{id} read",
        "post /v1/deliveries/{id}/redeliver deploy",
        "get /v1/runs read",
        "get /v1/runs/{id} read",
        "get /v1/runs/{id}/jobs read",
        "get /v1/runs/{id}/logs read",
        "get /v1/runs/{id}/log.txt read",
        "get /v1/runs/{id}/events read",
        "get /v1/runs/{id}/orders/{num}/result.json read",
        "get /v1/runs/{id}/done done",
        "post /v1/probes deploy",
        "post /v1/runs/{id}/approve approve",
        "post /v1/runs/{id}/reject approve",
        "post /v1/runs/{id}/cancel deploy",
        "post /v1/runs/{id}/resolve admin",
        "post /v1/mapping/check read",
        "post /v1/releases deploy",
        "get /v1/releases read",
        "get /v1/locks read",
        "get /v1/workers read",
        "get /v1/dead-letters admin",
        "get /v1/queues read",
        "post /v1/keys admin",
        "get /v1/keys admin",
        "delete /v1/keys/{id} admin",
        "get /v1/whoami any key",
        "get /health open",
        "get /livez open",
        "get /readyz open",
        "get /metrics open on loopback",
        "get /openapi.json open on loopback",
    ];
    assert_eq!(told, expected);
}

fn access_word(access: Access) -> &'static str {
    match access {
        Access::Open => "open",
        Access::OpenOnLoopback => "open on loopback",
        Access::AnyKey => "any key",
        Access::KeyOrProof => "a key or a signature",
        Access::KeyOrSignature => "a key, or a signature of the first source",
        Access::Signature => "a signature",
        Access::Needs(scope) => Scope::as_str(scope),
    }
}
