//! What a terraform run may be asked to do: raw request in, valid spec out, once, at the edge.
//!
//! Here are the rules for fields, arguments and environment variables. What is allowed is listed; what is not listed is
//! refused with its name. Running the tool is the worker's part.

mod arguments;
mod environment;
mod request;

pub use arguments::{ArgumentRefused, init_arguments, plan_arguments};
pub use environment::{EnvRefused, check_env};
pub use request::{DeployRequest, FieldError, GitAuthRequest, SecretParts};
