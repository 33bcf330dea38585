//! One order of one attempt, from its files to its outcome.

use super::{End, Order, Outcome, Progress, events_folder, judge, outcome, prepare, read_events};
use crate::attempt::stage::{Stage, StageError};
use proto::{message::Failure, orders::OrderEvent};

/// What came of an order.
#[derive(Debug)]
pub(crate) struct Performed {
    pub(crate) outcome: Outcome,
    /// What its commands told, masked. Also what those of a failed order told.
    pub(crate) events: Vec<OrderEvent>,
}

impl From<Outcome> for Performed {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, events: Vec::new() }
    }
}

/// Runs the order in the stage's current phase. Every secret that its commands could print must be known to the stage
/// before.
pub(crate) async fn perform(stage: &mut Stage, order: &Order<'_>) -> Performed {
    let phase = stage.current_phase().to_owned();
    let spec = match prepare(order, &stage.folder.log()) {
        Ok(spec) => spec,
        Err(failure) => {
            stage.narrate(&format!("Error: {}", failure.message));
            return Outcome::Failed(Failure { phase, ..failure }).into();
        }
    };
    if stage.stop_outcome().is_some() {
        return Outcome::Stopped { timed_out: stage.left().is_zero() }.into();
    }
    // An order changes the world: from here on it is never begun again by itself.
    if let Err(reason) = stage.start_effects().await {
        return Outcome::NotStarted { reason }.into();
    }
    let outcome = match stage.run_order(spec).await {
        Ok(exit) => {
            let progress = Progress { of: order.commands.len() as u32, ..Progress::read(order.scratch) };
            judge(&End::from(&exit), progress, &phase)
        }
        Err(StageError::Lost(error)) => {
            return Outcome::Unclear(outcome::unclear(&format!("the order was lost in the middle: {error}"))).into();
        }
        Err(error @ (StageError::NotStarted(_) | StageError::Runner(_) | StageError::Folder(_))) => {
            stage.narrate(&format!("Error: {error}"));
            return outcome::not_started(&stage.masked(&error.to_string()), &phase).into();
        }
    };
    if let Outcome::Failed(failure) = &outcome
        && failure.kind == "not_started"
    {
        stage.narrate(&format!("Error: {}", failure.message));
    }
    let told = read_events(&events_folder(order.scratch), &|text| stage.masked(text));
    for warning in &told.warnings {
        stage.narrate(warning);
    }
    Performed { outcome, events: told.events }
}
