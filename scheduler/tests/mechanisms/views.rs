//! What nobody was shown is found.

use crate::ground::{CALM, Ground, probe};
use domain::run::Input;
use proto::view::RunStatus;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ended_before_anybody_was_shown_that_it_began_is_shown_by_the_next_scheduler() {
    let ground = Ground::new().await;
    let trigger = probe();
    let cancel = Input::Cancel { by: "ada".to_owned(), force: false };
    ground.wrote(&trigger, std::slice::from_ref(&cancel)).await;
    let _scheduler = ground.scheduler(CALM);
    ground.until_status(trigger.run, RunStatus::Cancelled).await;
    // And by the one beside it.
    let another = probe();
    ground.wrote(&another, &[cancel]).await;
    ground.until_status(another.run, RunStatus::Cancelled).await;
}
