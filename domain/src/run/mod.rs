//! A run: one accepted trigger turned into a graph of jobs.
//!
//! [`accept`] makes a run of a trigger; [`decide`] answers everything that can happen to it with events or a
//! [`Refusal`]; events are the only way the state changes ([`evolve`]), live and when a log is read back; what must be
//! done in the outside world is a function of the state ([`outstanding`]), so doing it again after a crash is the normal
//! case. Who does it is not known here. What everybody may see is a [`view()`]; what happened, a [`Narrator`] tells.

mod deadline;
mod decide;
mod effect;
mod event;
mod evolve;
mod input;
mod narrator;
mod newest;
mod notes;
mod orders;
mod plan_jobs;
mod postponed;
mod refusal;
mod report;
mod state;
mod syncs;
mod tally;
mod told;
mod turn;
mod view;

pub use decide::{accept, decide};
pub use effect::{Effect, due_after, outstanding, work_of};
pub use event::{Entry, Event, JobPlan, fold};
pub use evolve::evolve;
pub use input::{Input, Policy};
pub use narrator::Narrator;
pub use newest::Newer;
pub use notes::{Note, ServiceNote, ServiceOutcome, noted_service, noted_source};
pub use orders::{Missed, Order, Orders};
pub use refusal::Refusal;
pub use state::{Attempt, AttemptEnd, Cancel, Ending, Gate, GateState, Job, JobKind, JobState, LockState, Resolution, Run};
pub use syncs::{ServiceJob, Syncs};
pub use told::{Told, WHOLE_RUN};
pub use view::{jobs_page, status, view};

#[cfg(test)]
mod newest_tests;
#[cfg(test)]
mod notes_tests;
#[cfg(test)]
mod orders_tests;
#[cfg(test)]
mod postponed_tests;
#[cfg(test)]
mod review_tests;
#[cfg(test)]
mod syncs_storm;
#[cfg(test)]
mod syncs_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod told_tests;
