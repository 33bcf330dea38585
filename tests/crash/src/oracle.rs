//! The obligations: what must be so in the end, whatever died on the way. Nothing here asks a process of Navvy.
//!
//! 1. An answer 2xx means exactly one run in the store, and the same one for every repeat of the request.
//! 2. An attempt is permitted once, starts its effects once, and a run ends once.
//! 3. Nothing is begun that had no word to begin, and nothing is begun twice.
//! 4. What succeeded was begun once and brought to its end once.
//! 5. What was begun belongs to a run that is over, or that says that it is unknown.
//! 6. Two never work on one state at a time.

use crate::{
    effects::{self, Effect, Tally},
    store::Logged,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a client was told: its request, and the run of each answer 2xx.
#[derive(Debug, Default, Clone)]
pub struct Promises(BTreeMap<String, BTreeSet<String>>);

impl Promises {
    /// A request, by its idempotency key, was answered with this run.
    pub fn answered(&mut self, key: &str, run: &str) {
        self.0.entry(key.to_owned()).or_default().insert(run.to_owned());
    }

    /// How many requests were answered.
    pub fn requests(&self) -> usize {
        self.0.len()
    }
}

/// Everything that is not as it must be.
pub fn violations(promises: &Promises, runs: &[Logged], effects: &[Effect]) -> Vec<String> {
    let mut found = kept(promises, runs);
    for run in runs {
        let tally = effects::tally(effects, &run.id);
        found.extend(once(run).into_iter().chain(begun(run, tally)).map(|what| format!("run {}: {what}", run.id)));
    }
    let known: BTreeSet<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    for effect in effects {
        if !known.iter().any(|run| effect.attempt.starts_with(run)) {
            found.push(format!("an effect of nobody's run: {effect:?}"));
        }
        if effect.what == "overlap" {
            found.push(format!("two were at work on one state: {effect:?}"));
        }
    }
    found
}

/// Promises: one run for each request, and it is there.
pub(crate) fn kept(promises: &Promises, runs: &[Logged]) -> Vec<String> {
    let mut found = Vec::new();
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (key, answers) in &promises.0 {
        if answers.len() != 1 {
            found.push(format!("request {key} was answered with {} runs: {answers:?}", answers.len()));
        }
        for run in answers {
            if !runs.iter().any(|logged| logged.id == *run) {
                found.push(format!("request {key} was answered with run {run}, which is not in the store"));
            }
            if let Some(other) = owners.insert(run, key) {
                found.push(format!("requests {key} and {other} were answered with the same run {run}"));
            }
        }
    }
    found
}

/// What may be in a run's log only once.
fn once(run: &Logged) -> Vec<String> {
    let mut found = Vec::new();
    let mut at_most_once = |what: &str, times: usize| {
        if times > 1 {
            found.push(format!("{what} {times} times"));
        }
    };
    at_most_once("accepted", run.count("accepted"));
    at_most_once("ended", run.count("run_ended"));
    for kind in ["permitted", "effects_started"] {
        let mut each: BTreeMap<String, usize> = BTreeMap::new();
        for event in run.of(kind) {
            *each.entry(format!("job {} attempt {}", event["job"], event["attempt"])).or_default() += 1;
        }
        for (which, times) in each {
            at_most_once(&format!("{which}: {kind}"), times);
        }
    }
    at_most_once("effects were started", run.count("effects_started"));
    let after_end = run.events.iter().skip_while(|event| event["event"] != "run_ended").skip(1).count();
    if after_end > 0 {
        found.push(format!("{after_end} events after its end"));
    }
    found
}

/// What was done against what was allowed and what is said about it.
fn begun(run: &Logged, tally: Tally) -> Vec<String> {
    let mut found = Vec::new();
    let words = run.count("effects_started");
    if tally.begun > words {
        found.push(format!("began its effects {} times with {words} words to do so", tally.begun));
    }
    let settled_by_person = run.count("resolved") > 0;
    if run.ending() == Some("success") && !settled_by_person && words > 0 && (tally.begun, tally.ended) != (1, 1) {
        found.push(format!("is a success, and its effects are {tally:?}"));
    }
    if tally.begun > 0 && run.ending().is_none() && !run.is_unknown() {
        found.push("has had effects and is neither over nor unknown".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn run(id: &str, events: &[Value]) -> Logged {
        Logged { id: id.to_owned(), events: events.to_vec() }
    }

    fn effect(run: &str, what: &str) -> Effect {
        Effect { label: "main".to_owned(), attempt: format!("{run}.2.1"), pid: "1".to_owned(), what: what.to_owned() }
    }

    fn started() -> Vec<Value> {
        vec![
            json!({"event": "accepted"}),
            json!({"event": "permitted", "job": 2, "attempt": 1}),
            json!({"event": "effects_started", "job": 2, "attempt": 1}),
        ]
    }

    fn ended(how: &str) -> Vec<Value> {
        let mut events = started();
        events.push(json!({"event": "run_ended", "ending": how}));
        events
    }

    fn found(events: &[Value], effects: &[&str]) -> Vec<String> {
        let effects: Vec<Effect> = effects.iter().map(|what| effect("r", what)).collect();
        violations(&Promises::default(), &[run("r", events)], &effects)
    }

    #[test]
    fn what_is_right_is_no_violation() {
        let nothing: Vec<String> = Vec::new();
        assert_eq!(found(&ended("success"), &["begin", "end"]), nothing);
        assert_eq!(found(&ended("failed"), &["begin"]), nothing);
        let mut unknown = started();
        unknown.push(json!({"event": "job_unknown"}));
        assert_eq!(found(&unknown, &["begin"]), nothing);
    }

    #[test]
    fn everything_that_is_wrong_is_found() {
        let twice: Vec<Value> = ended("success").into_iter().chain([json!({"event": "run_ended", "ending": "success"})]).collect();
        for (events, effects) in [
            (ended("success"), vec!["begin", "begin", "end", "end"]),
            (ended("success"), vec![]),
            (ended("success"), vec!["begin"]),
            (vec![json!({"event": "accepted"})], vec!["begin"]),
            (started(), vec!["begin"]),
            (twice, vec!["begin", "end"]),
            (ended("failed"), vec!["begin", "overlap"]),
        ] {
            assert!(!found(&events, &effects).is_empty(), "{events:?} {effects:?}");
        }
    }

    #[test]
    fn a_promise_is_one_run_that_is_there() {
        let runs = [run("a", &ended("failed")), run("b", &ended("failed"))];
        let broken = |answers: &[(&str, &str)]| {
            let mut promises = Promises::default();
            for (key, run) in answers {
                promises.answered(key, run);
            }
            !violations(&promises, &runs, &[]).is_empty()
        };
        assert!(!broken(&[("k", "a"), ("k", "a"), ("l", "b")]));
        assert!(broken(&[("k", "a"), ("k", "b")]), "two runs");
        assert!(broken(&[("k", "c")]), "not there");
        assert!(broken(&[("k", "a"), ("l", "a")]), "one run for two");
    }
}
