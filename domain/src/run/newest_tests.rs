//! The newest wins: which syncs are left to a newer run, and which are not.

use super::syncs_tests::{Story, commit, gives_back, key, selection, service, spec, synced};
use super::*;
use proto::{
    JobNo,
    sync::{SyncSpec, SyncWanted},
    view::RunStatus,
};

/// Services, each with those that it is to be synced after.
type Services = &'static [(&'static str, &'static [&'static str])];

/// A run that came later and waits for all it is about.
fn newer(spec: SyncSpec, services: &[(&str, &[&str])], generation: u64) -> Newer {
    let mut story = Story::named("two", spec, selection(services, generation));
    story.run.accepted_at = super::syncs_tests::at(10);
    Newer::of(&story.run).expect("it knows what it is about")
}

fn tagged(tag: &str) -> SyncSpec {
    SyncSpec { git_ref: format!("refs/tags/{tag}").parse().expect("a tag"), ..spec() }
}

/// What a run says that it is going to sync.
fn next_of(story: &Story) -> Option<Vec<String>> {
    Newer::of(&story.run).map(|newer| newer.services.into_iter().map(|service| service.name().to_owned()).collect())
}

#[test]
fn a_run_says_what_it_stands_in_line_for() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &[]), ("c", &["a"]), ("d", &["c"])]);
    assert_eq!(next_of(&story), Some(vec!["a".to_owned(), "b".to_owned()]), "c and d are skipped if a fails");
    story.grant("b").expect("waits");
    assert_eq!(next_of(&story), Some(vec!["a".to_owned()]), "its own now");
    story.play(1, "a", synced("a"));
    assert_eq!(next_of(&story), Some(vec!["c".to_owned()]), "its turn has come");
    story.cancel().expect("runs");
    assert_eq!(next_of(&story), Some(vec![]));
    assert_eq!(Newer::of(&Story::of(&super::syncs_tests::trigger("x", spec())).run), None);
}

#[test]
fn what_stands_in_line_or_waits_for_a_worker_is_left_and_what_runs_is_not() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &[]), ("c", &[]), ("d", &[])]);
    story.start(1, "a");
    story.grant("b").expect("waits");
    let later = newer(spec(), &[("a", &[]), ("b", &[]), ("c", &[])], 6);
    story.feed(&Input::Newer(later.clone())).expect("something is left");
    assert_eq!(story.states()[1..], [JobState::Running, JobState::Superseded, JobState::Superseded, JobState::Blocked]);
    assert_eq!(gives_back(&story.due), [key("c"), key("b")]);
    assert_eq!(story.run.jobs[2].current().and_then(|attempt| attempt.ended).map(|(_, end)| end), Some(AttemptEnd::NotStarted));
    assert_eq!(story.run.jobs[2].service.as_ref().and_then(|job| job.superseded_by), Some(later.run));
    assert_eq!(story.feed(&Input::Newer(later)), Err(Refusal::NothingDue));
    let stale = Input::Begin { job: JobNo(2), attempt: story.attempt(2), worker: super::syncs_tests::worker(), nonce: "n".to_owned() };
    assert_eq!(story.feed(&stale), Err(Refusal::AttemptOver));
    story.report(1, synced("a")).expect("is heard");
    story.play(4, "d", synced("d"));
    assert_eq!(status(&story.run), RunStatus::Success, "what was left to another is nobody's failure");
}

#[test]
fn what_others_here_wait_for_is_left_only_together_with_them() {
    let services: Services = &[("a", &[]), ("b", &["a"]), ("c", &["b"])];
    let rows: [(Services, [bool; 3]); 5] = [
        (&[("a", &[])], [false, false, false]),
        (&[("a", &[]), ("b", &[])], [false, false, false]),
        (&[("c", &[])], [false, false, true]),
        (&[("b", &[]), ("c", &[])], [false, true, true]),
        (&[("a", &[]), ("b", &[]), ("c", &[])], [true, true, true]),
    ];
    for (theirs, left) in rows {
        let mut story = Story::planned(spec(), services);
        let heard = story.feed(&Input::Newer(newer(spec(), theirs, 6)));
        assert_eq!(heard.is_ok(), left.contains(&true), "{theirs:?}");
        let is: Vec<bool> = story.states()[1..].iter().map(|state| *state == JobState::Superseded).collect();
        assert_eq!(is, left, "{theirs:?}");
    }
}

/// What the newer run would skip if a failed is done by the older one, as long as nobody knows how that ends.
#[test]
fn nothing_is_left_to_a_run_that_may_skip_it() {
    let chain: Services = &[("a", &[]), ("b", &["a"])];
    let rows: [(&str, Services, Option<bool>, [bool; 2]); 7] = [
        ("b comes after a there", chain, None, [false, false]),
        ("a has succeeded there", chain, Some(true), [false, true]),
        ("a has failed there, b was skipped", chain, Some(false), [false, false]),
        ("each for itself", &[("a", &[]), ("b", &[])], None, [true, true]),
        ("b after what is not here", &[("x", &[]), ("b", &["x"])], None, [false, false]),
        ("b alone", &[("b", &[])], None, [false, true]),
        ("a alone, and b waits for it here", &[("a", &[])], None, [false, false]),
    ];
    for (what, theirs, first, left) in rows {
        let mut other = Story::named("two", spec(), selection(theirs, 6));
        if let Some(succeeds) = first {
            other.play(1, "a", if succeeds { synced("a") } else { super::syncs_tests::failed() });
        }
        other.run.accepted_at = super::syncs_tests::at(10);
        let mut story = Story::planned(spec(), chain);
        let heard = story.feed(&Input::Newer(Newer::of(&other.run).expect("planned")));
        assert_eq!(heard.is_ok(), left.contains(&true), "{what}");
        let is: Vec<bool> = story.states()[1..].iter().map(|state| *state == JobState::Superseded).collect();
        assert_eq!(is, left, "{what}");
    }
}

#[test]
fn what_comes_after_something_that_runs_is_left_and_what_runs_goes_on() {
    let mut story = Story::planned(spec(), &[("a", &[]), ("b", &["a"])]);
    story.start(1, "a");
    story.feed(&Input::Newer(newer(spec(), &[("a", &[]), ("b", &[])], 6))).expect("b is left");
    assert_eq!(story.states()[1..], [JobState::Running, JobState::Superseded]);
    story.report(1, synced("a")).expect("is heard");
    assert_eq!(status(&story.run), RunStatus::Success);
}

#[test]
fn which_run_is_newer() {
    let here: Services = &[("a", &[])];
    let forced = || SyncSpec { force: true, ..spec() };
    let elsewhere = || SyncSpec { source: "another".parse().expect("a source"), ..spec() };
    let rows = [
        ("a later commit of the branch", spec(), spec(), 6, Ok(())),
        ("the same commit, asked for again", spec(), spec(), 5, Ok(())),
        ("an earlier commit of the branch", spec(), spec(), 4, Err(Refusal::NotNewer)),
        ("the branch of another source", spec(), elsewhere(), 4, Ok(())),
        ("a tag", spec(), tagged("v1"), 4, Ok(())),
        ("a tag after a tag", tagged("v2"), tagged("v1"), 4, Ok(())),
        ("the branch after a tag", tagged("v2"), spec(), 4, Ok(())),
        ("one that compares, after a forced one", forced(), spec(), 6, Err(Refusal::NotNewer)),
        ("a forced one", forced(), forced(), 6, Ok(())),
    ];
    for (what, ours, theirs, generation, expected) in rows {
        let mut story = Story::planned(ours, here);
        assert_eq!(story.feed(&Input::Newer(newer(theirs, here, generation))), expected, "{what}");
    }
}

/// Each may stand before the other in some line. If each left its services to the other, nobody would sync them.
#[test]
fn of_two_runs_only_one_is_newer_than_the_other() {
    let here: Services = &[("a", &[])];
    for (one, two, generations) in [(spec(), spec(), (5, 5)), (tagged("v1"), tagged("v2"), (5, 9)), (spec(), tagged("v1"), (9, 5))] {
        let mut first = Story::named("one", one, selection(here, generations.0));
        let mut second = Story::named("two", two, selection(here, generations.1));
        let of = |story: &Story| Input::Newer(Newer::of(&story.run).expect("planned"));
        let (of_first, of_second) = (of(&first), of(&second));
        let heard = [first.feed(&of_second).is_ok(), second.feed(&of_first).is_ok()];
        assert_eq!(heard.iter().filter(|left| **left).count(), 1, "at one moment the one with the larger id counts as later");
    }
}

#[test]
fn nothing_is_left_by_whoever_is_over_or_stopping_or_does_not_know_yet() {
    let here: Services = &[("a", &[]), ("b", &[])];
    let later = || Input::Newer(newer(spec(), here, 6));
    let mut unplanned = Story::of(&super::syncs_tests::trigger("one", spec()));
    assert_eq!(unplanned.feed(&later()), Err(Refusal::NothingDue));
    let mut stopping = Story::planned(spec(), here);
    stopping.start(1, "a");
    stopping.cancel().expect("runs");
    assert_eq!(stopping.feed(&later()), Err(Refusal::NothingDue));
    let mut ours = Story::planned(spec(), here);
    let own = Newer::of(&ours.run).expect("planned");
    assert_eq!(ours.feed(&Input::Newer(own)), Err(Refusal::NothingDue));
    let named = SyncSpec { wanted: SyncWanted::Named { names: vec![service("z")] }, ..spec() };
    assert_eq!(ours.feed(&Input::Newer(newer(named, &[("z", &[])], 6))), Err(Refusal::NothingDue));
    ours.feed(&later()).expect("both are left");
    assert_eq!((ours.run.is_over(), ours.run.commit.clone()), (true, Some(commit())));
    assert_eq!(ours.feed(&later()), Err(Refusal::NothingDue));
}
