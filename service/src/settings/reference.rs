//! The reference page of the configuration, written from the description of the tree.
//!
//! `docs/reference/configuration.md` is this text; a test fails when they differ, and rewrites the page when
//! `UPDATE_GOLDEN=1` is set.

use std::fmt::Write;

use super::catalog::{entries, variable};
use super::describe::{EACH, Entry};
use super::kind::Kind;
use super::layers::text_at;
use super::tree::{Followed, Notify, Settings};

const INTRODUCTION: &str = "\
# Configuration

<!-- Written by a test from service/src/settings/tree. Change it there, then: UPDATE_GOLDEN=1 cargo test -p service reference -->

Every role reads the same settings. Later layers win:

1. built-in defaults
2. the TOML file of `--config FILE` (no file is read without it)
3. the environment: `NAVVY__SECTION__KEY`, such as `NAVVY__GATEWAY__LISTEN=0.0.0.0:8080`
4. flags

Rules:

- A key or a `NAVVY__…` variable that nobody knows is refused, with the nearest known name. `NAVVY_URL`, `NAVVY_TOKEN`
  and other names with a single underscore belong to the client verbs and are not settings.
- **time**: numbers with units `ms`, `s`, `m`, `h`, `d`: `45s`, `1h30m`, `90d`. A bare number and zero are refused;
  a key that is absent means what its text says.
- **list**: a TOML list in the file; comma separated in the environment and in flags. A layer replaces the list of the
  layer below.
- **secret**: shown as `***` everywhere. For every secret key `x` there is also `x_file` (in the environment
  `NAVVY__…__X_FILE`): the path of a file whose content, without one newline at its end, is the value. Both at once, a
  missing file and an empty file are refused.
- An empty value is refused, except that an empty variable of a list means an empty list.
- `REGISTRY_HOST`, `ALLOWED_ORIGINS`, `OTEL_EXPORTER_OTLP_ENDPOINT` and `DEPLOY_TIMEOUT` are read too; `NAVVY__…` is stronger.
  `GIT_REPO_URL`, `GIT_BRANCH` and `WEBHOOK_SECRET` are read where there is no `[[sources]]`.
- A section in double brackets may repeat, and stands in the file only: it has no variables and no flags.

`navvy config check` says what is wrong and shows every value with the place it came from.
";

/// The page as Markdown.
pub fn reference_markdown() -> String {
    // One of each section that may repeat, for its defaults.
    let shown = Settings { sources: vec![Followed::default()], notify: vec![Notify::default()], ..Settings::default() };
    let defaults = serde_json::to_value(shown).unwrap_or_default();
    let mut page = INTRODUCTION.to_owned();
    for entry in entries() {
        match entry {
            Entry::Section { key, about } => heading(&mut page, &key, about),
            Entry::Key { key, kind, doc } => {
                row(&mut page, &key, kind, (doc, &text_at(&defaults, &key.replace(EACH, "[0]"))));
            }
        }
    }
    page
}

fn heading(page: &mut String, key: &str, about: &str) {
    let title = match key.strip_suffix(EACH) {
        Some(of) => format!("`[[{of}]]`"),
        None if key.is_empty() => "Top level".to_owned(),
        None => format!("`[{key}]`"),
    };
    let table = "| key | kind | default | meaning | variable |\n|---|---|---|---|---|";
    let _ = write!(page, "\n## {title}\n\n{}\n\n{table}\n", about.trim());
}

fn row(page: &mut String, key: &str, kind: Kind, (doc, default): (&str, &str)) {
    let default = if default.is_empty() { "–".to_owned() } else { format!("`{default}`") };
    let name = key.rsplit('.').next().unwrap_or(key);
    let kind = kind.word();
    let variable = if key.contains(EACH) { "–".to_owned() } else { format!("`{}`", variable(key)) };
    let doc = doc.trim().replace('|', "\\|");
    let _ = writeln!(page, "| `{name}` | {kind} | {default} | {doc} | {variable} |");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/configuration.md");
        let page = reference_markdown();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &page).expect("the page can be written");
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        let fresh = page == stored;
        assert!(fresh, "docs/reference/configuration.md is old; run: UPDATE_GOLDEN=1 cargo test -p service reference");
    }

    #[test]
    fn every_key_has_a_meaning() {
        for entry in entries() {
            if let Entry::Key { key, doc, .. } = entry {
                assert!(doc.trim().ends_with(['.', '?', ')']), "{key}: {doc:?}");
            }
        }
    }
}
