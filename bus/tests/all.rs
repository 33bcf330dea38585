//! The crate against real nats-servers, one for each test, some of them killed in the middle. One program, because linking
//! is what costs here.

mod real;
mod support;
