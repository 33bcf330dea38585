//! Telling the outside what becomes of runs of orders: the comment on a pull request, the callbacks at the end.
//!
//! A loop follows the views ([`follow`]); what was told stands in the bucket NOTICES, so that of several gateways one tells
//! and none tells twice. A forge or a receiver that is away delays what is told and never the run. `callback` is where an
//! end is told, `event` what is said there, `deliver` the request; the comment itself is the forge's business.

mod callback;
mod comment;
mod deliver;
mod event;
mod follow;

pub(crate) use callback::{Callback, Method, Sealer};
pub(crate) use comment::Commenting;
pub(crate) use follow::{Means, Telling};
