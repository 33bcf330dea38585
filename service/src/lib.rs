//! How every role starts, shows itself and stops.
//!
//! Settings (defaults < file < environment < flags), telemetry, metrics, health, shutdown, the hardened HTTP
//! accept loop and generated secret files. Nothing here knows runs, jobs, NATS or a forge: this crate depends on
//! no other crate of the workspace, and what a probe, a route or a role *means* stays with its owner.

pub mod http;
pub mod metrics;
pub mod ops;
pub mod secret_file;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
