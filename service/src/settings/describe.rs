//! One description for three readers: the typed struct, the list of known keys, and the reference page.
//!
//! `section!` writes a struct whose doc comments are also its table of keys, so that neither the page in
//! `docs/reference/` nor the check for unknown keys can drift from the code. Leaves say their [`Kind`] by type.

use std::path::PathBuf;

use super::kind::Kind;
use super::listen::Listen;
use super::period::Period;
use super::secret::Secret;
use super::tree::{Followed, ForgeKind, LogFormat, Notify, NotifyFormat};

/// One line of the description, in the order of the source.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// A section begins: its dotted key and what it is about. One that may repeat, and its keys, have [`EACH`] in theirs.
    Section { key: String, about: &'static str },
    /// A key: dotted, with its kind and its doc comment.
    Key { key: String, kind: Kind, doc: &'static str },
}

/// A type that can stand in the settings tree.
pub(super) trait Described {
    /// Appends the entries of this type, standing at `key` and documented there by `doc`.
    fn describe(key: &str, doc: &'static str, out: &mut Vec<Entry>);
}

macro_rules! leaf {
    ($($of:ty => $kind:expr),+ $(,)?) => {
        $(impl Described for $of {
            fn describe(key: &str, doc: &'static str, out: &mut Vec<Entry>) {
                out.push(Entry::Key { key: key.to_owned(), kind: $kind, doc });
            }
        })+
    };
}

leaf! {
    String => Kind::Text,
    Secret => Kind::Secret,
    PathBuf => Kind::Path,
    Listen => Kind::Listen,
    Period => Kind::Period,
    bool => Kind::Switch,
    u32 => Kind::Number { max: u64::from(u32::MAX) },
    u64 => Kind::Number { max: i64::MAX as u64 },
    Vec<String> => Kind::List,
    LogFormat => Kind::Choice(LogFormat::WORDS),
    ForgeKind => Kind::Choice(ForgeKind::WORDS),
    NotifyFormat => Kind::Choice(NotifyFormat::WORDS),
}

impl<T: Described> Described for Option<T> {
    fn describe(key: &str, doc: &'static str, out: &mut Vec<Entry>) {
        T::describe(key, doc, out);
    }
}

/// Stands for the number of an item in the key of a section that may repeat: `sources[].id`.
pub(super) const EACH: &str = "[]";

impl Described for Vec<Followed> {
    fn describe(key: &str, doc: &'static str, out: &mut Vec<Entry>) {
        Followed::describe(&format!("{key}{EACH}"), doc, out);
    }
}

impl Described for Vec<Notify> {
    fn describe(key: &str, doc: &'static str, out: &mut Vec<Entry>) {
        Notify::describe(&format!("{key}{EACH}"), doc, out);
    }
}

/// `section.key`, or `key` at the root.
pub(super) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// Declares a section: a struct with serde, a `Default`, and its description.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident {
            $($(#[doc = $doc:literal])* $field:ident: $of:ty = $default:expr),+ $(,)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])* pub $field: $of,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        impl $crate::settings::describe::Described for $name {
            fn describe(key: &str, _: &'static str, out: &mut Vec<$crate::settings::describe::Entry>) {
                out.push($crate::settings::describe::Entry::Section {
                    key: key.to_owned(),
                    about: concat!($($about),+),
                });
                $(<$of as $crate::settings::describe::Described>::describe(
                    &$crate::settings::describe::join(key, stringify!($field)),
                    concat!($($doc),*),
                    out,
                );)+
            }
        }
    };
}

pub(super) use section;
