//! Reads fields of a job without giving up at the first wrong type: a wrong one is remembered as such and skipped, so that
//! it becomes one problem among others. `null` is the same as absent, as in the engine that is replaced.
//!
//! What a value must look like beyond its type is decided where it is used.

use proto::Secret;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use std::{collections::BTreeMap, fmt, marker::PhantomData};

/// A field as it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Given<T> {
    #[default]
    Absent,
    Value(T),
    /// Of another type; what it was is not kept, because it may be a secret.
    Wrong(Kind),
}

/// What stood there instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    List,
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Object => "an object",
        })
    }
}

impl<T> Given<T> {
    /// What an item of a list is that may not be absent.
    fn item(self) -> Result<T, Kind> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Wrong(kind) => Err(kind),
            Self::Absent => Err(Kind::Null),
        }
    }

    /// This, or the other where this is absent.
    pub(super) fn or(self, other: Self) -> Self {
        match self {
            Self::Absent => other,
            Self::Value(_) | Self::Wrong(_) => self,
        }
    }
}

/// A type that a field may have. Each function answers `None` where this is not the kind of value that it takes.
pub(super) trait Shape: Sized {
    fn boolean(_: bool) -> Option<Self> {
        None
    }
    fn whole(_: i64) -> Option<Self> {
        None
    }
    fn text(_: &str) -> Option<Self> {
        None
    }
    fn list<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Option<Self>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn object<'de, A: MapAccess<'de>>(mut entries: A) -> Result<Option<Self>, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de, T: Shape> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(GivenVisitor(PhantomData))
    }
}

struct GivenVisitor<T>(PhantomData<T>);

fn or_wrong<T>(read: Option<T>, kind: Kind) -> Given<T> {
    read.map_or(Given::Wrong(kind), Given::Value)
}

impl<'de, T: Shape> Visitor<'de> for GivenVisitor<T> {
    type Value = Given<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Given<T>, E> {
        Ok(Given::Absent)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Given<T>, E> {
        Ok(or_wrong(T::boolean(value), Kind::Boolean))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Given<T>, E> {
        Ok(or_wrong(T::whole(value), Kind::Number))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Given<T>, E> {
        Ok(or_wrong(i64::try_from(value).ok().and_then(T::whole), Kind::Number))
    }
    /// `600.0` is 600: what writes JSON does not always know the difference.
    fn visit_f64<E>(self, value: f64) -> Result<Given<T>, E> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let whole = (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64);
        Ok(or_wrong(whole.and_then(T::whole), Kind::Number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Given<T>, E> {
        Ok(or_wrong(T::text(value), Kind::Text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Given<T>, A::Error> {
        Ok(or_wrong(T::list(items)?, Kind::List))
    }
    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Given<T>, A::Error> {
        Ok(or_wrong(T::object(entries)?, Kind::Object))
    }
}

impl Shape for bool {
    fn boolean(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl Shape for i64 {
    fn whole(value: i64) -> Option<Self> {
        Some(value)
    }
}

impl Shape for String {
    fn text(value: &str) -> Option<Self> {
        Some(value.to_owned())
    }
}

/// A list of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) items: Vec<String>,
    /// The first item that is no text.
    pub(super) wrong: Option<(usize, Kind)>,
}

impl Shape for Texts {
    fn list<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Option<Self>, A::Error> {
        let mut texts = Self::default();
        let mut index = 0;
        while let Some(item) = items.next_element::<Given<String>>()? {
            match item.item() {
                Ok(text) => texts.items.push(text),
                Err(kind) => texts.wrong = texts.wrong.or(Some((index, kind))),
            }
            index += 1;
        }
        Ok(Some(texts))
    }
}

/// Names and values of environment variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Variables {
    pub(super) values: BTreeMap<String, Secret>,
    /// Names whose values are no texts.
    pub(super) wrong: BTreeMap<String, Kind>,
    /// A name that was there twice: of two values neither is to be believed.
    pub(super) twice: Option<String>,
}

impl Shape for Variables {
    fn object<'de, A: MapAccess<'de>>(mut entries: A) -> Result<Option<Self>, A::Error> {
        let mut variables = Self::default();
        while let Some((name, value)) = entries.next_entry::<String, Given<String>>()? {
            if variables.values.contains_key(&name) || variables.wrong.contains_key(&name) {
                variables.twice.get_or_insert(name);
                continue;
            }
            match value.item() {
                Ok(text) => drop(variables.values.insert(name, Secret::new(text))),
                Err(kind) => drop(variables.wrong.insert(name, kind)),
            }
        }
        Ok(Some(variables))
    }
}

/// Tags of machines: to each key one value, or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tags(pub(super) Vec<(String, Given<Values>)>);

/// One text or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Values(pub(super) Texts);

impl Shape for Values {
    fn text(value: &str) -> Option<Self> {
        Some(Self(Texts { items: vec![value.to_owned()], wrong: None }))
    }
    fn list<'de, A: SeqAccess<'de>>(items: A) -> Result<Option<Self>, A::Error> {
        Ok(Texts::list(items)?.map(Self))
    }
}

impl Shape for Tags {
    fn object<'de, A: MapAccess<'de>>(mut entries: A) -> Result<Option<Self>, A::Error> {
        let mut tags = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            tags.push(entry);
        }
        Ok(Some(Self(tags)))
    }
}

/// Reads an object whose fields know their own types.
pub(super) fn object<'de, T: DeserializeOwned, A: MapAccess<'de>>(entries: A) -> Result<Option<T>, A::Error> {
    T::deserialize(MapAccessDeserializer::new(entries)).map(Some)
}
