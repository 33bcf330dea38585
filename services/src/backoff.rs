//! When a service may be tried again whose remote state could not be read.
//!
//! A remote that fails under load must not be asked by every push, and least of all be deployed to. Each failure doubles the
//! pause; whoever names the service, or forces it, is not held up.

use jiff::{SignedDuration, Timestamp};
use proto::sync::ServiceState;

/// The `error_kind` of a sync that deployed nothing because the remote state could not be read.
pub const REMOTE_UNREADABLE: &str = "remote_unreadable";

/// Pause after the first failure.
pub const FIRST: SignedDuration = SignedDuration::from_secs(30);
/// Longest pause.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// How a sync came to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// By a push, or with everything else.
    Automatic,
    /// Somebody named the service.
    Named,
    /// Somebody wants it deployed whatever its hash is.
    Forced,
}

/// Whether it may be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Go,
    /// Not before `until`.
    Wait {
        until: Timestamp,
        why: String,
    },
}

/// Decides from how the service stands.
pub fn may_try(state: Option<&ServiceState>, asked: Asked, now: Timestamp) -> Verdict {
    match asked {
        Asked::Named | Asked::Forced => return Verdict::Go,
        Asked::Automatic => {}
    }
    let Some(state) = state.filter(|state| state.failures > 0 && state.error_kind.as_deref() == Some(REMOTE_UNREADABLE)) else {
        return Verdict::Go;
    };
    // A clock that was set back must not hold a service up for longer than its pause.
    let failed_at = state.at.min(now);
    let until = failed_at.saturating_add(pause(state.failures)).unwrap_or(Timestamp::MAX);
    if until <= now {
        return Verdict::Go;
    }
    let why = format!(
        "what is deployed of {} could not be read {} times in a row: it is tried again from {until} on; name the service to try it now",
        state.service, state.failures
    );
    Verdict::Wait { until, why }
}

/// The pause after that many failures in a row.
fn pause(failures: u32) -> SignedDuration {
    // 30 s doubled seven times is more than an hour.
    let doubled = failures.saturating_sub(1).min(7);
    FIRST.checked_mul(1 << doubled).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{RunId, ShardNo};

    fn state(failures: u32, kind: Option<&str>, at: i64) -> ServiceState {
        ServiceState {
            service: "platform/redis".parse().unwrap(),
            environment: "staging".parse().unwrap(),
            source: "infra".parse().unwrap(),
            commit: None,
            git_ref: None,
            tag: None,
            action: None,
            hash: None,
            synced_at: None,
            run: RunId::fresh(ShardNo(0)),
            at: second(at),
            failures,
            error_kind: kind.map(str::to_owned),
            error: None,
            told: Vec::new(),
        }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn pauses_double_from_half_a_minute_to_an_hour() {
        for (failures, seconds) in [(1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (9, 3600), (u32::MAX, 3600)] {
            let state = state(failures, Some(REMOTE_UNREADABLE), 1000);
            let verdict = |now| may_try(Some(&state), Asked::Automatic, second(now));
            let Verdict::Wait { until, .. } = verdict(1000 + seconds - 1) else { panic!("{failures} failures: it waits") };
            assert_eq!(until, second(1000 + seconds), "{failures}");
            assert_eq!(verdict(1000 + seconds), Verdict::Go, "{failures}");
        }
    }

    #[test]
    fn only_unreadable_remotes_wait_and_only_automatic_syncs() {
        let unreadable = state(3, Some(REMOTE_UNREADABLE), 1000);
        assert_eq!(may_try(Some(&unreadable), Asked::Named, second(1001)), Verdict::Go);
        assert_eq!(may_try(Some(&unreadable), Asked::Forced, second(1001)), Verdict::Go);
        for state in
            [None, Some(state(3, Some("invoke_timeout"), 1000)), Some(state(3, None, 1000)), Some(state(0, Some(REMOTE_UNREADABLE), 1000))]
        {
            assert_eq!(may_try(state.as_ref(), Asked::Automatic, second(1001)), Verdict::Go, "{state:?}");
        }
    }

    #[test]
    fn a_clock_set_back_holds_up_for_one_pause() {
        let future = state(1, Some(REMOTE_UNREADABLE), 1_000_000);
        let Verdict::Wait { until, why } = may_try(Some(&future), Asked::Automatic, second(1000)) else { panic!("it waits") };
        assert_eq!(until, second(1030));
        assert!(why.contains("platform/redis") && why.contains("1970-01-01T00:17:10Z"), "{why}");
    }
}
