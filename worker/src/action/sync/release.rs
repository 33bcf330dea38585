//! Under construction.

use crate::attempt::stage::Stage;
use proto::{
    RunId,
    git::CommitId,
    message::{AttemptOutcome, Failure},
    sync::SyncSpec,
    terraform::SecretBundle,
};

pub(crate) async fn release(stage: &mut Stage, spec: &SyncSpec, commit: &CommitId, run: RunId, secrets: SecretBundle) -> AttemptOutcome {
    let _ = (stage, spec, commit, run, secrets);
    let failure = Failure { kind: "not_built".to_owned(), phase: "release".to_owned(), message: String::new(), next_action: String::new() };
    AttemptOutcome::Failed { failure }
}
