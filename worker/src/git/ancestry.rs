//! Which of two commits comes after the other. Told from `full.git` only: `tip.git` holds commits without their history.

use super::cache::Cache;
use super::entry::{Exchange, blocking};
use super::store::Store;
use super::{GitError, Sink, Source};
use crate::file_lock::Hold;
use proto::git::{CommitId, GitRef};

impl Cache {
    /// Whether `newer` is a later commit than `older` on the same line of history; `None` if that cannot be told, because
    /// one of them is on no branch and no tag any more. `hint` is one more reference to look at.
    ///
    /// # Errors
    /// As [`Cache::fetch`]. Fetches all branches and tags if the cache does not know both commits.
    pub async fn comes_after(
        &self,
        source: Source<'_>,
        newer: &CommitId,
        older: &CommitId,
        hint: Option<&GitRef>,
        sink: &mut Sink<'_>,
    ) -> Result<Option<bool>, GitError> {
        self.settings().allowed.permits(source.url)?;
        let entry = self.entry(source);
        let lock = entry.hold(Hold::Read, self.settings()).await?;
        if let Ok(Some(told)) = related(entry.full(), newer, older).await {
            entry.touch();
            return Ok(Some(told));
        }
        drop(lock);
        let remote = self.remote(source).await?;
        entry.bring_everything(Exchange { remote: &remote, sink }, hint).await?;
        entry.touch();
        let _lock = entry.hold(Hold::Read, self.settings()).await?;
        related(entry.full(), newer, older).await
    }
}

async fn related(store: Store, newer: &CommitId, older: &CommitId) -> Result<Option<bool>, GitError> {
    let (newer, older) = (newer.clone(), older.clone());
    blocking(move || {
        let (Some(newer), Some(older)) = (store.find(&newer)?, store.find(&older)?) else { return Ok(None) };
        let repository = store.open()?;
        let after = repository.graph_descendant_of(store.oid(&newer)?, store.oid(&older)?);
        after.map(Some).map_err(|error| store.damaged(&error))
    })
    .await
}
