//! Puts the layers together: defaults < file < environment < flags.
//!
//! Every layer is checked by itself and all problems are reported at once; only then the tree is typed. Comparing keys
//! with one another is `Settings::check`, which the caller runs after loading.

use std::io::Read;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use super::catalog::{Catalog, Meaning, VARIABLE_PREFIX, entries};
use super::describe::{EACH, Entry};
use super::environment::{FOREIGN, FOREIGN_SOURCE};
use super::layer::Layer;
use super::origin::{LayerName, Origin, Row};
use super::problem::{Problem, SettingsError};
use super::tree::Settings;

/// The most bytes a configuration file may have.
const FILE_LIMIT: u64 = 1024 * 1024;

/// The layers above the defaults.
#[derive(Clone, Default)]
pub struct Layers {
    /// The TOML file of `--config`; `None` reads no file.
    pub file: Option<PathBuf>,
    /// The environment: [`super::environment()`] of `std::env::vars_os()`. Variables that are not ours are passed over.
    pub env: Vec<(String, String)>,
    /// Dotted key and value of each flag, in order. A list key may repeat (the items add up); of others the last wins.
    pub flags: Vec<(String, String)>,
}

/// Environment and flags may hold secrets, so only the names are printed.
impl std::fmt::Debug for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let flags: Vec<_> = self.flags.iter().map(|(key, _)| key).collect();
        f.debug_struct("Layers").field("file", &self.file).field("flags", &flags).finish_non_exhaustive()
    }
}

/// The settings and where each of them came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed tree. Run [`Settings::check`] before using it.
    pub settings: Settings,
    /// Weakest first.
    layers: Vec<Layer>,
}

impl Layers {
    /// Reads, checks and types all layers.
    ///
    /// # Errors
    /// The file cannot be read or is no TOML; or keys or values are refused, all named at once.
    pub fn load(self) -> Result<Loaded, SettingsError> {
        let catalog = Catalog::new();
        let mut problems = Vec::new();
        let mut layers = Vec::new();
        if let Some(path) = &self.file {
            layers.push(file_layer(&catalog, path, &mut problems)?);
        }
        layers.push(foreign_layer(&catalog, &self.env, &mut problems));
        layers.extend(foreign_source(&catalog, &self.env, &layers, &mut problems));
        layers.push(environment_layer(&catalog, &self.env, &mut problems));
        layers.push(flag_layer(&catalog, &self.flags, &mut problems));
        if !problems.is_empty() {
            return Err(SettingsError::Refused(problems));
        }
        let typed = layers
            .iter()
            .fold(Config::builder(), |builder, layer| builder.add_source(layer.clone()))
            .build()
            .and_then(Config::try_deserialize::<Settings>);
        match typed {
            Ok(settings) => Ok(Loaded { settings, layers }),
            Err(error) => Err(SettingsError::Refused(vec![untyped(&error, &layers)])),
        }
    }
}

impl Loaded {
    /// Where the value of `key` came from; the default when no layer has it.
    pub fn origin(&self, key: &str) -> Origin {
        strongest(&self.layers, key).cloned().unwrap_or(Origin::DEFAULT)
    }

    /// Every key with its value and origin, in the order of the reference page.
    pub fn rows(&self) -> Vec<Row> {
        let tree = serde_json::to_value(&self.settings).unwrap_or_default();
        let keys = entries().into_iter().filter_map(|entry| match entry {
            Entry::Key { key, .. } => Some(key),
            Entry::Section { .. } => None,
        });
        let (each, plain): (Vec<_>, Vec<_>) = keys.partition(|key| key.contains(EACH));
        // Item by item, as they stand in the file.
        let counted = [("sources", self.settings.sources.len()), ("notify", self.settings.notify.len())];
        let items = counted.into_iter().flat_map(|(section, count)| {
            let keys = each.iter().filter(move |key| key.split_once(EACH).is_some_and(|(of, _)| of == section));
            (0..count).flat_map(move |n| keys.clone().map(move |key| key.replace(EACH, &format!("[{n}]"))))
        });
        plain.into_iter().chain(items).map(|key| Row { value: text_at(&tree, &key), origin: self.origin(&key), key }).collect()
    }
}

fn strongest<'a>(layers: &'a [Layer], key: &str) -> Option<&'a Origin> {
    layers.iter().rev().find_map(|layer| layer.origin(key))
}

/// The value at a dotted key of the serialised tree, as one line of text.
pub(super) fn text_at(tree: &serde_json::Value, key: &str) -> String {
    let found = tree.pointer(&format!("/{}", key.replace(['.', '['], "/").replace(']', "")));
    match found {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Array(items)) => items.iter().map(|item| item.as_str().unwrap_or_default()).collect::<Vec<_>>().join(","),
        Some(other @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_) | serde_json::Value::Object(_))) => other.to_string(),
    }
}

fn file_layer(catalog: &Catalog, path: &Path, problems: &mut Vec<Problem>) -> Result<Layer, SettingsError> {
    let unreadable = |source| SettingsError::Unreadable { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(FILE_LIMIT + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(SettingsError::TooLarge { path: path.to_owned(), limit: FILE_LIMIT });
    }
    let table = File::from_str(&text, FileFormat::Toml)
        .collect()
        .map_err(|error| SettingsError::Syntax { path: path.to_owned(), what: without_source_lines(&error) })?;
    let origin = Origin::new(LayerName::File, path.display().to_string());
    let mut walk = Walk { catalog, origin, layer: Layer::default(), problems };
    walk.table("", table);
    Ok(walk.layer)
}

/// The parser's message without the lines that quote the file, because a quoted line may hold a secret.
fn without_source_lines(error: &ConfigError) -> String {
    let text = error.to_string();
    let quotes = |line: &&str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|');
    text.lines().filter(|line| !quotes(line)).collect::<Vec<_>>().join(": ")
}

/// Walks a TOML table into a layer.
struct Walk<'a> {
    catalog: &'a Catalog,
    origin: Origin,
    layer: Layer,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn table(&mut self, section: &str, table: Map<String, Value>) {
        // A TOML table has no order here; sorted, the same file always gives the same list of problems.
        let sorted: std::collections::BTreeMap<_, _> = table.into_iter().collect();
        for (name, value) in sorted {
            let key = super::describe::join(section, &name);
            match (value.kind, self.catalog.meaning(&key)) {
                (ValueKind::Array(items), Some(Meaning::Sections)) => self.sections(&key, items),
                (ValueKind::Table(inside), None | Some(Meaning::Section | Meaning::Value(_) | Meaning::FileOfSecret)) => {
                    self.table(&key, inside);
                }
                // Of a section that may repeat this says so.
                (leaf, None | Some(Meaning::Sections | Meaning::Section | Meaning::Value(_) | Meaning::FileOfSecret)) => {
                    self.leaf(&key, leaf);
                }
            }
        }
    }

    fn sections(&mut self, section: &str, items: Vec<Value>) {
        for (n, item) in items.into_iter().enumerate() {
            let key = format!("{section}[{n}]");
            match item.kind {
                ValueKind::Table(inside) if !inside.is_empty() => self.table(&key, inside),
                // Says that it is a section.
                other => self.leaf(&key, other),
            }
        }
    }

    fn leaf(&mut self, key: &str, value: ValueKind) {
        let put = self.layer.put(self.catalog, key, value, self.origin.clone());
        self.problems.extend(put.err());
    }
}

fn foreign_layer(catalog: &Catalog, env: &[(String, String)], problems: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::default();
    for (name, key, form) in FOREIGN {
        let Some(value) = variable(env, name) else { continue };
        let origin = Origin::new(LayerName::Environment, name);
        problems.extend(layer.put_text(catalog, key, &form.read(value), origin).err());
    }
    layer
}

/// The source that the variables of the replaced service describe, where no layer below has any.
fn foreign_source(catalog: &Catalog, env: &[(String, String)], below: &[Layer], problems: &mut Vec<Problem>) -> Option<Layer> {
    if below.iter().any(Layer::has_items) {
        return None;
    }
    variable(env, FOREIGN_SOURCE[0].0)?;
    let mut layer = Layer::default();
    let made_by = || Origin::new(LayerName::Environment, FOREIGN_SOURCE[0].0);
    problems.extend(layer.put_text(catalog, "sources[0].id", "default", made_by()).err());
    for (name, key) in FOREIGN_SOURCE {
        let Some(value) = variable(env, name) else { continue };
        problems.extend(layer.put_text(catalog, key, value, Origin::new(LayerName::Environment, name)).err());
    }
    Some(layer)
}

fn variable<'a>(env: &'a [(String, String)], name: &str) -> Option<&'a str> {
    env.iter().find(|(variable, value)| variable == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

fn environment_layer(catalog: &Catalog, env: &[(String, String)], problems: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::default();
    for (name, value) in env.iter().filter(|(name, _)| name.starts_with(VARIABLE_PREFIX)) {
        match catalog.key_of_variable(name) {
            Some(key) => {
                let origin = Origin::new(LayerName::Environment, name);
                problems.extend(layer.put_text(catalog, key, value, origin).err());
            }
            None => problems.push(unknown_variable(catalog, name)),
        }
    }
    layer
}

fn unknown_variable(catalog: &Catalog, name: &str) -> Problem {
    let fix = match catalog.suggest_variable(name) {
        Some(near) => format!("did you mean {near}?"),
        None => "unset it, or see docs/reference/configuration.md for the variables there are".into(),
    };
    let why = "variables that begin with NAVVY__ are settings, and a misspelt one would be ignored silently";
    Problem::new(format!("{name} (environment)"), "nobody knows this variable", why, fix)
}

fn flag_layer(catalog: &Catalog, flags: &[(String, String)], problems: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::default();
    for (key, value) in flags {
        problems.extend(layer.put_text(catalog, key, value, Origin::flag()).err());
    }
    layer
}

/// A value that passed the check of its kind and still has no type. Only the key is told: the text of the error may
/// quote the value.
fn untyped(error: &ConfigError, layers: &[Layer]) -> Problem {
    let key = match error {
        ConfigError::Type { key, .. } | ConfigError::At { key, .. } => key.clone(),
        _ => None,
    };
    let key = key.unwrap_or_else(|| "the configuration".into());
    let place = strongest(layers, &key).map_or_else(String::new, |origin| format!(" ({origin})"));
    Problem::new(format!("{key}{place}"), "the value has the wrong type", "every key has one type", "see docs/reference/configuration.md")
}
