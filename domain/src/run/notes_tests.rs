//! What is kept of runs of syncs, whoever writes it, however often, by whatever clock; and what is told of them.

use super::syncs_tests::{Story, at, commit, failed, push, releasing, selection, service, spec, synced, trigger};
use super::*;
use proto::{
    JobNo,
    message::AttemptOutcome,
    sync::{MappingInForce, Selection, ServiceState, SourceState, SyncAction, SyncSpec},
};

const A: &[(&str, &[&str])] = &[("a", &[])];

fn notes(due: &[Effect]) -> Vec<Note> {
    due.iter().filter_map(|effect| if let Effect::Note(note) = effect { Some(note.clone()) } else { None }).collect()
}

/// The note about the one service, after the run of this name ended its sync so.
fn note(name: &str, outcome: AttemptOutcome, seconds: i64) -> ServiceNote {
    let mut story = Story::named(name, spec(), selection(A, 5));
    story.now = seconds;
    story.play(1, "a", outcome);
    let told = notes(&story.due).into_iter().find_map(|note| if let Note::Service(note) = note { Some(*note) } else { None });
    told.expect("it was told")
}

fn kept(notes: &[&ServiceNote]) -> ServiceState {
    let keep = |before: Option<ServiceState>, note: &&ServiceNote| noted_service(before.as_ref(), note).or(before);
    notes.iter().fold(None, keep).expect("something was told")
}

#[test]
fn a_success_says_what_is_deployed_and_failures_count_up_until_the_next() {
    let (first, second, third, fourth) =
        (note("1", synced("v2:1"), 1), note("2", failed(), 2), note("3", failed(), 3), note("4", synced("v2:4"), 4));
    let state = kept(&[&first]);
    assert_eq!((state.commit, state.hash.as_deref(), state.action), (Some(commit()), Some("v2:1"), Some(SyncAction::Updated)));
    assert_eq!((state.run, state.at, state.synced_at, state.failures), (first.run, at(1), Some(at(1)), 0));
    let state = kept(&[&first, &second, &third]);
    assert_eq!((state.failures, state.error_kind.as_deref(), state.error.as_deref()), (2, Some("exit_code"), Some("exit code 1")));
    assert_eq!((state.commit, state.synced_at, state.run), (Some(commit()), Some(at(1)), third.run), "the last success is still known");
    assert_eq!(state.hash, None, "but not what is there now");
    let state = kept(&[&first, &second, &third, &fourth]);
    assert_eq!((state.failures, state.error_kind, state.hash.as_deref()), (0, None, Some("v2:4")));
    assert_eq!(kept(&[&second]).commit, None);
}

#[test]
fn what_was_told_before_is_not_told_again_whatever_the_clocks_say() {
    // The second scheduler's clock goes an hour behind.
    let (first, second) = (note("1", failed(), 3_600), note("2", failed(), 1));
    let state = kept(&[&first, &second]);
    assert_eq!((state.run, state.failures), (second.run, 2));
    for again in [&first, &second] {
        assert_eq!(noted_service(Some(&state), again), None, "{}", again.run);
    }
    let many: Vec<ServiceNote> = (0..20).map(|n| note(&format!("more {n}"), failed(), n)).collect();
    let all: Vec<&ServiceNote> = [&first].into_iter().chain(&many).collect();
    let state = kept(&all);
    assert_eq!((state.failures, noted_service(Some(&state), &first)), (21, None));
}

#[test]
fn what_broke_off_before_it_began_leaves_what_is_deployed_as_it_was() {
    let first = note("1", synced("v2:1"), 1);
    let mut story = Story::named("2", spec(), selection(A, 5));
    story.grant("a").expect("waits");
    story.begin(1);
    story.report(1, failed()).expect("is heard");
    let told = notes(&story.due);
    let Some(Note::Service(second)) = told.first() else { panic!("{told:?}") };
    let state = kept(&[&first, second]);
    assert_eq!((state.failures, state.hash.as_deref()), (1, Some("v2:1")));
}

#[test]
fn what_was_stopped_half_way_or_settled_by_a_person_is_not_taken_for_what_was_there_before() {
    let first = note("1", synced("v2:1"), 1);
    let mut stopped = Story::named("2", spec(), selection(A, 5));
    stopped.start(1, "a");
    stopped.cancel().expect("runs");
    stopped.report(1, AttemptOutcome::Stopped { clean: true, timed_out: false }).expect("is heard");
    let told = notes(&stopped.due);
    let Some(Note::Service(second)) = told.first() else { panic!("{told:?}") };
    let state = kept(&[&first, second]);
    assert_eq!((state.hash, state.failures, state.error_kind.as_deref()), (None, 1, Some("cancelled")));

    for succeeded in [true, false] {
        let mut settled = Story::named("3", spec(), selection(A, 5));
        settled.start(1, "a");
        settled.lose(1);
        assert!(notes(&outstanding(&settled.run)).iter().all(|note| note.service().is_none()), "nobody knows yet");
        settled.now += 60;
        settled.feed(&Input::Resolve { by: "bob".to_owned(), job: None, succeeded, reason: "looked".to_owned() }).expect("unknown");
        let told = notes(&settled.due);
        let Some(Note::Service(third)) = told.first() else { panic!("{told:?}") };
        let state = kept(&[&first, third]);
        assert_eq!((state.hash, state.failures), (None, u32::from(!succeeded)));
    }
}

#[test]
fn a_sync_that_nobody_began_tells_nothing() {
    let mut story = Story::named("1", spec(), selection(&[("a", &[]), ("b", &[]), ("c", &["b"])], 5));
    story.feed(&Input::LockLineFull { keys: vec![super::syncs_tests::key("b")] }).expect("wanted");
    story.grant("a").expect("waits");
    story.cancel().expect("runs");
    assert!(story.run.is_over());
    assert!(notes(&outstanding(&story.run)).iter().all(|note| note.service().is_none()), "only the source");
}

#[test]
fn a_note_comes_before_its_lock_is_given_back() {
    let mut story = Story::named("1", spec(), selection(&[("a", &[]), ("b", &[])], 5));
    story.play(1, "a", synced("v2:1"));
    assert!(matches!(story.due.as_slice(), [Effect::Note(_), Effect::ReleaseLocks(_)]), "{:?}", story.due);
    story.play(2, "b", synced("v2:1"));
    let first_lock = story.due.iter().position(|effect| matches!(effect, Effect::ReleaseLocks(_)));
    let last_note = story.due.iter().rposition(|effect| matches!(effect, Effect::Note(_)));
    assert!(last_note < first_lock, "{:?}", story.due);
    assert_eq!(notes(&story.due).len(), 3, "at the end all of it once more");
}

#[test]
fn a_source_is_what_its_branch_said_last() {
    let of = |name: &str, seconds: i64, selection: Selection| {
        let mut story = Story::of(&trigger(name, spec()));
        story.begin(0);
        story.now = seconds;
        let result = proto::message::JobResult::Selection(Box::new(selection));
        story.report(0, AttemptOutcome::Succeeded { result }).expect("is heard");
        story.due.into_iter().find_map(|effect| if let Effect::Note(Note::Source(source)) = effect { Some(*source) } else { None })
    };
    let text = |text: &str| MappingInForce::OfCommit { text: text.to_owned() };
    let first = of("1", 1, Selection { mapping: text("one"), ..selection(A, 5) }).expect("of a branch");
    let last_good = MappingInForce::LastGood { text: "one".to_owned(), problem: "line 3".to_owned() };
    let second = of("2", 2, Selection { mapping: last_good, ..selection(A, 6) }).expect("of a branch");
    assert_eq!((first.services.clone(), first.mapping.as_deref(), first.at), (vec![service("a")], Some("one"), at(1)));
    assert_eq!(second.mapping.as_deref(), Some("one"), "what cannot be read does not take away what could");
    assert_eq!(noted_source(None, &first), Some(first.clone()));
    assert_eq!(noted_source(Some(&first), &second), Some(second.clone()));
    for older in [&first, &second] {
        assert_eq!(noted_source(Some(&second), older), None, "{}", older.run);
    }
    let same_moment = SourceState { at: second.at, ..first.clone() };
    let takes = [noted_source(Some(&second), &same_moment), noted_source(Some(&same_moment), &second)];
    assert_eq!(takes.iter().flatten().count(), 1, "one of them stays");
    let tag = SyncSpec { git_ref: "refs/tags/v1".parse().expect("a tag"), ..spec() };
    let mut story = Story::of(&trigger("3", tag));
    story.begin(0);
    let result = proto::message::JobResult::Selection(Box::new(selection(A, 1)));
    story.report(0, AttemptOutcome::Succeeded { result }).expect("is heard");
    assert_eq!(notes(&story.due), [], "an old tag says nothing about today");
}

/// What a log tells, as `name: event status`.
fn told(log: &[Entry], from: usize) -> Vec<String> {
    let mut narrator = Narrator::of(&log[0]).expect("it begins with the acceptance");
    let mut lines = Vec::new();
    for (at, entry) in log.iter().enumerate() {
        narrator.learn(entry);
        if at >= from {
            lines.extend(
                narrator.tell(at as u64, entry, None).map(|told| format!("{}: {} {}", told.order_name, told.event_type, told.status)),
            );
        }
    }
    lines
}

#[test]
fn the_jobs_that_a_selection_brought_are_told_by_name_from_the_middle_too() {
    let mut story = Story::named("1", SyncSpec { wanted: push(), ..spec() }, selection(&[("a", &[]), ("b", &["a"])], 5));
    let planned = story.log.len();
    story.play(1, "a", synced("v2:1"));
    let later = Newer::of(&Story::named("0", spec(), selection(&[("b", &[])], 6)).run).expect("planned");
    story.feed(&Input::Newer(Newer { accepted_at: at(9), ..later })).expect("b is left");
    let lines = told(&story.log, 0);
    assert_eq!(lines[..2], ["_job: job_started running", "select: dispatched queued"].map(str::to_owned));
    let own = told(&story.log, planned);
    let expected = [
        "platform/a: lock_granted blocked",
        "platform/a: dispatched queued",
        "platform/a: started running",
        "platform/a: effects_started running",
        "platform/a: synced updated",
        "platform/a: completed succeeded",
        "platform/b: completed superseded",
        "_job: job_completed succeeded",
    ];
    assert_eq!(own, expected.map(str::to_owned));
    assert!(lines.ends_with(&own));
    assert!(lines.contains(&"_job: planned running".to_owned()), "{lines:?}");
    // Told again in one entry, as after a long time: the same.
    let (last, before) = story.log.split_last().expect("a log");
    let retold = [Entry { before: before.to_vec(), ..last.clone() }];
    assert_eq!(told(&retold, 0), lines);
}

#[test]
fn a_view_shows_each_service_and_what_became_of_it() {
    let mut story = Story::named("1", releasing(), selection(&[("a", &[]), ("b", &["a"])], 5));
    story.begin(1);
    story.report(1, failed()).expect("is heard");
    let shown = view(&story.run, 1);
    let jobs: Vec<(&str, &str)> = shown.jobs.iter().map(|job| (job.name.as_str(), job.status.as_str())).collect();
    assert_eq!(jobs, [("select", "succeeded"), ("release", "failed"), ("platform/a", "skipped"), ("platform/b", "skipped")]);
    let syncs = shown.syncs.expect("a run of syncs");
    assert_eq!((syncs.changed_files, syncs.release), (3, None));
    let mut story = Story::named("1", spec(), selection(A, 5));
    story.play(1, "a", failed());
    let shown = view(&story.run, 1);
    let sync = shown.jobs[1].sync.as_ref().expect("a sync");
    assert_eq!(
        (sync.service.clone(), sync.task.as_str(), sync.reasons.as_slice()),
        (service("a"), "a.sync", ["named".to_owned()].as_slice())
    );
    assert_eq!(sync.failure.as_ref().map(|failure| failure.message.as_str()), Some("exit code 1"));
    assert_eq!(story.run.job(JobNo(1)).map(|job| job.state), Some(JobState::Failed));
}
