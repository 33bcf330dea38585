//! One turn at the forge: the calls of a [`Write`], and what came of them.

use super::{Pace, Wanted, Write, pace};
use crate::forge::{CommentId, Forge, ForgeError, comment::Identity, find_by_tag};
use jiff::Timestamp;
use proto::orders::PullRequest;

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This comment shows what it was to show.
    Written(CommentId),
    /// The comment that was to be changed is not there any more.
    Gone,
    Failed(ForgeError),
}

impl Outcome {
    /// Until when the forge takes no more calls from anybody with our token.
    pub fn quiet_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Failed(ForgeError::Limited { retry_after }) => Some(pace::later(now, *retry_after)),
            Self::Written(_) | Self::Gone | Self::Failed(_) => None,
        }
    }
}

/// Writes a comment. Ends within half a claim, so that whoever claims next finds what was written.
///
/// A comment that is not known is searched for first: the answer to an earlier try may have been lost.
pub async fn perform(forge: &dyn Forge, on: &PullRequest, identity: &Identity, write: Write, wanted: &Wanted, pace: &Pace) -> Outcome {
    let turn = async {
        match write {
            Write::Update(id) => update(forge, on, id, wanted).await,
            Write::FindOrCreate => find_or_create(forge, on, identity, wanted).await,
        }
    };
    let late = || Outcome::Failed(ForgeError::Unavailable("it took too long".to_owned()));
    tokio::time::timeout(pace.claim / 2, turn).await.unwrap_or_else(|_| late())
}

async fn find_or_create(forge: &dyn Forge, on: &PullRequest, identity: &Identity, wanted: &Wanted) -> Outcome {
    match find_by_tag(forge, on, identity).await {
        Ok(Some(found)) if found.body == wanted.body() => Outcome::Written(found.id),
        Ok(Some(found)) => update(forge, on, found.id, wanted).await,
        Ok(None) => forge.create(on, wanted.body()).await.map_or_else(Outcome::Failed, Outcome::Written),
        Err(error) => Outcome::Failed(error),
    }
}

async fn update(forge: &dyn Forge, on: &PullRequest, id: CommentId, wanted: &Wanted) -> Outcome {
    match forge.update(on, id, wanted.body()).await {
        Ok(()) => Outcome::Written(id),
        Err(ForgeError::NotThere(_)) => Outcome::Gone,
        Err(error) => Outcome::Failed(error),
    }
}
