//! `navvy orders`: a job of orders is checked here, or sent to a gateway and watched.
//!
//! What a job may say is decided in `domain::orders`, by the gateway as well as here.

mod document;
mod submit;
mod validate;
mod watch;

pub(super) use submit::submit;
pub(super) use validate::validate;
