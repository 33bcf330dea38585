//! Picks the commit that a reference means, from the list of a server's references. Pure.

use proto::git::{CommitId, GitRef};

/// What a reference meant when it was resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What every attempt uses.
    pub commit: CommitId,
    /// Full name such as `refs/heads/main`; absent when a commit id was given.
    pub name: Option<String>,
}

impl Resolved {
    pub(super) fn by_name(found: RemoteRef) -> Self {
        Self { commit: found.id, name: Some(found.name) }
    }
}

/// A reference of a server; an annotated tag leads to what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteRef {
    pub(super) name: String,
    pub(super) id: CommitId,
}

/// What a name matches.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pick {
    One(RemoteRef),
    /// Names that lead to different commits.
    Many(Vec<RemoteRef>),
    Nothing,
}

/// Reads the output of `git ls-remote`.
pub(super) fn parse_refs(output: &[u8]) -> Vec<RemoteRef> {
    let mut refs: Vec<RemoteRef> = Vec::new();
    for line in String::from_utf8_lossy(output).lines() {
        let Some((id, name)) = line.split_once('\t') else {
            continue;
        };
        let Ok(id) = id.parse::<CommitId>() else {
            continue;
        };
        // `refs/tags/v1^{}` follows `refs/tags/v1` and says which commit the tag object is about.
        match (name.strip_suffix("^{}"), refs.last_mut()) {
            (Some(tag), Some(last)) if last.name == tag => last.id = id,
            _ => refs.push(RemoteRef { name: name.to_owned(), id }),
        }
    }
    refs
}

/// A full name is taken as it is. A short one may be a branch or a tag; if it is both, they must agree.
pub(super) fn pick(refs: &[RemoteRef], reference: &GitRef) -> Pick {
    let name = reference.as_str();
    let wanted = if name == "HEAD" || name.starts_with("refs/") {
        vec![name.to_owned()]
    } else {
        vec![format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}")]
    };
    let found: Vec<&RemoteRef> = wanted.iter().filter_map(|name| refs.iter().find(|candidate| &candidate.name == name)).collect();
    match found.as_slice() {
        [] => Pick::Nothing,
        [first, rest @ ..] if rest.iter().all(|other| other.id == first.id) => Pick::One((*first).clone()),
        several => Pick::Many(several.iter().map(|one| (*one).clone()).collect()),
    }
}

/// What to say after "is not a branch, tag or commit": similar names, or some that exist.
pub(super) fn hint(refs: &[RemoteRef], reference: &GitRef) -> String {
    let name = reference.as_str();
    if name == "HEAD" || name.starts_with("refs/") {
        return String::new();
    }
    let names: Vec<&str> = refs.iter().filter_map(|one| short(&one.name)).filter(is_plain).collect();
    if names.is_empty() {
        return ": it has no branches or tags yet".to_owned();
    }
    let mut similar: Vec<(usize, &str)> = names
        .iter()
        .take(5000)
        .map(|candidate| (distance(&name.to_lowercase(), &candidate.to_lowercase()), *candidate))
        .filter(|(distance, _)| *distance <= (name.len() / 3).max(2))
        .collect();
    similar.sort_unstable();
    if similar.is_empty() {
        format!(": it has {}", quoted(names.iter().copied(), 5))
    } else {
        format!(": did you mean {}?", quoted(similar.into_iter().map(|(_, name)| name), 3))
    }
}

fn short(full: &str) -> Option<&str> {
    full.strip_prefix("refs/heads/").or_else(|| full.strip_prefix("refs/tags/"))
}

/// A server may list anything; only a real name is repeated to a person.
fn is_plain(name: &&str) -> bool {
    name.len() <= 200 && name.parse::<GitRef>().is_ok()
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>, most: usize) -> String {
    let mut quoted: Vec<String> = names.take(most + 1).map(|name| format!("`{name}`")).collect();
    if quoted.len() > most {
        quoted.truncate(most);
        quoted.push("…".to_owned());
    }
    quoted.join(", ")
}

/// Edit distance (Levenshtein) of two names, cut at 100 characters each.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(100).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            left = (diagonal + usize::from(x != *y)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().expect("a commit id")
    }

    fn server() -> Vec<RemoteRef> {
        let (a, b, c, d) = (id('a'), id('b'), id('c'), id('d'));
        let text = format!(
            "{a}\tHEAD\n{a}\trefs/heads/main\n{b}\trefs/heads/twice\n{b}\trefs/heads/same\nnoise\n{b}\trefs/tags/same\n\
             {c}\trefs/tags/twice\n{d}\trefs/tags/v1.0\n{c}\trefs/tags/v1.0^{{}}\n{d}\trefs/heads/feature/x\n"
        );
        parse_refs(text.as_bytes())
    }

    fn picked(name: &str) -> Pick {
        pick(&server(), &name.parse().expect("a reference"))
    }

    #[test]
    fn names_lead_to_commits_and_annotated_tags_to_what_they_are_about() {
        for (name, full, commit) in [
            ("main", "refs/heads/main", 'a'),
            ("refs/heads/main", "refs/heads/main", 'a'),
            ("heads/main", "refs/heads/main", 'a'),
            ("feature/x", "refs/heads/feature/x", 'd'),
            ("v1.0", "refs/tags/v1.0", 'c'),
            ("refs/tags/twice", "refs/tags/twice", 'c'),
            ("same", "refs/heads/same", 'b'),
            ("HEAD", "HEAD", 'a'),
        ] {
            assert_eq!(picked(name), Pick::One(RemoteRef { name: full.into(), id: id(commit) }), "{name}");
        }
        assert_eq!(picked("x"), Pick::Nothing);
        assert_eq!(picked("refs/heads/v1.0"), Pick::Nothing);
        assert!(matches!(picked("twice"), Pick::Many(both) if both.len() == 2));
    }

    #[test]
    fn an_unknown_name_gets_a_useful_answer() {
        let hinted = |name: &str| hint(&server(), &name.parse().expect("a reference"));
        assert!(hinted("mian").contains("`main`"), "{}", hinted("mian"));
        assert!(hinted("Main").contains("did you mean `main`?"), "{}", hinted("Main"));
        assert!(hinted("featur/x").contains("`feature/x`"));
        assert!(hinted("nothing-like-it").contains("it has `main`"));
        assert_eq!(hint(&[], &"main".parse().expect("a reference")), ": it has no branches or tags yet");
    }

    #[test]
    fn the_distance_counts_edits() {
        for (a, b, edits) in [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("main", "main", 0)] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
