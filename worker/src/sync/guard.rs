//! Whether a sync does anything at all: decided before anything is touched.

use super::environment::{self, Variables};
use proto::{
    Timestamp,
    message::Failure,
    sync::{PAUSED, ServiceState, ServiceSync, SyncAction, SyncResult},
};
use services::backoff::{Asked, Verdict, may_try};

/// What to do about a sync that was not tried because it is too soon.
pub(super) const PUT_OFF: &str = "It is tried again by itself, for a quarter of an hour at most. After that see why the remote cannot be \
    read, and name the service (POST /sync), which is not held up, or redeliver the push.";

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

/// The failure of a sync that is not tried yet: the one before could not read what is deployed, and asking at every push
/// would only make it worse. Whoever names the service, or forces it, is not held up.
///
/// # Errors
/// Says from when on it is tried again.
pub fn not_paused(sync: &ServiceSync, last: Option<&ServiceState>, now: Timestamp) -> Result<(), Failure> {
    let asked = match (sync.force, sync.named) {
        (true, _) => Asked::Forced,
        (false, true) => Asked::Named,
        (false, false) => Asked::Automatic,
    };
    match may_try(last, asked, now) {
        Verdict::Go => Ok(()),
        Verdict::Wait { why, .. } => Err(Failure {
            kind: PAUSED.to_owned(),
            phase: String::new(),
            message: format!("{why}; nothing was touched"),
            next_action: PUT_OFF.to_owned(),
        }),
    }
}

/// The failure of a sync of a release whose tag led to another commit when the service was given it: what was tried and what
/// would be deployed are not the same, whatever they are called. Whoever forces it has looked.
///
/// # Errors
/// Names both commits.
pub fn tag_stands(sync: &ServiceSync, last: Option<&ServiceState>) -> Result<(), Failure> {
    let Some(last) = last.filter(|last| last.source == sync.source && last.environment == sync.environment && !sync.force) else {
        return Ok(());
    };
    match (&sync.tag, &last.tag, &last.commit) {
        (Some(tag), Some(before), Some(commit)) if tag == before && *commit != sync.commit => Err(Failure {
            kind: "tag_moved".to_owned(),
            phase: String::new(),
            message: format!("{tag} was {commit} when it was deployed here, and is {} now; nothing was touched", sync.commit),
            next_action: "Find out who moved the tag, and make a new release; `force` deploys it as it is.".to_owned(),
        }),
        _ => Ok(()),
    }
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
    SyncResult { action: SyncAction::Skipped, details, hash: None, untouched: true }
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
    fn a_push_waits_where_the_remote_could_not_be_read_and_a_person_does_not() {
        let mut sync = sync(Executor::Command);
        let now: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        let mut last = never(&sync);
        (last.failures, last.error_kind, last.at) = (1, Some("remote_unreadable".to_owned()), "2026-01-01T00:00:00Z".parse().unwrap());
        let failure = not_paused(&sync, Some(&last), now).unwrap_err();
        assert!(failure.kind == PAUSED && failure.message.contains("2026-01-01T00:00:30Z"), "{failure:?}");
        sync.named = true;
        assert_eq!(not_paused(&sync, Some(&last), now), Ok(()));
        (sync.named, sync.force) = (false, true);
        assert_eq!(not_paused(&sync, Some(&last), now), Ok(()));
        sync.force = false;
        last.error_kind = Some("unknown_invoke_failure".to_owned());
        assert_eq!(not_paused(&sync, Some(&last), now), Ok(()), "what fails otherwise is tried at every push");
    }

    #[test]
    fn a_tag_that_was_moved_is_not_the_release_that_was_deployed() {
        let base = sync(Executor::Command);
        let (was, tag) = ("a".repeat(40), |tag: &str| Some(tag.to_owned()));
        let state = ServiceState { commit: Some(was.parse().unwrap()), tag: tag("v1.2.4"), ..never(&base) };
        let release = |name: &str, commit: &str| ServiceSync { tag: tag(name), commit: commit.parse().unwrap(), ..base.clone() };
        let moved = release("v1.2.4", &"b".repeat(40));
        let failure = tag_stands(&moved, Some(&state)).unwrap_err();
        assert!(failure.kind == "tag_moved" && failure.message.contains(&was) && failure.message.contains(&"b".repeat(40)), "{failure:?}");
        for (sync, last) in [
            (release("v1.2.4", &was), Some(&state)),
            (release("v1.2.5", &"b".repeat(40)), Some(&state)),
            (ServiceSync { tag: None, ..moved.clone() }, Some(&state)),
            (ServiceSync { force: true, ..moved.clone() }, Some(&state)),
            (ServiceSync { environment: "elsewhere".parse().unwrap(), ..moved.clone() }, Some(&state)),
            (moved.clone(), Some(&ServiceState { commit: None, ..state.clone() })),
            (moved, None),
        ] {
            assert_eq!(tag_stands(&sync, last), Ok(()), "{sync:?}");
        }
    }

    /// A service that nobody has synced yet.
    fn never(sync: &ServiceSync) -> ServiceState {
        ServiceState {
            service: sync.service.service.clone(),
            environment: sync.environment.clone(),
            source: sync.source.clone(),
            commit: None,
            told: Vec::new(),
            git_ref: None,
            tag: None,
            action: None,
            hash: None,
            synced_at: None,
            run: sync.run,
            at: Timestamp::now(),
            failures: 0,
            error_kind: None,
            error: None,
        }
    }

    #[test]
    fn only_a_followed_branch_of_the_same_source_is_asked_about() {
        let sync = sync(Executor::Command);
        let other = "f".repeat(40);
        let state = |commit: Option<&str>| ServiceState { commit: commit.map(|commit| commit.parse().unwrap()), ..never(&sync) };
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
