//! What abbreviated commit ids mean. Looking one up takes the server and a copy of the whole history; the answer does not
//! change, so it is asked for once, however many orders wait for it.
//!
//! Nobody sees through this what their credentials do not show them: the commit itself is fetched with their own.

use crate::git::{Cache, GitError, Resolved, Sink, Source};
use proto::git::{CommitId, GitRef};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OnceCell;

/// Most ids that are remembered; then all are forgotten.
const MOST: usize = 4096;

/// The address of a repository, and the id as it was given.
type Abbreviated = (String, String);

/// Cheap to clone; one for each worker.
#[derive(Debug, Clone, Default)]
pub struct KnownCommits(Arc<Mutex<HashMap<Abbreviated, Arc<OnceCell<CommitId>>>>>);

/// Why there is nothing to remember.
enum NotKept {
    /// A branch or tag that looks like an id: it may lead elsewhere tomorrow.
    Name(Resolved),
    Failed(GitError),
}

impl KnownCommits {
    /// What a reference means, from the server unless it is an abbreviated id that is known.
    pub(super) async fn resolve(
        &self,
        git: &Cache,
        source: Source<'_>,
        reference: &GitRef,
        says: &mut Sink<'_>,
    ) -> Result<Resolved, GitError> {
        if !reference.may_be_short_commit() {
            return git.resolve(source, reference, says).await;
        }
        let cell = self.cell(source, reference);
        let ask = move || async move {
            match git.resolve(source, reference, says).await {
                Ok(Resolved { commit, name: None }) => Ok(commit),
                Ok(named) => Err(NotKept::Name(named)),
                Err(error) => Err(NotKept::Failed(error)),
            }
        };
        match cell.get_or_try_init(ask).await {
            Ok(commit) => Ok(Resolved { commit: commit.clone(), name: None }),
            Err(NotKept::Name(named)) => Ok(named),
            Err(NotKept::Failed(error)) => Err(error),
        }
    }

    fn cell(&self, source: Source<'_>, reference: &GitRef) -> Arc<OnceCell<CommitId>> {
        // A map of what is only remembered has no state that a panic could have left half-done.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        Arc::clone(known.entry((source.url.to_string(), reference.as_str().to_ascii_lowercase())).or_default())
    }
}
