//! Where each value came from, for `navvy config check`.
//!
//! Rows carry text ready to print; secrets are masked by their type before they get here.

use std::fmt;
use std::path::PathBuf;

/// The layer that won, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerName {
    /// Built in.
    Default,
    /// The configuration file.
    File,
    /// A variable of the environment.
    Environment,
    /// A flag of the command line.
    Flag,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The layer.
    pub layer: LayerName,
    /// The file or the variable; `None` for defaults and flags.
    pub place: Option<String>,
    /// For a secret named by `*_file`: the file it was read from.
    pub read_from: Option<PathBuf>,
}

impl Origin {
    pub(super) const DEFAULT: Self = Self { layer: LayerName::Default, place: None, read_from: None };

    pub(super) fn new(layer: LayerName, place: impl Into<String>) -> Self {
        Self { layer, place: Some(place.into()), read_from: None }
    }

    pub(super) const fn flag() -> Self {
        Self { layer: LayerName::Flag, place: None, read_from: None }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.layer {
            LayerName::Default => "default",
            LayerName::File => "file",
            LayerName::Environment => "environment",
            LayerName::Flag => "flag",
        })?;
        if let Some(place) = &self.place {
            write!(f, " {place}")?;
        }
        if let Some(path) = &self.read_from {
            write!(f, ", read from {}", path.display())?;
        }
        Ok(())
    }
}

/// One line of `navvy config check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The dotted key.
    pub key: String,
    /// The value as text: `***` for a secret, empty when the key is absent.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}
