//! The gateway's HTTP API as its client sees it: requests, answers, errors, live logs.
//!
//! Nothing here prints. What the answers look like to a person is in `output`; which request a verb makes is in `verbs`.

mod client;
mod credentials;
mod jobs;
mod log_stream;
mod run;
mod sse;

pub(crate) use client::{Client, Page};
pub(crate) use credentials::token;
pub(crate) use jobs::jobs;
pub(crate) use log_stream::{LogEvent, LogStream};
pub(crate) use run::{KeyList, Known, LockList, ReleasePage, Run, RunPage, WorkerList};
