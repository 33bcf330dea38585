//! What an order's commands find in their environment: nothing of the worker's own but what an operator lets through.
//!
//! Later ones win: defaults of ours, the operator's (`worker.pass_env`), the order's. What the worker itself relies on is
//! put in last, and an order that names it is refused, not overruled in silence.

use super::{EVENTS, HOME, Order, TEMPORARY, text};
use proto::message::Failure;
use std::collections::BTreeMap;

/// Where commands drop their events. The replaced order engine called it so, and orders know it by this name.
const EVENTS_VARIABLE: &str = "AWS_EXE_SYS_EVENTS_DIR";

/// The whole environment, sorted by name.
pub(super) fn build(order: &Order<'_>) -> Result<BTreeMap<String, String>, Failure> {
    let place = |name: &str| text(&order.scratch.join(name)).map(str::to_owned);
    let defaults = [
        ("PATH", order.search_path.to_owned()),
        ("HOME", place(HOME)?),
        ("TMPDIR", place(TEMPORARY)?),
        ("LANG", "C.UTF-8".to_owned()),
        ("TERM", "dumb".to_owned()),
    ];
    let mut all: BTreeMap<String, String> = defaults.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut fixed = BTreeMap::from([(EVENTS_VARIABLE.to_owned(), place(EVENTS)?)]);
    fixed.extend(order.traceparent.map(|parent| ("TRACEPARENT".to_owned(), parent.to_owned())));
    all.extend(order.pass_env.iter().cloned());
    for (name, value) in order.env {
        let impossible = name.is_empty() || name.contains(['=', '\0']) || value.contains('\0');
        if impossible || fixed.contains_key(name) || name.starts_with("_navvy_") {
            return Err(refused(name));
        }
        all.insert(name.clone(), value.clone());
    }
    all.extend(fixed);
    Ok(all)
}

fn refused(name: &str) -> Failure {
    let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    Failure {
        kind: "environment".to_owned(),
        phase: String::new(),
        message: format!("The order sets `{name}`, which it may not: Navvy relies on it, or it cannot be a variable at all"),
        next_action: "Take it out of the order's variables and credentials.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::Bounds;
    use service::settings::Limits;
    use std::{path::Path, time::Duration};

    fn built(env: &[(&str, &str)], pass_env: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        build(&Order {
            commands: &[],
            cwd: Path::new("/w"),
            scratch: Path::new("/s"),
            env: &env,
            pass_env,
            search_path: "/usr/bin",
            traceparent: Some("00-1-2-01"),
            time_limit: Duration::from_secs(1),
            bounds: &Bounds::of(&Limits::default()),
        })
    }

    #[test]
    fn the_order_wins_over_the_operator_and_both_over_the_defaults() {
        let operator = [("AWS_REGION".to_owned(), "eu-1".to_owned()), ("LANG".to_owned(), "de_DE.UTF-8".to_owned())];
        let found = built(&[("AWS_REGION", "eu-2"), ("PATH", "/opt/bin")], &operator).expect("allowed");
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("AWS_EXE_SYS_EVENTS_DIR", "/s/events"),
            ("AWS_REGION", "eu-2"),
            ("HOME", "/s/home"),
            ("LANG", "de_DE.UTF-8"),
            ("PATH", "/opt/bin"),
            ("TERM", "dumb"),
            ("TMPDIR", "/s/tmp"),
            ("TRACEPARENT", "00-1-2-01"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_relied_on_or_impossible_is_refused_by_name() {
        for (name, value) in
            [("AWS_EXE_SYS_EVENTS_DIR", "/"), ("TRACEPARENT", "x"), ("_navvy_no", "9"), ("", "x"), ("A=B", "x"), ("A", "x\0y")]
        {
            let failure = built(&[(name, value)], &[]).expect_err(name);
            assert!(failure.kind == "environment" && failure.message.contains(name), "{failure:?}");
        }
    }
}
