//! The sync action on this machine: what is to be synced (`select`), a release made of it (`release`), one service brought up
//! to date (`perform`).

mod changes;
mod perform;
mod release;
mod select;

pub(super) use perform::perform;
pub(super) use release::release;
pub(super) use select::{Known, select};
