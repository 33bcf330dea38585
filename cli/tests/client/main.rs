//! The client verbs of the real binary against a fake of the gateway's API: what they ask, what they print, how they end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod exit_codes;
mod fake;
mod logs;
mod orders;
mod releases;
mod source;
mod verbs;
