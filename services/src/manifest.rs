//! The file `deploy-dependencies.yaml`: which files outside its folder a service is built from. It names what goes into a
//! service, not what the service talks to.

use crate::{
    FileProblems,
    glob::Pattern,
    yaml::{self, Problems},
};
use proto::sync::ServiceId;
use std::collections::BTreeMap;

/// Name of the file, at the root of the repository.
pub const FILE: &str = "deploy-dependencies.yaml";

const MOST_BYTES: usize = 256 * 1024;
const MOST_SERVICES: usize = 1000;
const MOST_LISTED: usize = 200;
const MOST_GLOBS: usize = 2000;

/// The manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    pub depends_on: BTreeMap<ServiceId, Vec<Pattern>>,
}

/// Reads a manifest. `file` is the name that problems are told with, usually [`FILE`].
pub fn parse(file: &str, text: &str) -> Result<Manifest, FileProblems> {
    let root = yaml::parse(file, text, MOST_BYTES)?;
    let mut problems = Problems::of(file);
    let fields = problems.fields(&root, "the file", &["version", "services"]);
    problems.version_1(&fields);
    let mut manifest = Manifest::default();
    let mut globs = 0;
    for (key, node) in fields.get("services").map(|node| problems.map(node, "services", MOST_SERVICES)).unwrap_or_default() {
        let id = match key.name.parse::<ServiceId>() {
            Ok(id) => id,
            Err(error) => {
                problems.add(key.place, format!("services: {error}"));
                continue;
            }
        };
        let service = problems.fields(node, &format!("service {id}"), &["depends_on"]);
        let nodes = service.get("depends_on").map(|node| problems.list(node, "depends_on", MOST_LISTED)).unwrap_or_default();
        globs += nodes.len();
        let patterns = nodes.iter().filter_map(|node| problems.parsed(node, "depends_on")).collect();
        manifest.depends_on.insert(id, patterns);
    }
    if globs > MOST_GLOBS {
        problems.add(root.place, format!("{globs} globs, and {MOST_GLOBS} at most are read: write fewer"));
    }
    problems.or(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_and_mistakes_have_a_place() {
        let text = "version: 1\nservices:\n  platform/a:\n    depends_on: [libs/x/**, tools/y.py]\n  platform/b: {depends_on: []}\n  platform/c:\n";
        let manifest = parse(FILE, text).unwrap();
        let globs = |id: &str| manifest.depends_on[&id.parse().unwrap()].iter().map(Pattern::as_str).collect::<Vec<_>>();
        assert_eq!(globs("platform/a"), ["libs/x/**", "tools/y.py"]);
        assert_eq!((globs("platform/b").len(), globs("platform/c").len()), (0, 0));
        for (text, expected) in [
            ("services: {}\n", "1:1: the file must say `version: 1`"),
            ("version: 1\nservice: {}\n", "2:1: the file has no field `service`: did you mean `services`?"),
            ("version: 1\nservices: {a: {}}\n", "2:12: services: `a` is not a service"),
            ("version: 1\nservices: {p/a: {depend_on: []}}\n", "2:18: service p/a has no field `depend_on`: did you mean `depends_on`?"),
            ("version: 1\nservices: {p/a: {depends_on: [../x]}}\n", "2:31: depends_on: a glob stays in the repository"),
            ("version: 1\nservices: {p/a: {depends_on: ['**/*/**/*/**/*/**']}}\n", "2:31: depends_on: `**` stands 4 times"),
            ("version: 1\nservices: {p/a: {depends_on: libs}}\n", "2:30: depends_on must be a list, and this is a text"),
            ("version: 1\nservices: [p/a]\n", "2:11: services must be a map of names and values, and this is a list"),
        ] {
            let problem = parse(FILE, text).unwrap_err().to_string();
            assert!(problem.starts_with(&format!("{FILE}:{expected}")), "{problem}");
        }
    }
}
