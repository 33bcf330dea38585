//! Crash tests: a process dies at a named point, is started again, and an oracle outside looks whether anything was lost
//! or done twice.
//!
//! - [`points`] is the table: every moment of a run at which a process can die, and what must follow;
//! - [`play`] plays one of them on a [`lane`], a fleet of real processes; [`matrix`] plays all of them;
//! - [`effects`] and [`store`] are what can be seen from outside; [`oracle`] holds one against the other;
//! - [`orders`] is the same for runs of orders: moments, play and oracle of their own, on the same lanes;
//! - [`syncs`] is the same for syncs of services, versions and releases;
//! - [`report`] says what came of it, for people and for programs.
//!
//! Two programs belong here: `fake-terraform`, which writes down every effect, and `navvy-crash`, which is `navvy` with
//! points to die at. `navvy-chaos` is the same oracle under random faults, without points.

pub mod effects;
pub mod family;
pub mod lane;
pub mod matrix;
pub mod oracle;
pub mod orders;
pub mod play;
pub mod points;
pub mod report;
pub mod store;
pub mod syncs;
