//! The layout as a table for `docs/reference/streams.md`. A test compares the page with it, so that neither can change alone.

use super::Layout;
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use std::fmt::Write as _;
use std::time::Duration;

/// The table in Markdown.
pub fn table(layout: &Layout) -> String {
    let mut out = String::from("| stream | subjects | kept | written by | consumers | why |\n|---|---|---|---|---|---|\n");
    for wanted in layout.wanted() {
        let config = &wanted.config;
        let consumers: Vec<String> =
            wanted.consumers.iter().map(|c| format!("`{}` of `{}`", c.name.as_deref().unwrap_or_default(), c.filter_subject)).collect();
        let subjects: Vec<String> = config.subjects.iter().map(|s| format!("`{s}`")).collect();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} | {} |",
            config.name,
            subjects.join(", "),
            kept(config),
            wanted.writer,
            if consumers.is_empty() { "none".to_owned() } else { consumers.join(", ") },
            wanted.why,
        );
    }
    out
}

fn kept(config: &Config) -> String {
    let mut kept = match (config.retention, config.max_age) {
        (RetentionPolicy::WorkQueue, _) => "until acknowledged".to_owned(),
        (RetentionPolicy::Limits | RetentionPolicy::Interest, Duration::ZERO) => "always".to_owned(),
        (RetentionPolicy::Limits | RetentionPolicy::Interest, age) => span(age),
    };
    if config.max_messages_per_subject == 1 {
        kept.push_str(", the last of each key");
    }
    if !config.duplicate_window.is_zero() {
        let _ = write!(kept, "; repeats known for {}", span(config.duplicate_window));
    }
    kept
}

fn span(age: Duration) -> String {
    match age.as_secs() {
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_streams_shows_the_layout_as_it_is() {
        let page = include_str!("../../../docs/reference/streams.md");
        let made = table(&Layout::default());
        assert!(page.contains(&made), "docs/reference/streams.md must contain this table:\n{made}");
    }
}
