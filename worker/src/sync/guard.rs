//! Whether a sync does anything at all: decided before anything is touched.

use super::environment::{self, Variables};
use proto::{
    message::Failure,
    sync::{ServiceState, ServiceSync, SyncAction, SyncResult},
};

/// The answer of a service that does not live in the environment; `None`: it does.
pub fn out_of_place(sync: &ServiceSync) -> Option<SyncResult> {
    let elsewhere = sync.service.production_only && !sync.environment.is_production();
    elsewhere.then(|| skipped(format!("{} lives in production only; nothing is deployed to {}", sync.service.service, sync.environment)))
}

/// The failure of a sync that lacks variables which its service requires.
///
/// # Errors
/// Names all that are missing.
pub fn requirements(sync: &ServiceSync, variables: &Variables) -> Result<(), Failure> {
    let missing = variables.missing(sync.service.requires.iter().map(String::as_str));
    if missing.is_empty() { Ok(()) } else { Err(environment::missing(&missing)) }
}

/// The commit that was deployed last, if it has to be asked whether it comes after the one that is asked for: a branch is
/// followed, and a push that came late must not take the service back.
pub fn deployed_already<'s>(sync: &ServiceSync, last: Option<&'s ServiceState>) -> Option<&'s proto::git::CommitId> {
    let last = last.filter(|last| last.source == sync.source && last.environment == sync.environment)?;
    last.commit.as_ref().filter(|commit| sync.follows_branch && !sync.force && **commit != sync.commit)
}

/// The answer of a service that is ahead.
pub fn is_ahead(sync: &ServiceSync, newer: &proto::git::CommitId) -> SyncResult {
    let details = format!(
        "a newer commit of {} is deployed already: {newer}, which comes after {}; to go back name the commit or a release, or force it",
        sync.git_ref, sync.commit
    );
    skipped(details)
}

fn skipped(details: String) -> SyncResult {
    SyncResult { action: SyncAction::Skipped, details, hash: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::command::tests::sync;
    use proto::sync::Executor;
    use std::collections::BTreeMap;

    #[test]
    fn production_services_stay_in_production() {
        let mut sync = sync(Executor::Command);
        for (only, environment, skipped) in
            [(true, "staging", true), (true, "production", false), (false, "staging", false), (true, "prod", false)]
        {
            (sync.service.production_only, sync.environment) = (only, environment.parse().unwrap());
            assert_eq!(out_of_place(&sync).is_some(), skipped, "{only} {environment}");
        }
    }

    #[test]
    fn all_missing_variables_are_named_and_an_empty_one_is_missing() {
        let mut sync = sync(Executor::Command);
        sync.service.requires = ["VPS_HOST", "INTERNAL_DOMAIN", "DATA_PATH"].map(str::to_owned).to_vec();
        let known = BTreeMap::from([("VPS_HOST".to_owned(), proto::Secret::new("h0st")), ("DATA_PATH".to_owned(), proto::Secret::new(""))]);
        let settings = service::settings::WorkerSync::default();
        let failure = requirements(&sync, &Variables::new([], known.clone(), &settings)).unwrap_err();
        assert!(
            failure.kind == "missing_environment" && failure.message.contains("INTERNAL_DOMAIN, DATA_PATH have no value"),
            "{failure:?}"
        );
        let settings = service::settings::WorkerSync { internal_domain: Some("example.com".to_owned()), ..settings };
        let passed = [("DATA_PATH".to_owned(), "/data".to_owned()), ("VPS_HOST".to_owned(), "other".to_owned())];
        let mut secrets = known;
        secrets.remove("DATA_PATH");
        let variables = Variables::new(passed, secrets, &settings);
        assert_eq!(requirements(&sync, &variables), Ok(()));
        assert_eq!(variables.get("VPS_HOST").map(proto::Secret::expose), Some("h0st"), "the secrets file wins");
        assert!(!format!("{variables:?}").contains("h0st"));
    }

    #[test]
    fn only_a_followed_branch_of_the_same_source_is_asked_about() {
        let sync = sync(Executor::Command);
        let other = "f".repeat(40);
        let state = |commit: Option<&str>| ServiceState {
            service: sync.service.service.clone(),
            environment: sync.environment.clone(),
            source: sync.source.clone(),
            commit: commit.map(|commit| commit.parse().unwrap()),
            told: Vec::new(),
            git_ref: None,
            tag: None,
            action: None,
            hash: None,
            synced_at: None,
            run: sync.run,
            at: proto::Timestamp::now(),
            failures: 0,
            error_kind: None,
            error: None,
        };
        let asked = |sync: &ServiceSync, last: Option<&ServiceState>| deployed_already(sync, last).is_some();
        assert!(asked(&sync, Some(&state(Some(&other)))));
        assert!(!asked(&sync, None) && !asked(&sync, Some(&state(None))));
        assert!(!asked(&sync, Some(&state(Some(sync.commit.as_str())))), "the same commit");
        let mut named = sync.clone();
        named.follows_branch = false;
        let mut forced = sync.clone();
        forced.force = true;
        let mut elsewhere = state(Some(&other));
        elsewhere.source = "other".parse().unwrap();
        assert!(!asked(&named, Some(&state(Some(&other)))) && !asked(&forced, Some(&state(Some(&other)))));
        assert!(!asked(&sync, Some(&elsewhere)));
        let newer = other.parse().unwrap();
        assert!(is_ahead(&sync, &newer).details.contains(&other));
    }
}
