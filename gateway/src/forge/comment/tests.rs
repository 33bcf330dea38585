//! Every moment against golden files, and every kind of name against a Markdown parser of others.

use super::*;
use proptest::prelude::*;
use proto::{RunId, ShardNo};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

const LINK: &str = "https://navvy.example.com/ui/runs/1";

fn identity() -> Identity {
    Identity::new("a1b2c3d4", &RunId::from_repeatable(&["golden"], ShardNo(0)), "ada:0011aabb-exec")
}

fn line(name: &str, state: State, reason: Option<&str>) -> Line {
    Line { name: name.to_owned(), state, reason: reason.map(str::to_owned) }
}

fn counts(orders: &[Line]) -> OrderCounts {
    let of = |state| orders.iter().filter(|line| line.state == state).count() as u32;
    OrderCounts {
        total: orders.len() as u32,
        blocked: 0,
        ready: 0,
        queued: of(State::Queued),
        running: of(State::Running),
        unknown: of(State::Unknown),
        succeeded: of(State::Succeeded),
        failed: of(State::Failed),
        timed_out: of(State::TimedOut),
        cancelled: of(State::Cancelled),
    }
}

fn comment(moment: Moment, orders: Vec<Line>) -> Comment {
    Comment { identity: identity(), moment, counts: counts(&orders), orders, link: Some(LINK.to_owned()) }
}

fn three(states: [State; 3]) -> Vec<Line> {
    let names = ["vpc", "rds", "migrations"];
    names.iter().zip(states).map(|(name, state)| line(name, state, None)).collect()
}

fn failure(why: Option<&str>) -> Moment {
    Moment::Failure { ending: Ending::Failed, why: why.map(str::to_owned), took: Duration::from_secs(3723) }
}

/// Holds for every comment.
fn assert_whole(text: &str, identity: &Identity) {
    assert!(fold::units(text) <= fold::MAX_UNITS, "{}", fold::units(text));
    assert_eq!(text.lines().last(), Some(identity.line().as_str()));
    assert!(identity.is_on(text));
    assert!(text.starts_with("**Order Summary**\n\n"));
}

#[test]
fn the_first_form_is_that_of_the_replaced_engine() {
    use State::Queued;
    let text = comment(Moment::Start, three([Queued; 3])).render();
    let run = RunId::from_repeatable(&["golden"], ShardNo(0));
    let wanted =
        format!("**Order Summary**\n\n├─ vpc: queued\n├─ rds: queued\n└─ migrations: queued\n\n###a1b2c3d4### #{run} #ada:0011aabb-exec");
    assert_eq!(text, wanted);
}

#[test]
fn every_moment_has_its_text() {
    use State::{Cancelled, Failed, Queued, Running, Succeeded, TimedOut, Unknown};
    let took = Duration::from_secs(192);
    let broken = vec![
        line("vpc", Succeeded, None),
        line("rds", Failed, Some("exit code 1")),
        line("migrations", Failed, Some("rds failed")),
        line("backup", TimedOut, Some("took longer than 600 s")),
        line("dns", Unknown, Some("its worker was lost")),
        line("mail", Cancelled, None),
    ];
    for (name, comment) in [
        ("start_of_none", comment(Moment::Start, vec![])),
        ("start_of_one", comment(Moment::Start, three([Queued; 3])[..1].to_vec())),
        ("progress", comment(Moment::Progress, three([Succeeded, Running, Queued]))),
        ("end", comment(Moment::End { took }, three([Succeeded; 3]))),
        ("end_of_none", comment(Moment::End { took: Duration::ZERO }, vec![])),
        ("failure", comment(failure(None), broken.clone())),
        ("failure_with_reason", comment(failure(Some("the run's key is gone: submit it again")), three([Cancelled; 3]))),
        ("failure_without_link", Comment { link: None, ..comment(failure(None), broken) }),
    ] {
        let text = comment.render();
        assert_whole(&text, &comment.identity);
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn thousands_of_orders_are_folded() {
    use State::{Failed, Queued, Running, Succeeded};
    let state = |n: u32| match n {
        n if n % 1000 == 7 => Failed,
        n if n % 1000 == 8 => Running,
        n if n < 3000 => Succeeded,
        _ => Queued,
    };
    let orders: Vec<Line> = (0..5000).map(|n| line(&format!("order-{n:04}"), state(n), Some("exit code 1"))).collect();
    for (name, moment) in [("folded_progress", Moment::Progress), ("folded_failure", failure(None))] {
        let text = comment(moment, orders.clone()).render();
        assert_whole(&text, &identity());
        insta::assert_snapshot!(name, text);
    }
    let text = comment(Moment::Start, orders.iter().map(|o| Line { state: Queued, ..o.clone() }).collect()).render();
    assert!(text.contains("└─ 5000 orders, too many to list\n"), "{}", &text[..200]);
}

#[test]
fn more_failures_than_fit_are_cut_between_lines() {
    let orders: Vec<Line> = (0..5000).map(|n| line(&format!("order-{n}"), State::Failed, Some("exit code 1"))).collect();
    let text = comment(failure(None), orders).render();
    assert_whole(&text, &identity());
    assert!(fold::units(&text) > fold::MAX_UNITS - 100, "the room is used: {}", fold::units(&text));
    let shown = text.lines().filter(|line| line.ends_with(": failed (exit code 1)")).count();
    assert!(text.contains(&format!("└─ … and {} more\n", 5000 - shown)), "{shown}");
}

#[test]
fn orders_that_were_not_given_are_counted() {
    let mut some = comment(Moment::Progress, three([State::Running; 3]));
    some.counts.total = 10;
    assert!(some.render().contains("├─ migrations: running\n└─ … and 7 more\n"), "{}", some.render());
}

const HOSTILE: &[&str] = &[
    "@admin",
    "#12",
    "https://evil.example/x",
    "<img src=x onerror=alert(1)>",
    "<!--",
    "-->",
    "**b**",
    "`",
    "``",
    "a`b``c",
    "```\n@admin\n```",
    "|a|b|",
    "[x](https://evil.example)",
    "\n\n# heading",
    "\n---\n",
    "x\n===",
    "\\",
    "&#64;admin",
    "\u{202e}nimda@",
    "> quote",
    "1. one",
    "###a1b2c3d4### #x",
    "\n###other### #1 #2",
    "GH-1",
    "deadbeefdeadbeef",
    "www.evil.example",
    "_x_",
    "$$x$$",
    ":+1:",
    "~~~",
    "\0",
    "",
];

#[test]
fn hostile_names_are_only_text() {
    let orders: Vec<Line> = HOSTILE.iter().map(|text| line(text, State::Failed, Some(text))).collect();
    let text = comment(failure(Some("see @admin\n<b>#12</b>")), orders).render();
    insta::assert_snapshot!("hostile", text);
    assert_whole(&text, &identity());
    assert_harmless(&text, true);
}

/// What a parser of Markdown sees: paragraphs, one bold title, code, and at most our own link. Outside of code nothing is
/// left that a forge would make a link or a mention of.
fn assert_harmless(text: &str, linked: bool) {
    let (mut links, mut bold, mut outside) = (0, 0, String::new());
    let tagless = &text[..text.rfind("\n###").expect("a tag line")];
    for event in Parser::new_ext(tagless, Options::all()) {
        match event {
            Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph | TagEnd::Strong | TagEnd::Link) => {}
            Event::Start(Tag::Strong) => bold += 1,
            Event::Start(Tag::Link { dest_url, .. }) => {
                assert_eq!(&*dest_url, LINK);
                links += 1;
            }
            Event::SoftBreak | Event::HardBreak => outside.push('\n'),
            Event::Code(_) => outside.push('.'),
            Event::Text(words) => outside.push_str(&words),
            other => panic!("{other:?} in {text}"),
        }
    }
    assert_eq!((links, bold), (usize::from(linked), 1), "{text}");
    let suspicious = ["@", "#", "<", "&", "://", "www.", "`", "GH-1", "deadbeef"];
    assert!(!suspicious.iter().any(|word| outside.contains(word)), "{outside}");
    // Our own words are the only ones that stand at the beginning of a line.
    for row in outside.lines().filter(|row| !row.is_empty()) {
        let ours = ["Order Summary", "├─ ", "└─ ", "failed after ", "reason: ", "details"];
        assert!(ours.iter().any(|word| row.starts_with(word)), "{row:?}");
    }
}

proptest! {
    /// Characters that mean something, in any order, and any characters at all.
    #[test]
    fn no_name_does_anything(
        names in proptest::collection::vec(prop_oneof!["[@#`*_<>|\\\\\\[\\]()!~&;:/.$a1 \n-]{0,30}", any::<String>()], 1..8),
        why in "[@#`*_<>|\\[\\]()a1 \n-]{0,40}",
    ) {
        let orders = names.iter().map(|text| line(text, State::Failed, Some(text))).collect();
        let text = comment(failure(Some(&why)), orders).render();
        assert_whole(&text, &identity());
        assert_harmless(&text, true);
    }
}
