//! The oracle of syncs on runs that went right, and on everything that can be wrong with them.

use super::*;
use serde_json::{Value, json};

const COMMIT: &str = "c0ffee";

/// A release of two services that went right.
fn right() -> Told {
    let mut events = vec![json!({"event": "accepted"}), json!({"event": "commit_pinned", "commit": COMMIT})];
    events.push(json!({"event": "release_made", "release": {"tag": "v1.0.0"}}));
    for job in [2, 3] {
        events.push(json!({"event": "permitted", "job": job, "attempt": 1}));
        events.push(json!({"event": "effects_started", "job": job, "attempt": 1}));
    }
    events.push(json!({"event": "run_ended", "ending": "success"}));
    Told {
        log: Logged { id: "r".to_owned(), events },
        environment: "staging".to_owned(),
        commit: COMMIT.to_owned(),
        services: ["alpha", "beta"].map(str::to_owned).into(),
        syncs: vec![sync(2, "alpha"), sync(3, "beta")],
        releases: true,
    }
}

fn sync(job: u32, service: &str) -> Sync {
    Sync { job, service: service.to_owned(), status: "succeeded".to_owned(), action: "updated".to_owned() }
}

fn effects() -> Vec<Effect> {
    ["alpha", "beta"].into_iter().flat_map(|service| [effect(service, "begin"), effect(service, "end")]).collect()
}

fn effect(service: &str, what: &str) -> Effect {
    Effect { environment: "staging".to_owned(), service: service.to_owned(), commit: COMMIT.to_owned(), what: what.to_owned() }
}

fn tag() -> Tag {
    let update = Update { reference: "refs/tags/v1.0.0".to_owned(), old: NOTHING.to_owned(), new: "ab12".to_owned() };
    Tag { update, kind: "tag".to_owned(), commit: COMMIT.to_owned() }
}

fn drop_events(told: &mut Told, kind: &str) {
    told.log.events.retain(|event: &Value| event["event"] != kind);
}

#[test]
fn what_is_right_is_no_violation() {
    let nothing: Vec<String> = Vec::new();
    assert_eq!(violations(&[right()], &effects(), &[tag()]), nothing);
    // Nothing to do; left to a newer run; never known, and settled by a person.
    let mut told = right();
    told.syncs[0].action = "skipped".to_owned();
    (told.syncs[1].status, told.syncs[1].action) = ("superseded".to_owned(), String::new());
    assert_eq!(violations(&[told], &[], &[tag()]), nothing);
    let mut told = right();
    told.log.events.insert(1, json!({"event": "job_unknown", "job": 2}));
    (told.syncs[0].status, told.syncs[0].action) = ("failed".to_owned(), String::new());
    (told.syncs[1].status, told.syncs[1].action) = ("skipped".to_owned(), String::new());
    assert_eq!(violations(&[told], &[effect("alpha", "begin")], &[tag()]), nothing);
}

/// What makes a right run wrong.
type Change<'a> = &'a dyn Fn(&mut Told, &mut Vec<Effect>, &mut Vec<Tag>);

#[test]
fn everything_that_is_wrong_is_found() {
    let wrong = |what: &str, change: Change<'_>| {
        let (mut told, mut effects, mut tags) = (right(), effects(), vec![tag()]);
        change(&mut told, &mut effects, &mut tags);
        let found = violations(&[told], &effects, &tags);
        assert!(found.iter().any(|found| found.contains(what)), "{what}: {found:?}");
    };
    wrong("begun 2 times", &|_, effects, _| effects.push(effect("alpha", "begin")));
    wrong("was begun 1 times, ended 0 times", &|_, effects, _| drop(effects.pop()));
    wrong("was begun 0 times, ended 0 times", &|_, effects, _| effects.clear());
    wrong("begun without the last word", &|told, _, _| drop_events(told, "effects_started"));
    wrong("an effect that nobody asked for", &|_, effects, _| effects.push(effect("gamma", "begin")));
    wrong("an effect that nobody asked for", &|_, effects, _| effects[0].commit = "other".to_owned());
    wrong("shown as superseded", &|told, _, _| told.syncs[0].status = "superseded".to_owned());
    wrong("(\"skipped\"), and was begun 1", &|told, _, _| told.syncs[0].action = "skipped".to_owned());
    wrong("shown as failed", &|told, _, _| told.syncs[0].status = "failed".to_owned());
    wrong("shown as running", &|told, _, _| told.syncs[0].status = "running".to_owned());
    wrong("should be about", &|told, _, _| drop(told.syncs.pop()));
    wrong("should be about", &|told, _, _| told.syncs.push(sync(4, "alpha")));
    wrong("is about 00", &|told, _, _| told.log.events.insert(1, json!({"event": "commit_pinned", "commit": "00"})));
    wrong("it has not ended", &|told, _, _| drop_events(told, "run_ended"));
    wrong("permit of job 2 attempt 1: 2 times", &|told, _, _| {
        told.log.events.insert(1, json!({"event": "permitted", "job": 2, "attempt": 1}));
    });
    wrong("was pushed 2 times", &|_, _, tags| tags.push(tag()));
    wrong("moved or removed", &|_, _, tags| tags[0].update.old = "cd34".to_owned());
    wrong("moved or removed", &|_, _, tags| tags[0].update.new = NOTHING.to_owned());
    wrong("that no run tells of", &|_, _, tags| tags[0].commit = "other".to_owned());
    wrong("that no run tells of", &|_, _, tags| tags[0].update.reference = "refs/tags/v1.0.1".to_owned());
    wrong("a commit at", &|_, _, tags| tags[0].kind = "commit".to_owned());
    wrong("there are 0 tags", &|_, _, tags| tags.clear());
    wrong("made 0 releases", &|told, _, _| drop_events(told, "release_made"));
    wrong("says that it was there already", &|told, _, _| told.log.events[2]["release"]["existed"] = json!(true));
    let twice = violations(&[right(), right()], &effects(), &[tag()]);
    assert!(twice.iter().any(|found| found.contains("2 runs are about the same")), "{twice:?}");
}
