//! Every key there is, looked up by its dotted name and by the name of its variable.
//!
//! Built from the description of the tree, once per load. A secret key `x` also has the door `x_file`, unless it stands in a
//! section that may repeat; such sections have no variables either.

use std::collections::BTreeMap;

use super::describe::{Described, EACH, Entry};
use super::kind::Kind;
use super::spelling;
use super::tree::Settings;

/// What a written key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The key itself.
    Value(Kind),
    /// `x_file`: the path of a file with the value of the secret `x`.
    FileOfSecret,
    /// A section, which takes no value.
    Section,
    /// A section that may repeat.
    Sections,
}

/// The known keys.
#[derive(Debug)]
pub(super) struct Catalog {
    keys: BTreeMap<String, Meaning>,
    /// Variable name → key.
    variables: BTreeMap<String, String>,
}

/// What variables of ours begin with. `NAVVY_URL` and other single-underscore names are not settings.
pub(super) const VARIABLE_PREFIX: &str = "NAVVY__";

impl Catalog {
    pub(super) fn new() -> Self {
        let mut keys = BTreeMap::new();
        for entry in entries() {
            match entry {
                Entry::Section { key, .. } => {
                    if let Some(of) = key.strip_suffix(EACH) {
                        keys.insert(of.to_owned(), Meaning::Sections);
                    }
                    keys.insert(key, Meaning::Section);
                }
                Entry::Key { key, kind, .. } => {
                    if kind == Kind::Secret && !key.contains(EACH) {
                        keys.insert(format!("{key}_file"), Meaning::FileOfSecret);
                    }
                    keys.insert(key, Meaning::Value(kind));
                }
            }
        }
        keys.remove("");
        let settable = keys.iter().filter(|(key, meaning)| is_value(**meaning) && !key.contains(EACH));
        let variables = settable.map(|(key, _)| (variable(key), key.clone())).collect();
        Self { keys, variables }
    }

    /// What `key` stands for; `None` when nobody knows it. A key of an item is that of every item: `sources[3].id`.
    pub(super) fn meaning(&self, key: &str) -> Option<Meaning> {
        self.keys.get(&of_each(key)).copied()
    }

    /// The key that a variable sets.
    pub(super) fn key_of_variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The known key that `key` is probably meant to be: near in spelling, or the same name in another section.
    pub(super) fn suggest_key(&self, key: &str) -> Option<&str> {
        let key = of_each(key);
        // In a section that may repeat only its own keys are meant.
        let section = key.split_once(EACH).map(|(section, _)| format!("{section}{EACH}"));
        let fits = |known: &str| section.as_ref().map_or(!known.contains(EACH), |section| known.starts_with(section.as_str()));
        let settable = || self.keys.iter().filter(|(known, meaning)| is_value(**meaning) && fits(known)).map(|(known, _)| known.as_str());
        let last = key.rsplit('.').next().unwrap_or(&key);
        spelling::nearest(&key, settable()).or_else(|| settable().find(|known| known.rsplit('.').next() == Some(last)))
    }

    /// The known variable that `name` is probably meant to be.
    pub(super) fn suggest_variable(&self, name: &str) -> Option<&str> {
        let upper = name.to_ascii_uppercase();
        let exact = self.variables.get_key_value(&upper).map(|(known, _)| known.as_str());
        exact.or_else(|| spelling::nearest(&upper, self.variables.keys().map(String::as_str)))
    }
}

fn is_value(meaning: Meaning) -> bool {
    match meaning {
        Meaning::Value(_) | Meaning::FileOfSecret => true,
        Meaning::Section | Meaning::Sections => false,
    }
}

/// The key with the number of each item taken out: `sources[3].id` → `sources[].id`.
fn of_each(key: &str) -> String {
    match key.split_once('[').and_then(|(before, rest)| Some((before, rest.split_once(']')?))) {
        Some((before, (number, after))) if number.bytes().all(|b| b.is_ascii_digit()) => format!("{before}{EACH}{after}"),
        Some(_) | None => key.to_owned(),
    }
}

/// The whole description, in the order of the source.
pub(super) fn entries() -> Vec<Entry> {
    let mut out = Vec::new();
    Settings::describe("", "", &mut out);
    out
}

/// The variable that sets `key`: `worker.tools.dir` → `NAVVY__WORKER__TOOLS__DIR`.
pub(super) fn variable(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_meanings() {
        let catalog = Catalog::new();
        let table = [
            ("data_dir", Some(Meaning::Value(Kind::Path))),
            ("worker.tools", Some(Meaning::Section)),
            ("worker.tools.may_download", Some(Meaning::Value(Kind::Switch))),
            ("nats.password", Some(Meaning::Value(Kind::Secret))),
            ("nats.password_file", Some(Meaning::FileOfSecret)),
            ("nats.creds_file", Some(Meaning::Value(Kind::Path))),
            ("nats.url_file", None),
            ("sources", Some(Meaning::Sections)),
            ("sources[12].id", Some(Meaning::Value(Kind::Text))),
            ("sources[0].webhook_secret_file", None),
            ("sources[x].id", None),
            ("sources.id", None),
            ("", None),
        ];
        for (key, expected) in table {
            assert_eq!(catalog.meaning(key), expected, "{key}");
        }
    }

    #[test]
    fn every_variable_names_one_key() {
        let catalog = Catalog::new();
        let settable = catalog.keys.iter().filter(|(key, meaning)| is_value(**meaning) && !key.contains(EACH)).count();
        assert_eq!(catalog.variables.len(), settable);
        assert_eq!(catalog.key_of_variable("NAVVY__GIT__ALLOWED_HOSTS"), Some("git.allowed_hosts"));
        assert_eq!(catalog.key_of_variable("NAVVY__git__ALLOWED_HOSTS"), None);
    }

    #[test]
    fn misspelt_names_get_a_suggestion() {
        let catalog = Catalog::new();
        let keys = [
            ("gateway.listne", Some("gateway.listen")),
            ("slots", Some("worker.slots")),
            ("scheduler.heartbeat", Some("worker.heartbeat")),
            ("colour.of.the.wind", None),
            ("sources[1].brnch", Some("sources[].branch")),
            ("sources[1].listen", None),
        ];
        for (key, expected) in keys {
            assert_eq!(catalog.suggest_key(key), expected, "{key}");
        }
        assert_eq!(catalog.suggest_variable("NAVVY__GATWAY__LISTEN"), Some("NAVVY__GATEWAY__LISTEN"));
        assert_eq!(catalog.suggest_variable("NAVVY__nats__url"), Some("NAVVY__NATS__URL"));
    }
}
