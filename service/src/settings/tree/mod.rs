//! The settings themselves: sections, keys, kinds, defaults and their meaning.
//!
//! The doc comments are the reference page (`docs/reference/configuration.md`): write them for an operator, with
//! units. What is absent is `None`, never 0. Rules between keys are in `settings::check`.

mod fleet;
mod gateway;
mod notify;
mod sync;
mod worker_sync;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::describe::section;
use super::listen::Listen;

pub use fleet::{Credentials, Git, Limits, Nats, Scheduler, Sources, Tools, Worker};
pub use gateway::{Gateway, GitHub, Orders};
pub use notify::{NOTIFY_EVENTS, Notify, NotifyFormat, event_matches};
pub use sync::{Followed, ForgeKind, Sync};
pub use worker_sync::WorkerSync;

section! {
    /// Keys that stand outside any section.
    Settings {
        /// Where this process keeps what must outlive it: generated secrets, the spool of undelivered reports, caches, and the store of `navvy up`. Created with mode 0700.
        data_dir: PathBuf = "./navvy-data".into(),
        log: Log = Log::default(),
        nats: Nats = Nats::default(),
        gateway: Gateway = Gateway::default(),
        scheduler: Scheduler = Scheduler::default(),
        worker: Worker = Worker::default(),
        git: Git = Git::default(),
        ops: Ops = Ops::default(),
        sync: Sync = Sync::default(),
        sources: Vec<Followed> = Vec::new(),
        notify: Vec<Notify> = Vec::new(),
    }
}

section! {
    /// What the process writes about itself, to stderr.
    Log {
        /// `text` for people, `json` (one object a line) for collectors.
        format: LogFormat = LogFormat::Text,
        /// Which lines are written: a level (`error`, `warn`, `info`, `debug`, `trace`) or a list of `target=level` directives, such as `info,gateway=debug`.
        level: String = "info".into(),
    }
}

section! {
    /// Watching the process: metrics, health, traces.
    Ops {
        /// Where a scheduler or worker serves `/metrics`, `/livez` and `/readyz`, without authentication. Absent: nowhere. (The gateway serves them at its own address.)
        listen: Option<Listen> = None,
        /// Address of an OTLP collector (HTTP, protobuf), such as `http://127.0.0.1:4318`; `/v1/traces` is appended. Absent: spans are not exported, but trace ids still travel with the work. Also read from `OTEL_EXPORTER_OTLP_ENDPOINT`.
        otlp_endpoint: Option<String> = None,
        /// The service name in exported spans.
        service_name: String = "navvy".into(),
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The words a setting may use.
    pub(super) const WORDS: &'static [&'static str] = &["text", "json"];
}

impl Settings {
    /// The folder of installed tool versions: `worker.tools.dir`, else `tools` in the data folder.
    pub fn tools_dir(&self) -> PathBuf {
        self.worker.tools.dir.clone().unwrap_or_else(|| self.data_dir.join("tools"))
    }

    /// The folder under which every attempt gets its own: `worker.work_dir`, else `work` in the data folder.
    pub fn work_dir(&self) -> PathBuf {
        self.worker.work_dir.clone().unwrap_or_else(|| self.data_dir.join("work"))
    }

    /// Where the generated admin token lies when `gateway.admin_token` is absent.
    pub fn admin_token_path(&self) -> PathBuf {
        self.data_dir.join("admin-token")
    }

    /// Where the generated sealing key lies when `scheduler.sealing_key` is absent.
    pub fn sealing_key_path(&self) -> PathBuf {
        self.data_dir.join("sealing-key")
    }
}
