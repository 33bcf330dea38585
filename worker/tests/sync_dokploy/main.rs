//! The executor `dokploy` against a stand-in for Dokploy: what is asked, what is not, and what comes of it.
//!
//! `stand_in` holds state and has Dokploy's own traps, `deployment` is one of it, `shapes` refuses what Dokploy would, `rig`
//! is a sync with its attempt and a clock that waits for nobody; the stories are ordered by what they are about. The system
//! stories of the same executor use these three too.

mod deployed;
mod deployment;
mod failing;
mod gate;
mod rig;
mod shapes;
mod stand_in;
mod vault;
