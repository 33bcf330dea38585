//! The whole configuration of every role, as one typed tree.
//!
//! Layers, weakest first: built-in defaults, the TOML file, the environment (`NAVVY__SECTION__KEY`), flags. A key
//! that nobody knows is refused in every layer, because a misspelt limit that is silently ignored is no limit.
//! [`Layers::load`] reads and types; [`Settings::check`] then compares keys with one another. Nothing here reads the
//! process's own environment: the caller hands it in, so a test needs no global state.

mod catalog;
mod check;
mod describe;
mod environment;
mod kind;
mod layer;
mod layers;
mod listen;
mod origin;
mod period;
mod problem;
mod reference;
mod secret;
mod spelling;
mod tree;

#[cfg(test)]
mod tests;

pub use environment::environment;
pub use kind::Kind;
pub use layers::{Layers, Loaded};
pub use listen::{Listen, ListenError};
pub use origin::{LayerName, Origin, Row};
pub use period::{Period, PeriodError};
pub use problem::{Problem, SettingsError};
pub use reference::reference_markdown;
pub use secret::Secret;
pub use tree::{
    Credentials, Followed, ForgeKind, Gateway, Git, GitHub, Limits, Log, LogFormat, NOTIFY_EVENTS, Nats, Notify, NotifyFormat, Ops, Orders,
    Scheduler, Settings, Sources, Sync, Tools, Worker, WorkerSync, event_matches,
};
