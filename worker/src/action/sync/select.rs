//! Under construction.

use crate::attempt::stage::Stage;
use proto::{
    git::CommitId,
    message::{AttemptOutcome, Failure},
    sync::SyncSpec,
    terraform::SecretBundle,
};

pub(crate) async fn select(
    stage: &mut Stage,
    spec: &SyncSpec,
    commit: Option<CommitId>,
    last_good: Option<&str>,
    secrets: SecretBundle,
) -> AttemptOutcome {
    let _ = (stage, spec, commit, last_good, secrets);
    let failure = Failure { kind: "not_built".to_owned(), phase: "select".to_owned(), message: String::new(), next_action: String::new() };
    AttemptOutcome::Failed { failure }
}
