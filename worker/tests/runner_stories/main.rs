//! Stories about runners: real processes, real terminals, real signals, no time asserted.
//!
//! `kit` starts a command in a runner and hears it to its end; the stories are ordered by what they are about.

mod end;
mod kit;
mod output;
mod start;
