//! From what lies at a location to named variables: one whose name comes from the path, or one for each entry of a JSON
//! object. Values stay in the order they were written in, because a token is the first of them.

use crate::document::Node;
use crate::error::Cause;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use proto::Secret;
use proto::environment::{MAX_VARIABLES, check_env};
use std::collections::BTreeMap;

/// Names and values in their own order.
pub(crate) type Variables = Vec<(String, Secret)>;

/// What a parameter of Systems Manager holds: the base64 of a JSON object of single values, or one value.
pub(crate) fn of_parameter(path: &str, value: &str) -> Variables {
    let decoded = STANDARD.decode(value.trim()).ok();
    decoded.and_then(|json| object(&json)).unwrap_or_else(|| one(path, value))
}

/// What a secret of Secrets Manager holds: a JSON object of single values, or one value.
pub(crate) fn of_secret(path: &str, value: &str) -> Variables {
    object(value.as_bytes()).unwrap_or_else(|| one(path, value))
}

/// The entries of a JSON object, each of which must be a single value.
pub(crate) fn of_object(node: &Node) -> Result<Variables, Cause> {
    let Node::Branch(entries) = node else {
        return Err(Cause::malformed("it is no JSON object of names and values"));
    };
    let single = |(name, value): &(String, Node)| match value.as_variable() {
        Some(text) => Ok((name.clone(), Secret::new(text))),
        None => Err(Cause::malformed(format!("`{}` is no text, number or truth value", shown(name)))),
    };
    entries.iter().map(single).collect()
}

fn object(json: &[u8]) -> Option<Variables> {
    of_object(&Node::parse(json).ok()?).ok()
}

fn one(path: &str, value: &str) -> Variables {
    vec![(name_of(path), Secret::new(value))]
}

/// The last segment of a path in capitals, `-` as `_`. An ARN's path comes after its sixth colon; a selector (`:3`) does
/// not count.
fn name_of(path: &str) -> String {
    let path = if path.starts_with("arn:") { path.splitn(7, ':').last().unwrap_or(path) } else { path };
    // The resource of a parameter's ARN has its kind before the path: `arn:aws:ssm:eu-west-1:1:parameter/app/db`.
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    last.split(':').next().unwrap_or(last).to_ascii_uppercase().replace('-', "_")
}

/// The variables, if an order may have each of them.
pub(crate) fn checked(variables: Variables) -> Result<BTreeMap<String, Secret>, Cause> {
    if variables.len() > MAX_VARIABLES {
        return Err(Cause::malformed(format!("it holds {} variables, more than the {MAX_VARIABLES} an order may have", variables.len())));
    }
    for (name, value) in &variables {
        check_env(name, value.expose()).map_err(|refused| Cause::malformed(refused.to_string()))?;
    }
    Ok(variables.into_iter().collect())
}

/// A name as it may be shown, whatever it holds.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(variables: &Variables) -> Vec<(&str, &str)> {
        variables.iter().map(|(name, value)| (name.as_str(), value.expose())).collect()
    }

    #[test]
    fn a_parameter_is_one_variable_unless_it_packs_an_object() {
        let packed = STANDARD.encode(r#"{"Z":"1","A":"2","PORT":5432}"#);
        assert_eq!(plain(&of_parameter("/app/db", &packed)), [("Z", "1"), ("A", "2"), ("PORT", "5432")]);
        for plain_value in ["s3cret", r#"{"A":"1"}"#, &STANDARD.encode("text"), &STANDARD.encode(r#"{"A":{"B":"1"}}"#)] {
            assert_eq!(plain(&of_parameter("/app/db-password", plain_value)), [("DB_PASSWORD", plain_value)]);
        }
    }

    #[test]
    fn a_secret_is_one_variable_unless_it_is_an_object() {
        assert_eq!(plain(&of_secret("prod/db", r#"{"USER":"u","PASS":"p"}"#)), [("USER", "u"), ("PASS", "p")]);
        assert_eq!(plain(&of_secret("prod/api-key", "abc")), [("API_KEY", "abc")]);
        assert_eq!(plain(&of_secret("prod/api-key", "[1]")), [("API_KEY", "[1]")]);
    }

    #[test]
    fn the_name_is_the_last_segment_of_the_path() {
        for (path, name) in [
            ("/a/b/db-password", "DB_PASSWORD"),
            ("token", "TOKEN"),
            ("/a/token:3", "TOKEN"),
            ("arn:aws:ssm:eu-west-1:123456789012:parameter/app/db", "DB"),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbC12d", "DB_ABC12D"),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:x", "X"),
        ] {
            assert_eq!(name_of(path), name, "{path}");
        }
    }

    #[test]
    fn what_no_order_may_set_is_refused_and_no_value_told() {
        for (name, value) in [("LD_PRELOAD", "hunter2"), ("a-b", "hunter2"), ("1A", "hunter2"), ("", "hunter2"), ("A", "hunter2\0")] {
            let cause = checked(vec![(name.to_owned(), Secret::new(value))]).unwrap_err();
            assert!(matches!(cause, Cause::Malformed(_)), "{name}");
            assert!(!cause.to_string().contains("hunter2"), "{cause}");
        }
        let many = (0..=MAX_VARIABLES).map(|n| (format!("A{n}"), Secret::new("x"))).collect();
        assert!(checked(many).is_err());
    }
}
