//! The terraform steps with the real terraform and a real state backend, one story per test.
//!
//! `site` is a checkout with everything around it, `plain` runs commands as plain processes, `servers` are what the tool
//! talks to.

mod apply;
mod failures;
mod plain;
mod plan;
mod registry;
mod servers;
mod site;
mod stops;
