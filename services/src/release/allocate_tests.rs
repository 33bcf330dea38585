//! Allocation: the cases of the rules, and what must hold of every allocation.

use super::*;
use proptest::prelude::*;
use proto::ShardNo;

fn commit(number: u32) -> CommitId {
    format!("{number:040x}").parse().unwrap()
}

/// `v1.2.4@3` is a tag at commit 3; a word behind it is the kind that its message tells.
fn tags(texts: &[&str]) -> Vec<Tag> {
    texts
        .iter()
        .map(|text| {
            let (tag, kind) = text.split_once(' ').map_or((*text, None), |(tag, kind)| (tag, Some(kind)));
            let (name, number) = tag.split_once('@').unwrap();
            let message = kind.map(|kind| match kind.split_once('<') {
                Some((kind, from)) => format!("{kind} release {name} (from {from})\n"),
                None => format!("{kind} release {name}\n"),
            });
            Tag { name: name.to_owned(), commit: commit(number.parse().unwrap()), message }
        })
        .collect()
}

fn order(kind: ReleaseKind, from: &str, strict: bool) -> ReleaseOrder {
    ReleaseOrder { kind, from: (!from.is_empty()).then(|| from.parse().unwrap()), strict }
}

/// What an order gets, in short: the tag and its commit, with `=` where it was there already, or the refusal.
fn gets(texts: &[&str], order: &ReleaseOrder, target: u32) -> String {
    match allocate(&tags(texts), order, &commit(target), RunId::fresh(ShardNo(0))) {
        Ok(Allocation { release, message }) => {
            assert_eq!(message.is_none(), release.existed, "a message goes with a new tag");
            assert_eq!(release.kind, order.kind);
            let sign = if release.existed { "=" } else { "@" };
            format!("{}{sign}{}", release.tag, u32::from_str_radix(release.commit.as_str(), 16).unwrap())
        }
        Err(refusal) => format!("{refusal:?}").split([' ', '{', '(']).next().unwrap().to_owned(),
    }
}

#[test]
fn staging_takes_the_next_patch_of_the_highest_release() {
    let (lax, strict) = (order(ReleaseKind::Staging, "", false), order(ReleaseKind::Staging, "", true));
    for (there, target, expected, when_strict) in [
        (&[][..], 1, "v1.0.0@1", "v1.0.0@1"),
        (&["v1.2.3@1"][..], 2, "v1.2.4@2", "v1.2.4@2"),
        (&["v1.2.9@1", "v1.2.10@2"][..], 3, "v1.2.11@3", "v1.2.11@3"),
        // Production and hotfix releases count too.
        (&["v1.2.4@1", "v1.3.0@1"][..], 2, "v1.3.1@2", "v1.3.1@2"),
        (&["v1.3.0@1", "v1.3.1@2 Hotfix<v1.3.0"][..], 2, "v1.3.2@2", "v1.3.2@2"),
        (&["v2.0.0@1", "v1.9.9@2"][..], 3, "v2.0.1@3", "v2.0.1@3"),
        // Released already, in the highest minor or in an older one.
        (&["v1.2.3@7"][..], 7, "v1.2.3=7", "Released"),
        (&["v1.2.3@7", "v1.3.0@8"][..], 7, "v1.3.1@7", "v1.3.1@7"),
        (&["v1.0.0@7 Staging"][..], 7, "v1.0.0=7", "Released"),
        // What is no release is not counted.
        (&["v1.2.3@1", "v9.0.0-rc.1@2", "v9.0@3", "nightly@4", "v9.0.0+x@5"][..], 6, "v1.2.4@6", "v1.2.4@6"),
        (&["v1.0.18446744073709551615@1"][..], 2, "NoMore", "NoMore"),
    ] {
        assert_eq!(gets(there, &lax, target), expected, "{there:?}");
        assert_eq!(gets(there, &strict, target), when_strict, "strict, {there:?}");
    }
}

#[test]
fn production_takes_the_next_minor() {
    for (there, from, expected, when_strict) in [
        (&["v1.2.4@4"][..], "v1.2.4", "v1.3.0@4", "v1.3.0@4"),
        (&["v1.2.4@4"][..], "refs/tags/v1.2.4", "v1.3.0@4", "v1.3.0@4"),
        (&["v1.0.0@1 Staging"][..], "v1.0.0", "v1.1.0@1", "v1.1.0@1"),
        // Promoted before.
        (&["v1.2.4@4", "v1.3.0@4"][..], "v1.2.4", "v1.3.0=4", "Released"),
        // Another release has the next minor.
        (&["v1.2.4@4", "v1.2.3@3", "v1.3.0@3"][..], "v1.2.4", "v1.4.0@4", "Taken"),
        (&["v1.2.4@4", "v1.5.2@3"][..], "v1.2.4", "v1.6.0@4", "Taken"),
        // A major has its own minors.
        (&["v1.2.4@4", "v2.7.0@3"][..], "v1.2.4", "v1.3.0@4", "v1.3.0@4"),
        (&["v1.2.4@4"][..], "v1.2.5", "NoSuchRelease", "NoSuchRelease"),
        (&["v1.2.4@4"][..], "main", "NotAVersion", "NotAVersion"),
        (&["v1.2.4@4"][..], "v1.2.4-rc.1", "NotAVersion", "NotAVersion"),
        (&["v1.2.4@4"][..], "", "NoFrom", "NoFrom"),
        (&["v1.3.0@4"][..], "v1.3.0", "WrongKind", "WrongKind"),
        (&["v1.3.1@4 Hotfix<v1.3.0"][..], "v1.3.1", "WrongKind", "WrongKind"),
        (&["v1.18446744073709551615.4@4"][..], "v1.18446744073709551615.4", "NoMore", "NoMore"),
    ] {
        // The target of a promotion is the promoted release, whatever the caller says.
        assert_eq!(gets(there, &order(ReleaseKind::Production, from, false), 99), expected, "{there:?} {from}");
        assert_eq!(gets(there, &order(ReleaseKind::Production, from, true), 99), when_strict, "strict, {there:?} {from}");
    }
}

#[test]
fn a_hotfix_takes_the_next_free_patch_above_what_it_mends() {
    for (there, target, expected, when_strict) in [
        (&["v1.3.0@3"][..], 9, "v1.3.1@9", "v1.3.1@9"),
        (&["v1.3.0@3", "v1.3.1@5"][..], 9, "v1.3.2@9", "Taken"),
        (&["v1.3.0@3", "v1.3.1@5", "v1.3.2@6", "v1.3.4@7"][..], 9, "v1.3.3@9", "Taken"),
        (&["v1.3.0@3", "v1.3.1@9 Hotfix<v1.3.0"][..], 9, "v1.3.1=9", "Released"),
        // The commit is in staging, which is another thing than a hotfix.
        (&["v1.3.0@3", "v1.3.1@9"][..], 9, "v1.3.2@9", "Taken"),
        (&["v1.3.0@3", "v1.4.0@5"][..], 9, "v1.3.1@9", "v1.3.1@9"),
        (&["v1.3.0@3"][..], 3, "NothingMended", "NothingMended"),
        (&["v1.3.0@3 Staging"][..], 9, "WrongKind", "WrongKind"),
        (&["v1.4.0@3"][..], 9, "NoSuchRelease", "NoSuchRelease"),
    ] {
        assert_eq!(gets(there, &order(ReleaseKind::Hotfix, "v1.3.0", false), target), expected, "{there:?}");
        assert_eq!(gets(there, &order(ReleaseKind::Hotfix, "v1.3.0", true), target), when_strict, "strict, {there:?}");
    }
    let mended_twice = ["v1.3.0@3", "v1.3.1@5 Hotfix<v1.3.0"];
    assert_eq!(gets(&mended_twice, &order(ReleaseKind::Hotfix, "v1.3.1", true), 9), "v1.3.2@9");
}

#[test]
fn a_rollback_makes_no_tag() {
    let there = ["v1.3.0@3", "v1.2.4@2"];
    assert_eq!(gets(&there, &order(ReleaseKind::Rollback, "v1.2.4", true), 9), "v1.2.4=2");
    assert_eq!(gets(&there, &order(ReleaseKind::Rollback, "v1.2.5", false), 9), "NoSuchRelease");
    assert_eq!(gets(&there, &order(ReleaseKind::Rollback, "", false), 9), "NoFrom");
}

#[test]
fn what_people_read() {
    let why = |texts: &[&str], order: &ReleaseOrder| {
        allocate(&tags(texts), order, &commit(9), RunId::fresh(ShardNo(0))).map_or_else(|no| no.to_string(), |made| made.release.why)
    };
    let there = ["v1.2.4@4", "v1.3.0@3", "v1.3.1@5"];
    for (order, expected) in [
        (order(ReleaseKind::Staging, "", false), "the patch after the highest release, v1.3.1"),
        (
            order(ReleaseKind::Production, "v1.2.4", false),
            "v1.2.4 is promoted, but v1.3.1 is there already, so it is the minor after that and not v1.3.0",
        ),
        (
            order(ReleaseKind::Production, "v1.2.4", true),
            "v1.3.0 exists already, and the order is strict: order it without `strict` to get the next free version",
        ),
        (order(ReleaseKind::Hotfix, "v1.3.0", false), "the next free patch above v1.3.0, which it mends: v1.3.1 is taken"),
        (order(ReleaseKind::Rollback, "v1.2.4", false), "v1.2.4, a staging release, is deployed again"),
        (
            order(ReleaseKind::Production, "v1.3.0", false),
            "v1.3.0 is a production release, and a production release is made from a staging release: name one of those",
        ),
    ] {
        assert_eq!(why(&there, &order), expected);
    }
}

fn any_tags() -> impl Strategy<Value = Vec<Tag>> {
    let message = prop::sample::select(vec!["", " Staging", " Production", " Hotfix<v1.0.0"]);
    let tag = (1_u64..3, 0_u64..4, 0_u64..4, 0_u32..6, message);
    prop::collection::btree_map((1_u64..3, 0_u64..4, 0_u64..4), tag, 0..16).prop_map(|tags_by_version| {
        let texts: Vec<String> = tags_by_version
            .into_iter()
            .map(|((major, minor, patch), (_, _, _, at, message))| format!("v{major}.{minor}.{patch}@{at}{message}"))
            .collect();
        tags(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

fn any_order() -> impl Strategy<Value = ReleaseOrder> {
    let kind = prop::sample::select(vec![ReleaseKind::Staging, ReleaseKind::Production, ReleaseKind::Hotfix, ReleaseKind::Rollback]);
    (kind, 1_u64..3, 0_u64..4, 0_u64..4, any::<bool>())
        .prop_map(|(kind, major, minor, patch, strict)| order(kind, &format!("v{major}.{minor}.{patch}"), strict))
}

proptest! {
    #[test]
    fn a_new_tag_is_new_and_an_old_one_is_there(there in any_tags(), order in any_order(), target in 0_u32..6) {
        let run = RunId::fresh(ShardNo(0));
        let mut turned = there.clone();
        turned.reverse();
        let allocated = allocate(&there, &order, &commit(target), run);
        prop_assert_eq!(&allocated, &allocate(&turned, &order, &commit(target), run), "the order of tags does not count");
        let Ok(Allocation { release, message }) = allocated else { return Ok(()) };
        let found = there.iter().find(|tag| tag.name == release.tag);
        prop_assert_eq!(found.is_some(), release.existed);
        if let Some(found) = found {
            prop_assert_eq!(&found.commit, &release.commit);
            return Ok(());
        }
        let version = Version::of_tag(&release.tag).unwrap();
        prop_assert_eq!(kind_of(version, message.as_deref()), order.kind, "its message tells what it is");
        // Made and asked for again: the run that made it gets it, strict or not; another run too, unless strict.
        let mut with_it = there.clone();
        with_it.push(Tag { name: release.tag.clone(), commit: release.commit.clone(), message });
        let again = allocate(&with_it, &order, &commit(target), run).unwrap().release;
        prop_assert_eq!((again.tag, again.existed), (release.tag.clone(), false), "it is still the run that made it");
        let by_another = allocate(&with_it, &order, &commit(target), RunId::fresh(ShardNo(0)));
        if order.strict {
            prop_assert!(by_another.is_err());
        } else {
            let by_another = by_another.unwrap().release;
            prop_assert_eq!((by_another.tag, by_another.existed), (release.tag, true));
        }
    }
}
