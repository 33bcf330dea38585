//! Which runs a list shows. Plain comparisons: no pattern of a caller is ever run.

use super::index::Summary;
use crate::answers::{FieldProblem, Refusal};
use proto::{
    git::GitUrl,
    sync::{Environment, ReleaseKind},
    view::RunStatus,
};
use serde::Deserialize;

use super::cursor::Place;

/// Largest page.
pub(crate) const MAX_LIMIT: usize = 200;
const DEFAULT_LIMIT: usize = 50;

/// The query of a list as it arrives.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawQuery {
    status: Option<String>,
    repo: Option<String>,
    by: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Which page of a list, as it arrives.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawPage {
    pub(crate) limit: Option<String>,
    pub(crate) cursor: Option<String>,
}

/// A valid query of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) filter: Filter,
    pub(crate) limit: usize,
    pub(crate) after: Option<Place>,
}

/// What a run must be to be shown; nothing asked for passes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Any of these.
    statuses: Vec<RunStatus>,
    /// Canonical repository, or the end of its path.
    repo: Option<String>,
    by: Option<String>,
    releases: Option<Releases>,
}

/// Only runs that make a release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Releases {
    kind: Option<ReleaseKind>,
    environment: Option<Environment>,
}

impl Filter {
    /// Runs that make a release, of this kind or into this environment where one is named.
    pub(crate) fn of_releases(kind: Option<ReleaseKind>, environment: Option<Environment>) -> Self {
        Self { releases: Some(Releases { kind, environment }), ..Self::default() }
    }

    /// Whether the run is shown.
    pub(crate) fn passes(&self, run: &Summary) -> bool {
        let status = self.statuses.is_empty() || self.statuses.contains(&run.status);
        let repo = self.repo.as_deref().is_none_or(|wanted| is_repo(&run.repo, wanted));
        let by = self.by.as_deref().is_none_or(|wanted| wanted == &*run.by);
        status && repo && by && self.releases.as_ref().is_none_or(|wanted| wanted.passes(run))
    }
}

impl Releases {
    fn passes(&self, run: &Summary) -> bool {
        run.release.as_ref().is_some_and(|(kind, environment)| {
            let of_kind = self.kind.is_none_or(|wanted| wanted == *kind);
            of_kind && self.environment.as_ref().is_none_or(|wanted| wanted.as_str() == &**environment)
        })
    }
}

#[cfg(test)]
impl Filter {
    pub(crate) fn of_status(status: RunStatus) -> Self {
        Self { statuses: vec![status], ..Self::default() }
    }
}

/// `git.example/acme/infra` is meant by itself, by `acme/infra` and by `infra`.
fn is_repo(repo: &str, wanted: &str) -> bool {
    repo.strip_suffix(wanted).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

impl RawQuery {
    /// The valid query, or everything that is wrong with it.
    pub(crate) fn validate(&self) -> Result<Query, Refusal> {
        let mut problems = Vec::new();
        let mut statuses = Vec::new();
        for word in self.status.iter().flat_map(|words| words.split(',')) {
            match status(word) {
                Some(status) => statuses.push(status),
                None => problems.push(FieldProblem::new("status", format!("must be of {}", status_words()))),
            }
        }
        let (limit, after) = RawPage { limit: self.limit.clone(), cursor: self.cursor.clone() }.read(&mut problems);
        let repo = self.repo.as_deref().filter(|repo| !repo.is_empty());
        let repo = repo.map(|repo| repo.parse::<GitUrl>().map_or_else(|_| repo.to_owned(), |url| url.canonical()));
        let filter = Filter { statuses, repo, by: self.by.clone(), releases: None };
        if problems.is_empty() { Ok(Query { filter, limit, after }) } else { Err(Refusal::BadInput(problems)) }
    }
}

impl RawPage {
    /// The page, or everything that is wrong with it.
    pub(crate) fn validate(&self) -> Result<(usize, Option<Place>), Refusal> {
        let mut problems = Vec::new();
        let page = self.read(&mut problems);
        if problems.is_empty() { Ok(page) } else { Err(Refusal::BadInput(problems)) }
    }

    fn read(&self, problems: &mut Vec<FieldProblem>) -> (usize, Option<Place>) {
        let limit = match self.limit.as_deref().map(str::parse) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
            Some(_) => {
                problems.push(FieldProblem::new("limit", format!("must be 1 to {MAX_LIMIT}")));
                DEFAULT_LIMIT
            }
        };
        let after = self.cursor.as_deref().map(Place::from_cursor);
        if after == Some(None) {
            problems.push(FieldProblem::new("cursor", "is not a cursor of this API: take next_cursor as it is, or start without"));
        }
        (limit, after.flatten())
    }
}

const STATUSES: [RunStatus; 6] =
    [RunStatus::Running, RunStatus::AwaitingApproval, RunStatus::Success, RunStatus::Failed, RunStatus::Cancelled, RunStatus::Unknown];

fn status(word: &str) -> Option<RunStatus> {
    STATUSES.into_iter().find(|status| status.as_str() == word)
}

fn status_words() -> String {
    STATUSES.map(RunStatus::as_str).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(pairs: &[(&str, &str)]) -> RawQuery {
        serde_json::from_value(pairs.iter().map(|(k, v)| ((*k).to_owned(), serde_json::Value::from(*v))).collect()).unwrap()
    }

    #[test]
    fn bad_queries_name_their_field() {
        for (pairs, told) in [
            (vec![("limit", "0")], "limit: must be 1 to 200"),
            (vec![("limit", "1000000000")], "limit: must be 1 to 200"),
            (vec![("limit", "-1")], "limit: must be 1 to 200"),
            (vec![("limit", "ten")], "limit: must be 1 to 200"),
            (vec![("status", "done")], "status: must be of running, awaiting_approval, success, failed, cancelled, unknown"),
            (vec![("cursor", "abc")], "cursor: is not a cursor of this API: take next_cursor as it is, or start without"),
        ] {
            assert_eq!(raw(&pairs).validate().unwrap_err().text(), told, "{pairs:?}");
        }
        let both = raw(&[("limit", "0"), ("status", "x")]).validate().unwrap_err();
        assert!(matches!(both, Refusal::BadInput(problems) if problems.len() == 2));
    }

    #[test]
    fn a_good_query_is_understood() {
        let query =
            raw(&[("limit", "200"), ("status", "failed,unknown"), ("repo", "https://Git.example/Acme/Infra.git")]).validate().unwrap();
        assert_eq!(query.limit, 200);
        assert_eq!(query.filter.statuses, [RunStatus::Failed, RunStatus::Unknown]);
        assert_eq!(query.filter.repo.as_deref(), Some("git.example/Acme/Infra"));
        assert_eq!(raw(&[]).validate().unwrap().limit, 50);
    }

    #[test]
    fn a_repository_is_meant_by_the_end_of_its_path() {
        for (wanted, meant) in
            [("git.example/acme/infra", true), ("acme/infra", true), ("infra", true), ("fra", false), ("acme", false), ("(a+)+$", false)]
        {
            assert_eq!(is_repo("git.example/acme/infra", wanted), meant, "{wanted}");
        }
    }
}
