//! Runs of orders under deaths: a diamond, and beside it an order that need not succeed and fails, with one that comes after
//! it. Every order writes down what it does, so that what was done can be held against what is said about it.
//!
//! - [`graph`] is what is submitted; [`points`] is the table of moments (C23–C30); [`play`] plays one of them;
//! - [`oracle`] holds the effects, the log and the end view against one another.

pub mod graph;
pub mod oracle;
pub mod play;
pub mod points;
