//! What may happen next. Pure: state in, decision out. No clock, no chance, no I/O, no async (`clippy.toml` of this crate
//! holds the line, and so does its list of dependencies).
//!
//! - [`run`]: a run, what can happen to it ([`run::Input`]), what is decided ([`run::Event`]), and what must be done in the
//!   outside world as a function of its state ([`run::Effect`]).
//! - [`dispatch`]: which orders go out next, when there are more than places.
//! - [`lock`]: who gets a lock next; sets are taken all or none.
//! - [`orders`]: what a run of orders (shell commands with dependencies) may be asked to do.
//! - [`terraform`]: what a terraform run may be asked to do.
//!
//! Doing is the scheduler's part (`scheduler`), saying is `proto`'s.

pub mod dispatch;
pub mod lock;
pub mod orders;
#[cfg(not(feature = "planted-bugs"))]
mod planted;
#[cfg(feature = "planted-bugs")]
pub mod planted;
pub mod run;
pub mod terraform;
