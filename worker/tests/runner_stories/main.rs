//! Stories about runners: real processes, real terminals, real signals, no time asserted.
//!
//! `kit` starts a command in a runner and hears it to its end, `orders_kit` a shell order; the stories are ordered by what they are
//! about.

mod end;
mod kit;
mod orders;
mod orders_contained;
mod orders_kit;
mod orders_stopped;
mod output;
mod start;
mod syncs;
