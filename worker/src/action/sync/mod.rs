//! The sync action on this machine: what is to be synced (`select`), a release made of it (`release`), one service brought up
//! to date (`perform`, and `native` for the executors that deploy by themselves).

mod changes;
mod native;
mod perform;
mod release;
mod select;

pub(super) use perform::perform;
pub(super) use release::release;
pub(super) use select::{Known, select};
