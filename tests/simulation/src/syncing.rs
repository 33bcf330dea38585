//! How a worker plays the jobs of a run of syncs: it looks, tags, and brings a service up to date after it has asked twice. As
//! in the crate `worker`: what was allowed to start is never started again.

use crate::{shell::planted::wrong, sources, worker::Worker};
use proto::{
    AttemptNo,
    git::CommitId,
    ids::AttemptId,
    message::{AttemptOutcome, Failure, JobResult},
    sync::{PAUSED, ServiceSync, SyncAction, SyncResult, SyncSpec},
};
use std::{cell::Cell, rc::Rc};

fn paused() -> AttemptOutcome {
    let failure = Failure { kind: PAUSED.to_owned(), phase: "sync".to_owned(), message: "too soon".to_owned(), next_action: String::new() };
    AttemptOutcome::Failed { failure }
}

/// The identity of what a run deploys.
pub(crate) fn hash(sync: &ServiceSync) -> String {
    format!("v2:{}", sync.run)
}

impl Worker {
    /// Looks at the repository.
    pub(crate) async fn select(&self, id: AttemptId, spec: &SyncSpec, bound: Option<&CommitId>) -> AttemptOutcome {
        let selection = sources::selection(&self.ctx.core, spec, bound);
        self.run(id, false, "", &selection.commit).await;
        self.brought(id, JobResult::Selection(Box::new(selection)))
    }

    /// Makes a release.
    pub(crate) async fn release(&self, id: AttemptId, commit: &CommitId) -> AttemptOutcome {
        self.run(id, false, "", commit).await;
        self.brought(id, JobResult::Release(sources::release(commit)))
    }

    /// A sync from its permit to its end.
    pub(crate) async fn sync(&self, id: AttemptId, nonce: &str, sync: &ServiceSync, told: &Rc<Cell<bool>>) -> AttemptOutcome {
        if self.is_too_soon(id) {
            return paused();
        }
        self.note_effects(id, true);
        if !wrong!(NoLastWord)
            && let Err(reason) = self.last_word(id, nonce, told).await
        {
            self.note_effects(id, false);
            return AttemptOutcome::NotStarted { reason };
        }
        self.run(id, true, "", &sync.commit).await;
        self.synced(id, sync)
    }

    /// What is deployed could not be read before; mostly that stays so for a while.
    fn is_too_soon(&self, id: AttemptId) -> bool {
        let core = &self.ctx.core;
        if id.attempt == AttemptNo::FIRST { !core.closing.get() && core.chance(80) } else { core.chance(850) }
    }

    /// How a sync ended, as its worker can tell.
    pub(crate) fn synced(&self, id: AttemptId, sync: &ServiceSync) -> AttemptOutcome {
        let result = SyncResult { action: SyncAction::Updated, details: String::new(), hash: Some(hash(sync)), untouched: false };
        self.brought(id, JobResult::Sync(result))
    }

    /// The end of the tool, with what it brought if it ended well.
    fn brought(&self, id: AttemptId, result: JobResult) -> AttemptOutcome {
        match self.ended(id) {
            AttemptOutcome::Succeeded { .. } => AttemptOutcome::Succeeded { result },
            other @ (AttemptOutcome::Failed { .. }
            | AttemptOutcome::NotStarted { .. }
            | AttemptOutcome::Stopped { .. }
            | AttemptOutcome::Unclear { .. }) => other,
        }
    }
}
