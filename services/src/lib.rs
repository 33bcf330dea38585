//! What a repository says about its services, which of them a change touches, and what identifies a deployed service.
//!
//! Pure: texts and lists in, decisions with their reasons out. Reading the repository, running commands and speaking with
//! hosts is the worker's part; which job may start when, the scheduler's.
//!
//! The map: [`mapping`] and [`manifest`] are files of the repository, [`layout`] its services, [`selection`] those that a run
//! is about. [`hash`] and [`artifacts`] tell whether a service has changed, [`environment`] and [`placeholder`] what it is
//! deployed with, [`release`] which version a release gets. [`diagnosis`] tells what went wrong, [`backoff`] when to try again.

pub mod artifacts;
pub mod backoff;
pub mod diagnosis;
pub mod environment;
pub mod glob;
pub mod hash;
pub mod layout;
pub mod manifest;
pub mod mapping;
pub mod placeholder;
pub mod release;
pub mod selection;
mod spelling;
mod told;
mod yaml;

pub use yaml::{FileProblem, FileProblems};
