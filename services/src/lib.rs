//! What a repository says about its services, which of them a change touches, and what identifies a deployed service.
//!
//! Pure: texts and lists in, decisions with their reasons out. Reading the repository, running commands and speaking with
//! hosts is the worker's part; which job may start when, the scheduler's.

pub mod hash;
pub mod release;
