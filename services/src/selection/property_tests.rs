//! What must hold of every selection: its size, and that it does not depend on the order of files.

use super::{
    tests::{Ask, RULES},
    *,
};
use proptest::prelude::*;
use std::fmt::Write as _;

/// A hundred thousand files over two hundred services with globs of their own make a short answer.
#[test]
fn a_huge_push_makes_a_short_list() {
    let tree: Vec<String> = (0..200).map(|number| format!("platform/1.s{number}/compose.yaml")).collect();
    let tree: Vec<&str> = tree.iter().map(String::as_str).collect();
    let mut mapping = "version: 1\nrules: [{paths: ['**/*.md'], then: skip}]\nservices:\n".to_owned();
    for number in 0..200 {
        writeln!(mapping, "  platform/s{number}: {{depends_on: ['libs/l{number}/**', '**/x{number}*.p?', 'lib?/{{a,b}}{number}/**/y*']}}")
            .unwrap();
    }
    let ask = Ask { tree: &tree, mapping: &mapping, ..Ask::default() };
    let files: Vec<ChangedFile> = (0..100_000)
        .map(|number| {
            let path = match number % 5 {
                0 => format!("folder{number}/a.txt"),
                1 => format!("libs/l{}/f{number}", number % 200),
                2 => format!("platform/1.s{}/{number}", number % 199),
                3 => format!("docs/{number}.md"),
                _ => format!("some/x{}{number}.py", number % 50),
            };
            ChangedFile { path, removed: number % 7 == 0 }
        })
        .collect();
    let selection = ask.select(Wanted::Changed(&files));
    assert_eq!((selection.changed_files, selection.services.len()), (100_000, 200));
    assert!(selection.skipped.len() <= 101, "{}", selection.skipped.len());
    assert!(selection.skipped.iter().any(|skipped| skipped.reason == "not listed"));
    assert!(serde_json::to_vec(&selection).unwrap().len() < 512 * 1024);
}

proptest! {
    #[test]
    fn the_order_and_repeats_of_files_do_not_count(
        numbers in prop::collection::vec((0_usize..12, any::<bool>()), 0..20),
        turn in 0_usize..20,
    ) {
        let paths = ["libs/a", "libs/sso/b", "x.md", "tools/r.py", "docs/a", "root", "navvy.yaml", "platform/01.postgres/x", "platform/08.redis/deploy.py",
            "platform/02.redis/deploy.py", "bootstrap/x", "finance/y"];
        let files: Vec<ChangedFile> = numbers.iter().map(|(at, removed)| ChangedFile { path: paths[*at].to_owned(), removed: *removed }).collect();
        let mut turned = [files.clone(), files.clone()].concat();
        let turn = turn.min(turned.len());
        turned.rotate_left(turn);
        let ask = Ask { mapping: RULES, environment: "production", ..Ask::default() };
        let selection = ask.select(Wanted::Changed(&files));
        prop_assert_eq!(&selection, &ask.select(Wanted::Changed(&turned)));
        // Nothing is lost silently: whatever was asked led to something, and no service is on both lists.
        prop_assert_eq!(files.is_empty(), selection.services.is_empty() && selection.skipped.is_empty());
        for selected in &selection.services {
            prop_assert!(!selected.reasons.is_empty());
            prop_assert!(selection.skipped.iter().all(|skipped| skipped.what != selected.service.to_string()));
            prop_assert_ne!(selected.service.project(), "bootstrap");
        }
    }
}
