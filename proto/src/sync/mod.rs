//! The vocabulary of the sync action: what a source is, what a run of syncs was asked to do, which services that turned out to
//! be, and how each stands.
//!
//! Values here are already valid. What a repository says about its services, and which of them a change touches, is decided in
//! the crate `services`; what may happen next, in `domain`.

mod names;
mod release;
mod selection;
mod spec;
mod state;

pub use names::{BadSyncName, Environment, ServiceId};
pub use release::{Release, ReleaseKind, ReleaseOrder};
pub use selection::{
    Compared, ComposeTarget, DataFolder, DokployTarget, Domain, EnsuredSecret, Executor, MappingInForce, Native, Selected, Selection,
    Skipped,
};
pub use spec::{Push, ServiceSync, SyncSpec, SyncWanted, deployment_id};
pub use state::{PAUSED, ServiceState, SourceState, SyncAction, SyncResult};
