//! The section of notifications: who is told what becomes of runs.
//!
//! Only keys and their meaning; rules between keys are in `settings::check`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::settings::describe::section;
use crate::settings::secret::Secret;

section! {
    /// An address that is told what becomes of runs; `[[notify]]` may repeat. Each event of a run is told to each of them once, tried again for a day. What was over before a gateway first saw the id is not told.
    Notify {
        /// Its name, unique: lower-case letters, digits, `-` and `_`, at most 63. It stands in the store: a new id is told from then on.
        id: String = String::new(),
        /// Where to: https, or http to this machine. Its host must stand in `gateway.callback_hosts`. Redirects are not followed. The address of a chat is its own permission, so it is a secret.
        url: Option<Secret> = None,
        /// File with the address, instead of `url`. Read again when it changes.
        url_file: Option<PathBuf> = None,
        /// What is sent: an event for programs (CloudEvents, signed as Standard Webhooks ask for it), or a text for a chat.
        format: NotifyFormat = NotifyFormat::Cloudevents,
        /// File with the secret that signs: of `cloudevents`, where it is needed, and of `feishu`, where the bot checks signatures. Read again when it changes.
        secret_file: Option<PathBuf> = None,
        /// Which events, `*` stands for any part: `sync.`, `terraform.` and `orders.` with `succeeded`, `failed`, `timed_out` or `cancelled`; `run.unknown`, `run.awaiting_approval`, `release.made`.
        events: Vec<String> = vec!["*.failed".into(), "*.timed_out".into(), "run.unknown".into()],
        /// Only runs of these sources. Empty: of any, and runs without one.
        sources: Vec<String> = Vec::new(),
        /// Only runs into these environments. Empty: any, and runs without one.
        environments: Vec<String> = Vec::new(),
    }
}

/// What a notification looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifyFormat {
    #[default]
    Cloudevents,
    Slack,
    Discord,
    /// Lark too.
    Feishu,
}

impl NotifyFormat {
    /// The words a setting may use.
    pub(in crate::settings) const WORDS: &'static [&'static str] = &["cloudevents", "slack", "discord", "feishu"];
}

/// Every event there is.
pub const NOTIFY_EVENTS: [&str; 15] = [
    "sync.succeeded",
    "sync.failed",
    "sync.timed_out",
    "sync.cancelled",
    "terraform.succeeded",
    "terraform.failed",
    "terraform.timed_out",
    "terraform.cancelled",
    "orders.succeeded",
    "orders.failed",
    "orders.timed_out",
    "orders.cancelled",
    "run.unknown",
    "run.awaiting_approval",
    "release.made",
];

/// Whether a pattern of `events` means an event: `*` stands for any text, also none.
pub fn event_matches(pattern: &str, event: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == event };
    let Some(mut left) = event.strip_prefix(first) else { return false };
    let parts: Vec<&str> = rest.split('*').collect();
    let (last, middle) = parts.split_last().map_or(("", &[][..]), |(last, middle)| (*last, middle));
    for part in middle {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, event, matches) in [
            ("sync.failed", "sync.failed", true),
            ("sync.failed", "sync.failed.x", false),
            ("*", "run.unknown", true),
            ("sync.*", "sync.failed", true),
            ("sync.*", "release.made", false),
            ("*.failed", "orders.failed", true),
            ("*.failed", "sync.succeeded", false),
            ("*n*.*ed", "sync.failed", true),
            ("*x*", "sync.failed", false),
            ("s*s", "s", false),
            ("", "", true),
        ] {
            assert_eq!(event_matches(pattern, event), matches, "{pattern} {event}");
        }
    }
}
