//! Which mapping decides: the commit's, else the last good one, else the built-in table.

use super::{FILE, Mapping, parse};
use crate::{FileProblem, FileProblems};
use proto::sync::MappingInForce;

/// Decides from the text of the commit's mapping (absent: it has none; or why there is no text to be had of it) and of the last
/// one that was good. A mapping that cannot be read never means the built-in table: without a good one before it nothing is selected.
pub fn mapping_in_force(of_commit: Option<Result<&str, &str>>, last_good: Option<&str>) -> Result<(Mapping, MappingInForce), FileProblems> {
    let Some(text) = of_commit else { return Ok((Mapping::built_in(), MappingInForce::BuiltIn)) };
    let read = text.map_err(unreadable).and_then(|text| Ok((parse(FILE, text)?, text)));
    match read {
        Ok((mapping, text)) => Ok((mapping, MappingInForce::OfCommit { text: text.to_owned() })),
        Err(problems) => match last_good.and_then(|text| Some((text, parse(FILE, text).ok()?))) {
            Some((text, mapping)) => Ok((mapping, MappingInForce::LastGood { text: text.to_owned(), problem: problems.to_string() })),
            None => Err(problems),
        },
    }
}

fn unreadable(why: &str) -> FileProblems {
    let problem = FileProblem { line: 0, column: 0, message: why.to_owned() };
    FileProblems { file: FILE.to_owned(), problems: vec![problem], more: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_mapping_is_never_the_built_in_one() {
        let (good, older, broken) = ("version: 1\nrules: []\n", "version: 1\n", "version: 2\n");
        let force = |of_commit, last_good| mapping_in_force(of_commit, last_good).map(|(mapping, force)| (mapping.rules.len(), force));
        assert_eq!(force(None, Some(good)), Ok((1, MappingInForce::BuiltIn)), "a mapping that was removed is not kept");
        assert_eq!(force(Some(Ok(good)), Some(older)), Ok((0, MappingInForce::OfCommit { text: good.to_owned() })));
        let Ok((0, MappingInForce::LastGood { text, problem })) = force(Some(Ok(broken)), Some(good)) else { panic!("the last good one") };
        assert_eq!(text, good);
        assert!(problem.starts_with("navvy.yaml:1:10: version must be 1"), "{problem}");
        let Ok((0, MappingInForce::LastGood { problem, .. })) = force(Some(Err("is too long")), Some(good)) else {
            panic!("the last good one")
        };
        assert_eq!(problem, "navvy.yaml: is too long");
        for of_commit in [Ok(broken), Err("is too long")] {
            assert!(force(Some(of_commit), None).is_err());
            assert!(force(Some(of_commit), Some(broken)).is_err());
        }
    }
}
