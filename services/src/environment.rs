//! What a service is told about the environment it is deployed to: variables and host names.

use crate::placeholder::Values;
use proto::sync::{Domain, Environment};
use std::collections::BTreeMap;

/// The variables that the command which syncs a service gets besides what the operator passes on: where it deploys to, and
/// what names end with there. In production the suffixes are set and empty, so that no older value shows through.
pub fn child_environment(environment: &Environment) -> BTreeMap<String, String> {
    let suffix = environment.suffix();
    BTreeMap::from([
        ("DEPLOY_ENV".to_owned(), environment.to_string()),
        ("ENV_SUFFIX".to_owned(), suffix.clone()),
        ("ENV_DOMAIN_SUFFIX".to_owned(), suffix),
    ])
}

/// The usual variables of a service that we deploy ourselves: [`crate::hash::LEGACY_VARIABLES`], as the replaced service set
/// them. `data_path` absent: `/data/{project}/{service}{suffix}`. A variable without a value is left out.
pub fn service_environment(values: &Values<'_>, data_path: Option<&str>, vault_addr: Option<&str>) -> BTreeMap<String, String> {
    let suffix = values.environment.suffix();
    let usual_path = format!("/data/{}/{}{suffix}", values.service.project(), values.service.name());
    [
        ("DATA_PATH", data_path.unwrap_or(&usual_path)),
        ("ENV", values.environment.as_str()),
        ("ENV_DOMAIN_SUFFIX", suffix.as_str()),
        ("ENV_SUFFIX", suffix.as_str()),
        ("INTERNAL_DOMAIN", values.domain.unwrap_or_default()),
        ("VAULT_ADDR", vault_addr.unwrap_or_default()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// The host name of a service: `{subdomain}{-environment unless production}.{INTERNAL_DOMAIN}`.
pub fn host_name(domain: &Domain, environment: &Environment, internal_domain: &str) -> String {
    format!("{}{}.{internal_domain}", domain.subdomain, environment.suffix())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;

    #[test]
    fn suffixes_are_empty_in_production_only() {
        let domain = Domain { subdomain: "sso".to_owned(), service: "server".to_owned(), port: 9000 };
        for (name, suffix, host) in [
            ("staging", "-staging", "sso-staging.example.com"),
            ("prod", "", "sso.example.com"),
            ("pr_12", "-pr-12", "sso-pr-12.example.com"),
        ] {
            let environment: Environment = name.parse().unwrap();
            let child = child_environment(&environment);
            assert_eq!(child["DEPLOY_ENV"], environment.as_str());
            assert_eq!((child["ENV_SUFFIX"].as_str(), child["ENV_DOMAIN_SUFFIX"].as_str()), (suffix, suffix));
            assert_eq!(host_name(&domain, &environment, "example.com"), host);
        }
    }

    /// What the replaced service deployed as redis in staging keeps its hash.
    #[test]
    fn the_usual_variables_have_the_usual_hash() {
        let (environment, service) = ("staging".parse().unwrap(), "platform/redis".parse().unwrap());
        let values = Values { environment: &environment, service: &service, task: "", reference: "", domain: Some("example.com") };
        let env = service_environment(&values, None, Some("https://vault.example.com"));
        assert!(env.keys().map(String::as_str).eq(hash::LEGACY_VARIABLES));
        let compose = "services:\n  redis:\n    image: redis:7\n";
        let identity = hash::Identity { compose, env: &env, built: &[], read: &[], dependencies: &[], secret_versions: &BTreeMap::new() };
        assert_eq!(hash::hashes(&identity).v0, "43e65c10865d");
        let bare = Values { domain: None, ..values };
        assert_eq!(service_environment(&bare, Some("/srv"), None).get("DATA_PATH").map(String::as_str), Some("/srv"));
        assert!(!service_environment(&bare, None, None).contains_key("INTERNAL_DOMAIN"));
    }
}
