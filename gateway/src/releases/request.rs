//! What a request for a release may ask. Pure.
//!
//! | kind | is made of | goes to | needs |
//! |---|---|---|---|
//! | `staging` | the source's branch | what the source's pushes sync | |
//! | `production` | the staging release `from` | `production` | `from`, `confirm` |
//! | `hotfix` | `ref`, which mends the production release `from` | `production` | `from`, `ref`, `confirm` |
//! | `rollback` | the release `from`, as it is | `environment`, else `production` | `from`; for production `confirm` |

use crate::{answers::FieldProblem, sources::Source, syncs::Wanted};
use proto::{
    git::GitRef,
    sync::{Environment, ReleaseKind, ReleaseOrder, ServiceId, SyncWanted},
};
use serde::Deserialize;
use services::release::Version;
use utoipa::ToSchema;

/// The word that lets a release into production.
const CONFIRM: &str = "deploy";
/// Longest `triggered_by`, in characters.
const MOST_TRIGGERED_BY: usize = 200;
/// Services that one request may name.
const MOST_SERVICES: usize = 1000;

/// A release to make.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseRequest {
    /// `staging`: the next patch, of the source's branch. `production`: the next minor, of a staging release. `hotfix`: the next
    /// patch above a production release, of a commit that need not be on the branch. `rollback`: an older release, deployed again.
    kind: String,
    /// Id of the source; null: the first one.
    #[serde(default)]
    pub(super) source: Option<String>,
    /// The release it is made from, such as `v1.2.4`. Not for `staging`.
    #[serde(default)]
    from: Option<String>,
    /// Branch, tag or commit that holds the mend. Only for `hotfix`.
    #[serde(default, rename = "ref")]
    git_ref: Option<String>,
    /// Must be `deploy` for what goes to production.
    #[serde(default)]
    confirm: Option<String>,
    /// Refuse instead of taking the next free version, or the release that is there already.
    #[serde(default)]
    strict: bool,
    /// Deploy even what has not changed.
    #[serde(default)]
    force: bool,
    /// Who or what caused it, for people; null: the caller.
    #[serde(default)]
    triggered_by: Option<String>,
    /// Only these services, `project/service`; null: every managed one.
    #[serde(default)]
    services: Option<Vec<String>>,
    /// Where to. Only for `rollback`.
    #[serde(default)]
    environment: Option<String>,
}

impl ReleaseRequest {
    /// What is to be done, or everything that is wrong.
    pub(super) fn decide(self, source: &Source, caller: &str) -> Result<Wanted, Vec<FieldProblem>> {
        let mut problems = Problems::default();
        let Some(kind) = kind(&self.kind) else {
            problems.add("kind", "must be `staging`, `production`, `hotfix` or `rollback`");
            return Err(problems.0);
        };
        let from = self.from(kind, &mut problems);
        let git_ref = self.git_ref(kind, source, from.as_ref(), &mut problems);
        let environment = self.environment(kind, source, &mut problems);
        if environment.as_ref().is_some_and(Environment::is_production) && self.confirm.as_deref() != Some(CONFIRM) {
            problems.add("confirm", format!("must be exactly \"{CONFIRM}\": this release goes to production"));
        }
        if kind == ReleaseKind::Rollback && self.strict {
            problems.add("strict", "has no meaning for a rollback, which makes no version: leave it out");
        }
        let services = self.services(source, &mut problems);
        let triggered_by = self.triggered_by.unwrap_or_else(|| caller.to_owned());
        if triggered_by.chars().count() > MOST_TRIGGERED_BY || triggered_by.chars().any(char::is_control) {
            problems.add("triggered_by", format!("must be at most {MOST_TRIGGERED_BY} characters, none of them a control character"));
        }
        match (git_ref, environment) {
            (Some(git_ref), Some(environment)) if problems.0.is_empty() => Ok(Wanted {
                environment,
                git_ref,
                services,
                force: self.force,
                triggered_by,
                delivery: None,
                deployment_id: None,
                release: Some(ReleaseOrder { kind, from, strict: self.strict }),
            }),
            (_, _) => Err(problems.0),
        }
    }

    /// The release that it is made from, as a tag's full name.
    fn from(&self, kind: ReleaseKind, problems: &mut Problems) -> Option<GitRef> {
        match (kind, &self.from) {
            (ReleaseKind::Staging, None) => None,
            (ReleaseKind::Staging, Some(_)) => {
                problems.add("from", "is not for a staging release, which is made of the source's branch: leave it out");
                None
            }
            (ReleaseKind::Production, None) => problems.none("from", "is needed: the staging release to promote, such as v1.2.4"),
            (ReleaseKind::Hotfix, None) => problems.none("from", "is needed: the production release to mend, such as v1.3.0"),
            (ReleaseKind::Rollback, None) => problems.none("from", "is needed: the release to deploy again, such as v1.2.0"),
            (ReleaseKind::Production | ReleaseKind::Hotfix | ReleaseKind::Rollback, Some(tag)) => {
                let version = Version::of_tag(tag).and_then(|version| format!("refs/tags/{version}").parse().ok());
                version.or_else(|| problems.none("from", "must be the tag of a release, vMAJOR.MINOR.PATCH, such as v1.2.4"))
            }
        }
    }

    fn git_ref(&self, kind: ReleaseKind, source: &Source, from: Option<&GitRef>, problems: &mut Problems) -> Option<GitRef> {
        match (kind, &self.git_ref) {
            (ReleaseKind::Hotfix, Some(text)) => match text.parse() {
                Ok(git_ref) => Some(git_ref),
                Err(error) => problems.none("ref", format!("{error}")),
            },
            (ReleaseKind::Hotfix, None) => problems.none("ref", "is needed: the branch, tag or commit that holds the mend"),
            (ReleaseKind::Staging, None) => Some(source.git_ref.clone()),
            (ReleaseKind::Production | ReleaseKind::Rollback, None) => from.cloned(),
            (ReleaseKind::Staging | ReleaseKind::Production | ReleaseKind::Rollback, Some(_)) => {
                problems.none("ref", "is for a hotfix alone: leave it out")
            }
        }
    }

    fn environment(&self, kind: ReleaseKind, source: &Source, problems: &mut Problems) -> Option<Environment> {
        let usual = match kind {
            ReleaseKind::Staging => source.environment.clone(),
            ReleaseKind::Production | ReleaseKind::Hotfix | ReleaseKind::Rollback => {
                Environment::PRODUCTION.parse().expect("the name of production is one of an environment")
            }
        };
        let Some(given) = &self.environment else { return Some(usual) };
        match given.parse::<Environment>() {
            Err(error) => problems.none("environment", error.to_string()),
            Ok(given) if kind == ReleaseKind::Rollback || given == usual => Some(given),
            Ok(_) => problems.none("environment", format!("a {kind} release goes to {usual}: leave it out")),
        }
    }

    fn services(&self, source: &Source, problems: &mut Problems) -> SyncWanted {
        let Some(given) = &self.services else { return SyncWanted::All };
        if given.is_empty() || given.len() > MOST_SERVICES {
            problems.add("services", format!("must name 1 to {MOST_SERVICES} services; leave it out to release all"));
        }
        let mut names: Vec<ServiceId> = Vec::new();
        for (n, text) in given.iter().enumerate().take(MOST_SERVICES) {
            match text.parse::<ServiceId>() {
                Ok(service) if !source.manages(&service) => {
                    let why = format!("the project {} is not managed by the source {}", service.project(), source.id);
                    problems.add(&format!("services[{n}]"), why);
                }
                Ok(service) => names.push(service),
                Err(error) => problems.add(&format!("services[{n}]"), error.to_string()),
            }
        }
        names.sort_unstable();
        names.dedup();
        SyncWanted::Named { names }
    }
}

/// The kind of a word.
pub(super) fn kind(word: &str) -> Option<ReleaseKind> {
    [ReleaseKind::Staging, ReleaseKind::Production, ReleaseKind::Hotfix, ReleaseKind::Rollback]
        .into_iter()
        .find(|kind| kind.as_str() == word)
}

#[derive(Debug, Default)]
struct Problems(Vec<FieldProblem>);

impl Problems {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldProblem::new(field, message));
    }

    fn none<T>(&mut self, field: &str, message: impl Into<String>) -> Option<T> {
        self.add(field, message);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tests::source;
    use serde_json::{Value, json};

    fn decide(request: &Value) -> Result<Wanted, String> {
        let request: ReleaseRequest = serde_json::from_value(request.clone()).map_err(|error| error.to_string())?;
        let told = |problems: Vec<FieldProblem>| problems.into_iter().map(|p| format!("{}: {}", p.field, p.message)).collect::<Vec<_>>();
        request.decide(&source(|_| {}), "ci").map_err(|problems| told(problems).join("\n"))
    }

    #[test]
    fn each_kind_is_made_of_something_and_goes_somewhere() {
        for (request, git_ref, environment, from) in [
            (json!({"kind": "staging"}), "refs/heads/main", "staging", None),
            (
                json!({"kind": "production", "from": "v1.2.4", "confirm": "deploy"}),
                "refs/tags/v1.2.4",
                "production",
                Some("refs/tags/v1.2.4"),
            ),
            (
                json!({"kind": "hotfix", "from": "v1.3.0", "ref": "mend", "confirm": "deploy"}),
                "mend",
                "production",
                Some("refs/tags/v1.3.0"),
            ),
            (
                json!({"kind": "rollback", "from": "v1.2.0", "confirm": "deploy"}),
                "refs/tags/v1.2.0",
                "production",
                Some("refs/tags/v1.2.0"),
            ),
            (
                json!({"kind": "rollback", "from": "v1.2.3", "environment": "staging"}),
                "refs/tags/v1.2.3",
                "staging",
                Some("refs/tags/v1.2.3"),
            ),
        ] {
            let wanted = decide(&request).unwrap();
            assert_eq!((wanted.git_ref.as_str(), wanted.environment.as_str()), (git_ref, environment), "{request}");
            let order = wanted.release.unwrap();
            assert_eq!((order.from.as_ref().map(GitRef::as_str), order.kind.as_str()), (from, request["kind"].as_str().unwrap()));
            assert_eq!((wanted.services, wanted.force, wanted.triggered_by.as_str()), (SyncWanted::All, false, "ci"));
        }
    }

    #[test]
    fn production_is_confirmed_word_for_word() {
        let told = "confirm: must be exactly \"deploy\": this release goes to production";
        for confirm in [json!(null), json!(""), json!("yes"), json!("Deploy"), json!("deploy ")] {
            for request in [
                json!({"kind": "production", "from": "v1.2.4", "confirm": confirm}),
                json!({"kind": "hotfix", "from": "v1.2.4", "ref": "x", "confirm": confirm}),
                json!({"kind": "rollback", "from": "v1.2.4", "confirm": confirm}),
                json!({"kind": "rollback", "from": "v1.2.4", "environment": "prod", "confirm": confirm}),
            ] {
                assert_eq!(decide(&request).unwrap_err(), told, "{request}");
            }
        }
        let request: ReleaseRequest = serde_json::from_value(json!({"kind": "staging"})).unwrap();
        let to_production = source(|of| of.environment = Some("production".into()));
        assert!(request.decide(&to_production, "ci").is_err(), "what a source's pushes sync may be production");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field() {
        for (request, told) in [
            (json!({"kind": "major"}), "kind: must be `staging`, `production`, `hotfix` or `rollback`"),
            (json!({"kind": "staging", "from": "v1.0.0"}), "from: is not for a staging release"),
            (json!({"kind": "staging", "ref": "x"}), "ref: is for a hotfix alone"),
            (json!({"kind": "staging", "environment": "dev"}), "environment: a staging release goes to staging"),
            (json!({"kind": "staging", "services": []}), "services: must name 1 to 1000 services"),
            (json!({"kind": "staging", "services": ["postgres"]}), "services[0]: `postgres` is not a service"),
            (json!({"kind": "staging", "services": ["bootstrap/vault"]}), "services[0]: the project bootstrap is not managed"),
            (json!({"kind": "staging", "triggered_by": "a\nb"}), "triggered_by: must be at most 200"),
            (json!({"kind": "production", "confirm": "deploy"}), "from: is needed"),
            (json!({"kind": "hotfix", "from": "v1.0.0", "confirm": "deploy"}), "ref: is needed"),
            (json!({"kind": "hotfix", "from": "v1.0.0", "ref": "--x", "confirm": "deploy"}), "ref: "),
            (json!({"kind": "rollback", "from": "v1.0.0", "strict": true, "confirm": "deploy"}), "strict: has no meaning"),
        ] {
            let found = decide(&request).unwrap_err();
            assert!(found.starts_with(told) && !found.contains('\n'), "{request}: {found}");
        }
        for tag in ["1.2.4", "v1.2", "v1.2.4-rc.1", "v01.2.4", "refs/tags/v1.2.4", "v1.2.4;id", "main", "$(id)", ""] {
            let request = json!({"kind": "production", "from": tag, "confirm": "deploy"});
            assert_eq!(decide(&request).unwrap_err(), "from: must be the tag of a release, vMAJOR.MINOR.PATCH, such as v1.2.4", "{tag}");
        }
        assert!(decide(&json!({"kind": "staging", "tag": "v1.0.0"})).unwrap_err().contains("unknown field `tag`"));
        assert_eq!(decide(&json!({"kind": "hotfix", "services": [""], "environment": "a-b"})).unwrap_err().lines().count(), 4);
    }

    #[test]
    fn services_are_named_once_each() {
        let wanted = decide(&json!({"kind": "staging", "services": ["platform/b", "platform/a", "platform/b"], "force": true})).unwrap();
        let names = ["platform/a", "platform/b"].map(|name| name.parse().unwrap()).to_vec();
        assert_eq!((wanted.services, wanted.force), (SyncWanted::Named { names }, true));
    }
}
