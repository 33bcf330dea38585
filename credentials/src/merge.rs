//! The environment of an order, put together. The order is the replaced engine's: what was given with the order, then
//! parameters, then secrets, then what the engine itself says. Later wins, and nobody but the engine speaks for the engine.

use proto::Secret;
use std::collections::{BTreeMap, BTreeSet};

/// Variables that only the engine sets.
pub const ENGINE_NAMES: [&str; 7] = ["CMDS", "CALLBACK_URL", "TRACE_ID", "RUN_ID", "ORDER_ID", "ORDER_NUM", "FLOW_ID"];

/// What the engine tells an order about itself.
#[derive(Debug, Clone, Copy)]
pub struct EngineFields<'a> {
    pub cmds: &'a [String],
    /// Absent: there is no such variable, whoever set one.
    pub callback_url: Option<&'a Secret>,
    pub trace_id: &'a str,
    pub run_id: &'a str,
    /// The order's name, as `ORDER_ID`.
    pub order_name: &'a str,
    /// Four digits at least.
    pub order_num: &'a str,
    pub flow_id: &'a str,
}

/// An order's whole environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderEnvironment {
    pub variables: BTreeMap<String, Secret>,
    /// Which of them hold a fetched credential.
    pub credential_names: BTreeSet<String>,
}

/// Puts an environment together; each list of credentials in the order of its locations.
pub fn merge(
    env_vars: &BTreeMap<String, Secret>,
    parameters: &[BTreeMap<String, Secret>],
    secrets: &[BTreeMap<String, Secret>],
    engine: &EngineFields<'_>,
) -> OrderEnvironment {
    let mut variables = env_vars.clone();
    let mut credential_names = BTreeSet::new();
    for credential in parameters.iter().chain(secrets) {
        variables.extend(credential.clone());
        credential_names.extend(credential.keys().cloned());
    }
    for name in ENGINE_NAMES {
        variables.remove(name);
        credential_names.remove(name);
    }
    let own = [
        ("CMDS", Some(serde_json::Value::from(engine.cmds).to_string())),
        ("CALLBACK_URL", engine.callback_url.map(|url| url.expose().to_owned())),
        ("TRACE_ID", Some(engine.trace_id.to_owned())),
        ("RUN_ID", Some(engine.run_id.to_owned())),
        ("ORDER_ID", Some(engine.order_name.to_owned())),
        ("ORDER_NUM", Some(engine.order_num.to_owned())),
        ("FLOW_ID", Some(engine.flow_id.to_owned())),
    ];
    variables.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Secret::new(value?)))));
    OrderEnvironment { variables, credential_names }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];
    /// Given, parameters, secrets, and what `A` is in the end.
    type Case<'a> = (Pairs<'a>, &'a [Pairs<'a>], &'a [Pairs<'a>], Option<&'a str>);

    fn variables(pairs: Pairs<'_>) -> BTreeMap<String, Secret> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect()
    }

    fn merged(env_vars: Pairs<'_>, parameters: &[Pairs<'_>], secrets: &[Pairs<'_>], callback_url: Option<&Secret>) -> OrderEnvironment {
        let cmds = ["echo \"a\"".to_owned(), "true".to_owned()];
        let engine = EngineFields {
            cmds: &cmds,
            callback_url,
            trace_id: "trace",
            run_id: "run",
            order_name: "vpc",
            order_num: "0001",
            flow_id: "u:trace-exec",
        };
        let each = |list: &[Pairs<'_>]| list.iter().map(|pairs| variables(pairs)).collect::<Vec<_>>();
        merge(&variables(env_vars), &each(parameters), &each(secrets), &engine)
    }

    #[test]
    fn later_wins() {
        let cases: &[Case<'_>] = &[
            (&[], &[], &[], None),
            (&[("A", "env")], &[], &[], Some("env")),
            (&[("A", "env")], &[&[("A", "ssm")]], &[], Some("ssm")),
            (&[("A", "env")], &[&[("A", "ssm1")], &[("A", "ssm2")]], &[], Some("ssm2")),
            (&[("A", "env")], &[&[("A", "ssm")]], &[&[("A", "secret")]], Some("secret")),
            (&[], &[], &[&[("A", "secret1")], &[("A", "secret2")], &[("B", "x")]], Some("secret2")),
            (&[("A", "env")], &[], &[&[("A", "secret")]], Some("secret")),
        ];
        for (env_vars, parameters, secrets, expected) in cases {
            let environment = merged(env_vars, parameters, secrets, None);
            assert_eq!(environment.variables.get("A").map(Secret::expose), *expected);
            let fetched = parameters.iter().chain(*secrets).any(|pairs| pairs.iter().any(|(name, _)| *name == "A"));
            assert_eq!(environment.credential_names.contains("A"), fetched);
        }
    }

    #[test]
    fn the_engine_has_the_last_word_and_a_missing_callback_stays_missing() {
        let forged: Vec<(&str, &str)> = ENGINE_NAMES.iter().map(|name| (*name, "forged")).collect();
        for (env_vars, parameters, secrets) in [
            (forged.as_slice(), &[][..], &[][..]),
            (&[][..], &[forged.as_slice()][..], &[][..]),
            (&[][..], &[][..], &[forged.as_slice()][..]),
        ] {
            let environment = merged(env_vars, parameters, secrets, None);
            let told: Vec<(&str, &str)> = environment.variables.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
            let expected = [
                ("CMDS", r#"["echo \"a\"","true"]"#),
                ("FLOW_ID", "u:trace-exec"),
                ("ORDER_ID", "vpc"),
                ("ORDER_NUM", "0001"),
                ("RUN_ID", "run"),
                ("TRACE_ID", "trace"),
            ];
            assert_eq!(told, expected);
            assert!(environment.credential_names.is_empty());
            let url = Secret::new("https://result.example.com/put");
            let environment = merged(env_vars, parameters, secrets, Some(&url));
            assert_eq!(environment.variables.get("CALLBACK_URL"), Some(&url));
        }
    }
}
