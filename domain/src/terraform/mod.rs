//! What a terraform run may be asked to do: raw request in, valid spec out, once, at the edge.
//!
//! Here are the rules for fields and arguments: what is allowed is listed, and what is not listed is refused with its name.
//! Those for environment variables are in `proto::environment`, because the worker asks them again. Running the tool is the
//! worker's part.

mod arguments;
mod request;

pub use arguments::{ArgumentRefused, init_arguments, plan_arguments};
pub use request::{DeployRequest, FieldError, GitAuthRequest, SecretParts};
