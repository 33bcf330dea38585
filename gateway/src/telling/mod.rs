//! Telling the outside what becomes of runs: the comment on a pull request and the callbacks at the end of a run of orders, the
//! release page of a release, and whatever the hooks of the settings ask for (`notify`).
//!
//! A loop follows the views ([`follow`]); what was told stands in the bucket NOTICES, so that of several gateways one tells
//! and none tells twice (`once`). A forge or a receiver that is away delays what is told and never the run. `callback` is where an
//! end is told, `event` what is said there, `deliver` the request; the comment itself is the forge's business.

mod callback;
mod comment;
mod deliver;
mod event;
mod follow;
mod notify;
mod once;
mod release;

pub(crate) use callback::{Callback, Method, Sealer};
pub(crate) use comment::Commenting;
pub(crate) use follow::{Means, Telling};
pub use notify::NotifyFault;
pub(crate) use notify::hooks;
pub(crate) use release::Publishing;
