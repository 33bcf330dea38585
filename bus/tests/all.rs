//! The crate against real nats-servers, one for each test, some of them killed in the middle. One program, because linking
//! is what costs here.

#![allow(clippy::unwrap_used, clippy::large_futures, reason = "whatever fails here is to end its test")]

mod real;
mod support;
