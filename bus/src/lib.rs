//! The only crate that knows NATS: connecting, the streams and buckets, committing, consuming, objects, sealing, and a server
//! of our own for `navvy up` and for tests.
//!
//! What travels is in `proto`; what may happen next is decided elsewhere. Every call here is bounded in time and says
//! honestly whether something was stored, was not, or is unknown: see [`BusError`].
//!
//! The map: [`Bus`] gives every handle. `link` is the connection, `pull`, `scan`, `read` and `watch` are the ways to read,
//! `batch` and `commit` the ways to write all or none, `bucket` is a KV bucket, `layout` is what must exist, `users` is who
//! may do what.

mod artifacts;
mod asks;
mod batch;
mod bucket;
mod commit;
mod connect;
mod control;
mod dead_letters;
mod decisions;
mod deliveries;
mod delivery;
mod deployments;
mod error;
mod fleet;
mod floor;
mod inbox;
mod keys;
mod layout;
mod link;
mod locks;
mod logs;
mod nonces;
mod notices;
mod object;
mod pull;
mod read;
mod run_log;
mod scan;
mod seal;
mod sealed;
mod server;
mod services;
mod signs;
mod users;
mod views;
mod watch;
mod work;

pub use artifacts::{Artifacts, ObjectInfo};
pub use asks::{AskRequest, AskRequests, Asks};
pub use connect::{Bus, ConnectOptions};
pub use control::{Control, StopSignals};
pub use dead_letters::{Buried, DeadLetters};
pub use decisions::{Decision, Decisions};
pub use deliveries::{Deliveries, DeliveryPage, StoredDelivery};
pub use deployments::{DeploymentPage, Deployments};
pub use error::{BusError, Cause};
pub use fleet::{Fleet, FleetEvent, FleetWatch};
pub use floor::Floor;
pub use inbox::{Inbox, InboxDeliveries, InboxDelivery, ReplyBox, Stored};
pub use keys::Keys;
pub use layout::{Layout, STORED_PREFIX, table as layout_table};
pub use locks::{Held, Locks};
pub use logs::{LogChunk, Logs, Output, PendingAck, Wake, Written};
pub use nonces::Nonces;
pub use notices::Notices;
pub use object::ObjectReader;
pub use run_log::{Decided, Looked, RunLog};
pub use seal::{BlobKey, KeyPair, SealError, seal_to};
pub use sealed::SealedSecrets;
pub use server::{Server, ServerError, ServerOptions};
pub use services::Services;
pub use users::{Permissions, Role, User, Users};
pub use views::{ViewEvent, ViewWatch, Views};
pub use work::{Order, Orders, WorkQueue};
