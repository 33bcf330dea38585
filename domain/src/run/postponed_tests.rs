//! Syncs that are put off: for how long, what ends it, and what is never put off.

use super::syncs_tests::{Story, at, failed, gives_back, key, selection, spec, synced};
use super::*;
use proto::{
    JobNo,
    message::{AttemptOutcome, Failure},
    sync::PAUSED,
    view::{RunStatus, WaitingFor},
};

fn paused() -> AttemptOutcome {
    let failure = Failure {
        kind: PAUSED.to_owned(),
        phase: "initializing".to_owned(),
        message: "it is too soon".to_owned(),
        next_action: "name it".to_owned(),
    };
    AttemptOutcome::Failed { failure }
}

/// Begins the current attempt of `a`, which does not try anything.
fn put_off(story: &mut Story) {
    story.begin(1);
    story.report(1, paused()).expect("is heard");
}

fn planned() -> Story {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &["a"])]);
    story.grant("a").expect("waits");
    story
}

#[test]
fn a_sync_is_put_off_for_longer_each_time_and_then_fails_and_says_so() {
    let mut story = planned();
    for (times, minutes) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        put_off(&mut story);
        let until = story.now + minutes * 60;
        assert_eq!(story.states()[1..], [JobState::Blocked, JobState::Blocked], "the {times}th time");
        assert_eq!(view(&story.run, 1).waiting_for, Some(WaitingFor::Remote { until: at(until) }));
        assert_eq!((story.run.locks_held(), story.run.wants_lock(&key("a"))), (vec![key("a")], false), "it keeps its lock");
        assert_eq!((story.due.as_slice(), status(&story.run)), (&[][..], RunStatus::Running));
        story.now = until - 1;
        assert_eq!(story.feed(&Input::Tick), Err(Refusal::NothingDue));
        story.now = until;
        story.feed(&Input::Tick).expect("its time has come");
        assert_eq!(story.state(1), JobState::Queued);
        assert!(matches!(story.due.as_slice(), [Effect::PublishOrder(_)]), "{:?}", story.due);
    }
    put_off(&mut story);
    assert_eq!(story.states()[1..], [JobState::Failed, JobState::Skipped]);
    let failure = story.run.failure.as_ref().expect("a failure");
    assert_eq!(failure.message, "it is too soon; it was put off 4 times, 15 minutes in all");
    assert_eq!((failure.kind.as_str(), failure.next_action.as_str(), status(&story.run)), (PAUSED, "name it", RunStatus::Failed));
    assert!(
        !outstanding(&story.run).iter().any(|effect| matches!(effect, Effect::Note(note) if note.service().is_some())),
        "nothing is told of it"
    );
}

#[test]
fn what_was_put_off_is_done_by_itself_and_what_comes_after_it_too() {
    let mut story = planned();
    put_off(&mut story);
    story.now += 60;
    story.feed(&Input::Tick).expect("its time has come");
    story.begin(1);
    story.go(1);
    story.report(1, synced("a")).expect("is heard");
    story.play(2, "b", synced("b"));
    assert_eq!(status(&story.run), RunStatus::Success);
    assert_eq!(view(&story.run, 1).waiting_for, None);
}

#[test]
fn who_is_put_off_gives_way_to_a_newer_run_and_to_a_cancel() {
    let newer = || {
        let mut other = Story::named("two", spec(), selection(&[("a", &[]), ("b", &[])], 6));
        other.run.accepted_at = at(10);
        Input::Newer(Newer::of(&other.run).expect("planned"))
    };
    for (what, ends) in [(newer(), JobState::Superseded), (Input::Cancel { by: "bob".to_owned(), force: false }, JobState::Cancelled)] {
        let mut story = planned();
        put_off(&mut story);
        story.feed(&what).expect("it gives way");
        assert_eq!(story.state(1), ends);
        assert!(gives_back(&story.due).contains(&key("a")), "{:?}", story.due);
        story.now += 10_000;
        assert_eq!(story.feed(&Input::Tick), Err(Refusal::NothingDue), "{ends:?}");
    }
    // One that stands in line for a service is not put off: nobody may leave anything to one that is.
    let mut story = planned();
    put_off(&mut story);
    assert_eq!(Newer::of(&story.run).expect("planned").services.len(), 0);
}

#[test]
fn only_a_sync_that_has_not_begun_is_put_off() {
    let mut begun = planned();
    begun.begin(1);
    begun.go(1);
    begun.report(1, paused()).expect("is heard");
    assert_eq!(begun.state(1), JobState::Failed, "nobody is tried again who may have changed something");
    let mut select = Story::of(&super::syncs_tests::trigger("one", spec()));
    select.begin(0);
    select.report(0, paused()).expect("is heard");
    assert_eq!((select.state(0), select.run.is_over()), (JobState::Failed, true));
    let mut stopping = planned();
    stopping.begin(1);
    stopping.cancel().expect("runs");
    stopping.report(1, paused()).expect("is heard");
    assert_eq!((stopping.state(1), stopping.run.is_over()), (JobState::Cancelled, true));
    let mut other = planned();
    other.begin(1);
    other.report(1, failed()).expect("is heard");
    assert_eq!(other.state(1), JobState::Failed);
}

#[test]
fn it_is_told_that_and_until_when_it_is_put_off() {
    let mut story = planned();
    put_off(&mut story);
    let mut narrator = Narrator::of(&story.log[0]).expect("it was accepted");
    let told: Vec<Told> = story
        .log
        .iter()
        .flat_map(|entry| {
            narrator.learn(entry);
            narrator.tell(1, entry, None).collect::<Vec<_>>()
        })
        .collect();
    let last = told.last().expect("something is told");
    assert_eq!((last.event_type.as_str(), last.status.as_str(), last.message.as_deref()), ("postponed", "blocked", Some("it is too soon")));
    assert_eq!(last.data, Some(serde_json::json!({ "until": at(60 + story.now) })));
    assert_eq!(last.attempt, story.run.job(JobNo(1)).and_then(Job::current).map(|attempt| attempt.no));
    assert_eq!(told.iter().filter(|told| told.event_type == "not_started").count(), 0, "it is said once");
}
