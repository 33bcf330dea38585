//! The changed files that a payload lists: gathered while they are read, within bounds.

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use std::{collections::BTreeSet, fmt};

/// Most paths that are kept, of one payload.
const MOST: usize = 3_000;
/// Most bytes of all of them: they travel with the run, and stand in every view of it.
const MOST_BYTES: usize = 128 * 1024;
/// Longest path; longer ones are no paths on any system.
const LONGEST: usize = 4_096;

/// Changed files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) paths: Vec<String>,
    /// Whether these are all of them.
    pub(crate) complete: bool,
}

/// A payload's `commits`: the union of their files, and how many commits there are.
#[derive(Debug, Default)]
pub(super) struct Commits {
    pub(super) count: usize,
    paths: BTreeSet<String>,
    bytes: usize,
    cut: bool,
}

impl Commits {
    /// The files. `told_all`: whether the payload lists every commit.
    pub(super) fn files(self, told_all: bool) -> Files {
        Files { complete: told_all && !self.cut, paths: self.paths.into_iter().collect() }
    }

    fn add(&mut self, path: String) {
        if self.paths.contains(&path) {
            return;
        }
        if path.len() > LONGEST || self.paths.len() >= MOST || self.bytes + path.len() > MOST_BYTES {
            self.cut = true;
            return;
        }
        self.bytes += path.len();
        self.paths.insert(path);
    }
}

impl<'de> Deserialize<'de> for Commits {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(CommitsVisitor)
    }
}

struct CommitsVisitor;

impl<'de> Visitor<'de> for CommitsVisitor {
    type Value = Commits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of commits")
    }

    /// One commit at a time, and of each no more paths than are kept of all.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Commits, A::Error> {
        let mut all = Commits::default();
        while let Some(OneCommit { added, modified, removed }) = items.next_element()? {
            all.count += 1;
            for list in [added, modified, removed].into_iter().flatten() {
                all.cut |= list.cut;
                list.paths.into_iter().for_each(|path| all.add(path));
            }
        }
        Ok(all)
    }
}

#[derive(Deserialize)]
struct OneCommit {
    #[serde(default)]
    added: Option<Few>,
    #[serde(default)]
    modified: Option<Few>,
    #[serde(default)]
    removed: Option<Few>,
}

/// The first paths of a list.
#[derive(Default)]
struct Few {
    paths: Vec<String>,
    cut: bool,
}

impl<'de> Deserialize<'de> for Few {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(FewVisitor)
    }
}

struct FewVisitor;

impl<'de> Visitor<'de> for FewVisitor {
    type Value = Few;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of paths")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Few, A::Error> {
        let mut few = Few::default();
        while few.paths.len() < MOST {
            match items.next_element()? {
                Some(path) => few.paths.push(path),
                None => return Ok(few),
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            few.cut = true;
        }
        Ok(few)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn files(commits: &serde_json::Value) -> Files {
        serde_json::from_value::<Commits>(commits.clone()).unwrap().files(true)
    }

    #[test]
    fn files_are_the_union_of_all_commits() {
        let told = files(&json!([
            {"added": ["b", "a"], "modified": ["c"], "removed": null},
            {"modified": ["a"], "removed": ["d"]},
            {},
        ]));
        assert_eq!(told, Files { paths: ["a", "b", "c", "d"].map(str::to_owned).to_vec(), complete: true });
    }

    #[test]
    fn what_is_too_much_is_left_out_and_said() {
        let many: Vec<String> = (0..MOST + 7).map(|n| n.to_string()).collect();
        let one = files(&json!([{"added": many}]));
        assert_eq!((one.paths.len(), one.complete), (MOST, false));
        let spread: Vec<_> = many.iter().map(|path| json!({"added": [path]})).collect();
        let told = files(&json!(spread));
        assert_eq!((told.paths.len(), told.complete), (MOST, false));
        let long = files(&json!([{"added": ["x".repeat(LONGEST + 1), "y"]}]));
        assert_eq!((long.paths.as_slice(), long.complete), (["y".to_owned()].as_slice(), false));
        let heavy: Vec<String> = (0..100).map(|n| format!("{n}{}", "x".repeat(4_000))).collect();
        let told = files(&json!([{"modified": heavy}]));
        assert!(!told.complete && told.paths.iter().map(String::len).sum::<usize>() <= MOST_BYTES);
    }
}
