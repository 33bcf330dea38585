//! The rules of the section of the forge: GitHub.
//!
//! A rule says why it is there; the numbers that are limits of ours stand at the top.

use std::time::Duration;

use super::{Findings, address};
use crate::settings::secret::Secret;
use crate::settings::tree::GitHub;

/// Shortest secret of a webhook, in characters: 128 bits as hexadecimal digits.
const SHORTEST_SECRET: usize = 32;
/// Shortest pause between two edits of a comment. GitHub allows 80 changes a minute, for everybody together.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn github(github: &GitHub, found: &mut Findings) {
    let fix = "write https://api.github.com, or https://HOST/api/v3; http:// only to this machine";
    found.url("gateway.github.api_url", address::guarded_url(&github.api_url).err(), fix);
    let bare = !github.api_url.contains(['?', '#']);
    let rest = ("paths are appended to it", "write it without ? and #");
    found.require(bare, "gateway.github.api_url", "has a query or a fragment", rest);
    let travels = |s: &Secret| s.expose().bytes().all(|b| b.is_ascii_graphic());
    let header = ("it travels in a header", "copy it again; it is one word, such as ghp_… or github_pat_…");
    found.require(
        github.token.as_ref().is_none_or(travels),
        "gateway.github.token",
        "has a blank or a character that no token has",
        header,
    );
    secret("gateway.github.webhook_secret", github.webhook_secret.as_ref(), found);
    secret("gateway.github.webhook_secret_previous", github.webhook_secret_previous.as_ref(), found);
    let pair = ("there is nothing that it came before", "set gateway.github.webhook_secret, or remove it");
    let in_turn = github.webhook_secret_previous.is_none() || github.webhook_secret.is_some();
    found.require(in_turn, "gateway.github.webhook_secret_previous", "is set without gateway.github.webhook_secret", pair);
    let interval = github.edit_interval;
    let limit = ("GitHub refuses more than 80 changes a minute", "write 1s or more");
    found.require(*interval >= SHORTEST_INTERVAL, "gateway.github.edit_interval", format!("{interval} is too short"), limit);
}

fn secret(key: &str, secret: Option<&Secret>, found: &mut Findings) {
    let long = secret.is_none_or(|s| s.expose().chars().count() >= SHORTEST_SECRET);
    let why = ("it can be guessed, and whoever has it can speak as GitHub", "make one with: openssl rand -hex 32");
    found.require(long, key, format!("has fewer than {SHORTEST_SECRET} characters"), why);
}
