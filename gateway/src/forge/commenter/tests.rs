//! What follows from what, in tables; the calls themselves are tested against a small GitHub (`tests/it/forge.rs`).

use super::*;
use std::time::Duration;

const PACE: Pace = Pace {
    edit_interval: Duration::from_secs(10),
    claim: Duration::from_mins(5),
    first_backoff: Duration::from_secs(5),
    longest_backoff: Duration::from_mins(10),
    denied: Duration::from_mins(5),
    give_up_after: Duration::from_hours(24),
};
const ID: CommentId = CommentId(7);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn around(seconds: i64) -> Around<'static> {
    Around { now: at(seconds), me: "me", quiet_until: None, pace: &PACE }
}

fn going(text: &str) -> Wanted {
    Wanted { body: text.to_owned(), digest: text.to_owned(), last: false }
}

fn over(text: &str) -> Wanted {
    Wanted { last: true, ..going(text) }
}

/// A comment that shows `text` since second 0.
fn showing(text: &str) -> Shown {
    Shown::default().after(&going(text), &Outcome::Written(ID), &around(0))
}

fn after(shown: &Shown, wanted: &Wanted, error: ForgeError, seconds: i64) -> Shown {
    shown.after(wanted, &Outcome::Failed(error), &around(seconds))
}

fn down() -> ForgeError {
    ForgeError::Unavailable("down".into())
}

#[test]
fn what_is_not_shown_is_written_and_what_is_shown_is_not() {
    assert_eq!(next(&Shown::default(), &going("a"), &around(0)), Step::Write(Write::FindOrCreate));
    assert_eq!(next(&showing("a"), &going("a"), &around(99)), Step::Nothing);
    assert_eq!(next(&showing("a"), &going("b"), &around(10)), Step::Write(Write::Update(ID)));
}

#[test]
fn a_going_run_is_edited_at_its_pace_and_an_ended_one_at_once() {
    assert_eq!(next(&showing("a"), &going("b"), &around(9)), Step::WaitUntil(at(10)));
    assert_eq!(next(&showing("a"), &over("b"), &around(0)), Step::Write(Write::Update(ID)));
}

#[test]
fn nobody_writes_while_another_gateway_does() {
    let theirs = showing("a").claimed(&Around { me: "they", ..around(20) });
    assert_eq!(next(&theirs, &over("b"), &around(20)), Step::WaitUntil(at(320)));
    assert_eq!(next(&theirs, &over("b"), &around(320)), Step::Write(Write::Update(ID)), "they were killed");
    assert_eq!(next(&theirs, &over("b"), &Around { me: "they", ..around(20) }), Step::Write(Write::Update(ID)));
    let written = theirs.after(&over("b"), &Outcome::Written(ID), &around(21));
    assert_eq!((written.claim.clone(), next(&written, &over("b"), &around(21))), (None, Step::Nothing));
}

#[test]
fn an_outage_is_waited_out_longer_and_longer_and_forgotten_on_success() {
    let mut shown = showing("a");
    let mut now = 100;
    for pause in [5, 10, 20, 40, 80, 160, 320, 600, 600] {
        shown = after(&shown, &over("b"), down(), now);
        assert_eq!(next(&shown, &over("b"), &around(now)), Step::WaitUntil(at(now + pause)), "even at the end");
        assert!(shown.problem.as_deref().is_some_and(|problem| problem.contains("down")));
        now += pause;
        assert_eq!(next(&shown, &over("b"), &around(now)), Step::Write(Write::Update(ID)));
    }
    let shown = shown.after(&over("b"), &Outcome::Written(ID), &around(now));
    assert_eq!((shown.failures, shown.failing_since, shown.not_before, shown.problem), (0, None, None, None));
}

#[test]
fn a_forge_that_is_down_for_a_day_is_given_up() {
    let first = after(&Shown::default(), &over("b"), down(), 0);
    let early = after(&first, &over("b"), down(), 86_399);
    assert!(!early.given_up);
    let late = after(&early, &over("b"), down(), 86_400);
    assert!(late.given_up);
    assert_eq!(next(&late, &over("c"), &around(999_999)), Step::Nothing);
}

#[test]
fn a_limit_is_waited_out_by_everybody() {
    let outcome = Outcome::Failed(ForgeError::Limited { retry_after: Duration::from_secs(90) });
    let shown = showing("a").after(&over("b"), &outcome, &around(20));
    assert_eq!(next(&shown, &over("b"), &around(20)), Step::WaitUntil(at(110)));
    let quiet_until = outcome.quiet_until(at(20));
    assert_eq!(quiet_until, Some(at(110)));
    let other_run = next(&Shown::default(), &going("x"), &Around { quiet_until, ..around(20) });
    assert_eq!(other_run, Step::WaitUntil(at(110)));
    assert_eq!(Outcome::Failed(down()).quiet_until(at(20)), None);
}

#[test]
fn a_denied_token_is_tried_slowly() {
    let shown = after(&showing("a"), &going("b"), ForgeError::Denied("no".into()), 20);
    assert_eq!(next(&shown, &going("b"), &around(20)), Step::WaitUntil(at(320)));
    assert!(!shown.given_up);
}

#[test]
fn a_refused_text_is_not_tried_again_but_another_is() {
    let shown = after(&showing("a"), &going("b"), ForgeError::Refused("no".into()), 20);
    assert_eq!(next(&shown, &going("b"), &around(999)), Step::Nothing);
    assert_eq!(next(&shown, &going("c"), &around(999)), Step::Write(Write::Update(ID)));
    assert!(after(&shown, &over("d"), ForgeError::Refused("no".into()), 999).given_up, "there is no other text after the last");
}

#[test]
fn without_a_pull_request_there_is_no_comment() {
    let shown = after(&Shown::default(), &going("a"), ForgeError::NotThere("x".into()), 0);
    assert!(shown.given_up);
    assert_eq!(next(&shown, &over("b"), &around(999)), Step::Nothing);
}

#[test]
fn a_comment_that_was_taken_away_comes_back_once_at_the_end() {
    let gone = showing("a").after(&going("b"), &Outcome::Gone, &around(20));
    assert_eq!((gone.comment, gone.deleted), (None, 1));
    assert_eq!(next(&gone, &going("c"), &around(999)), Step::Nothing, "not while the run goes on");
    assert_eq!(next(&gone, &over("d"), &around(999)), Step::Write(Write::FindOrCreate));
    let back = gone.after(&over("d"), &Outcome::Written(CommentId(8)), &around(999));
    assert_eq!((back.comment, back.deleted), (Some(CommentId(8)), 1));
    let again = back.after(&over("e"), &Outcome::Gone, &around(1999));
    assert!(again.given_up);
    assert_eq!(next(&again, &over("f"), &around(9999)), Step::Nothing);
}

#[test]
fn what_is_kept_survives_the_store_and_older_and_newer_gateways() {
    let shown = after(&showing("a"), &going("b"), down(), 20).claimed(&around(30));
    let text = serde_json::to_string(&shown).unwrap();
    assert_eq!(serde_json::from_str::<Shown>(&text).unwrap(), shown);
    assert_eq!(serde_json::from_str::<Shown>("{}").unwrap(), Shown::default());
    assert_eq!(serde_json::from_str::<Shown>(r#"{"comment":7,"of_tomorrow":1}"#).unwrap().comment, Some(ID));
}
