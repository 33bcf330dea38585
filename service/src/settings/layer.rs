//! One layer of settings: raw pairs in, checked values with their origin out.
//!
//! Here unknown keys are refused with a suggestion, `*_file` doors are opened, comma lists are split and every value
//! is checked against its kind. It is also the `config` source through which the layer joins the others.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use config::{ConfigError, Map, Source, Value, ValueKind};

use super::catalog::{Catalog, Meaning};
use super::kind::Kind;
use super::origin::Origin;
use super::problem::Problem;

/// The most bytes a secret file may have.
const SECRET_FILE_LIMIT: u64 = 64 * 1024;

/// The values of one layer, by dotted key.
#[derive(Clone, Default)]
pub(super) struct Layer {
    values: BTreeMap<String, (Value, Origin)>,
}

/// `Value` prints what it holds, so a layer prints its keys only.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.values.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect())
    }
}

impl Layer {
    /// Where this layer's value for `key` came from, if it has one.
    pub(super) fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|(_, origin)| origin)
    }

    /// Whether it has a section that may repeat.
    pub(super) fn has_items(&self) -> bool {
        self.values.keys().any(|key| key.contains('['))
    }

    /// Takes `key = value` as written at `origin`.
    pub(super) fn put(&mut self, catalog: &Catalog, key: &str, value: ValueKind, origin: Origin) -> Result<(), Problem> {
        match catalog.meaning(key) {
            None => Err(unknown_key(catalog, key, &origin)),
            Some(Meaning::Section) => Err(Problem::new(
                format!("{key} ({origin})"),
                "is a section",
                "a section takes keys, not a value",
                format!("write [{key}] and the keys below it"),
            )),
            Some(Meaning::Sections) => Err(Problem::new(
                format!("{key} ({origin})"),
                "is a section that may repeat",
                "each of them takes keys of its own",
                format!("write [[{key}]] and the keys below it"),
            )),
            Some(Meaning::Value(kind)) => self.put_value(key, kind, value, origin),
            Some(Meaning::FileOfSecret) => self.put_file(key, &value, origin),
        }
    }

    /// Takes a value from a layer where everything is text: lists are comma separated, and add up when repeated.
    pub(super) fn put_text(&mut self, catalog: &Catalog, key: &str, text: &str, origin: Origin) -> Result<(), Problem> {
        let Some(Meaning::Value(Kind::List)) = catalog.meaning(key) else {
            return self.put(catalog, key, ValueKind::String(text.to_owned()), origin);
        };
        let mut items = match self.values.remove(key) {
            Some((Value { kind: ValueKind::Array(items), .. }, _)) => items,
            Some(_) | None => Vec::new(),
        };
        items.extend(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from));
        self.put(catalog, key, ValueKind::Array(items), origin)
    }

    fn put_value(&mut self, key: &str, kind: Kind, value: ValueKind, origin: Origin) -> Result<(), Problem> {
        if let Some((what, fix)) = kind.refuse(&value) {
            return Err(Problem::new(format!("{key} ({origin})"), what, format!("this key takes {}", kind.word()), fix));
        }
        match self.values.get(key) {
            Some((_, before)) if before.read_from.is_some() || origin.read_from.is_some() => Err(Problem::new(
                format!("{key} ({origin})"),
                format!("{key} and {key}_file are both set"),
                "it is not clear which of them is meant",
                "keep one of them",
            )),
            Some(_) | None => {
                self.values.insert(key.to_owned(), (Value::new(None, value), origin));
                Ok(())
            }
        }
    }

    /// Takes the content of the file that `x_file` names as the value of the secret `x`.
    fn put_file(&mut self, key: &str, value: &ValueKind, mut origin: Origin) -> Result<(), Problem> {
        if let Some((what, fix)) = Kind::Path.refuse(value) {
            return Err(Problem::new(format!("{key} ({origin})"), what, "this key takes a path", fix));
        }
        let path = PathBuf::from(value.to_string());
        let content = read_secret(&path).map_err(|what| {
            Problem::new(
                format!("{key} ({origin})"),
                format!("the secret file {} {what}", path.display()),
                "a secret that cannot be read must not become an empty one",
                "check the path and the file",
            )
        })?;
        origin.read_from = Some(path);
        let secret = key.strip_suffix("_file").unwrap_or(key);
        self.put_value(secret, Kind::Secret, ValueKind::String(content), origin)
    }
}

/// The content of a secret file without one trailing newline, or what is wrong with it.
fn read_secret(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut text = String::new();
    file.take(SECRET_FILE_LIMIT + 1).read_to_string(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > SECRET_FILE_LIMIT {
        return Err(format!("has more than {SECRET_FILE_LIMIT} bytes"));
    }
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() { Err("is empty".into()) } else { Ok(text.to_owned()) }
}

fn unknown_key(catalog: &Catalog, key: &str, origin: &Origin) -> Problem {
    let fix = match catalog.suggest_key(key) {
        Some(near) => format!("did you mean {near}?"),
        None => "remove it, or see docs/reference/configuration.md for the keys there are".into(),
    };
    Problem::new(format!("{key} ({origin})"), "nobody knows this key", "a misspelt key would be ignored silently", fix)
}
