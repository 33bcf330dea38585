//! Under construction.

use crate::attempt::stage::Stage;
use proto::{
    message::{AttemptOutcome, Failure},
    sync::{ServiceState, ServiceSync},
    terraform::SecretBundle,
};

pub(crate) async fn perform(stage: &mut Stage, sync: &ServiceSync, last: Option<&ServiceState>, secrets: SecretBundle) -> AttemptOutcome {
    let _ = (stage, sync, last, secrets);
    let failure = Failure { kind: "not_built".to_owned(), phase: "sync".to_owned(), message: String::new(), next_action: String::new() };
    AttemptOutcome::Failed { failure }
}
