//! Reads JSON through without keeping it, as strictly as a body of ours: no key twice, no text that is none, bounded depth,
//! nothing behind the end. What a forge sends has many fields that nobody here reads; they must be sound all the same, because
//! a reader that is lenient about them sees another document than the next one.
//!
//! 25 MiB cost no memory but the keys of the objects that are open, of which there may be so many.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor},
};
use std::{borrow::Cow, collections::HashSet, fmt};

/// Keys of one object that are compared one by one; of more, a set is made.
const FEW: usize = 12;
/// Most keys of one object: no forge sends an object with more, and comparing them costs.
const MOST_KEYS: usize = 20_000;
const DUPLICATE: &str = "duplicate key `";
const TOO_MANY: &str = "too many keys";

/// Why a body cannot be read. For whoever sent it, and for the log; it quotes no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadPayload(pub(crate) String);

/// The body as a `T`, which takes what it knows and leaves the rest, once the whole of it is sound.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadPayload> {
    skim(body)?;
    serde_json::from_slice(body).map_err(|error| BadPayload(mismatch(&error)))
}

/// Whether the whole of a body is one sound JSON object.
pub(crate) fn skim(body: &[u8]) -> Result<(), BadPayload> {
    let mut text = serde_json::Deserializer::from_slice(body);
    let sound = Sound::deserialize(&mut text).map_err(|error| BadPayload(unsound(&error)))?;
    text.end().map_err(|_| BadPayload("there is something behind the end of the JSON".to_owned()))?;
    match sound {
        Sound::Object => Ok(()),
        Sound::Other => Err(BadPayload("the JSON must be an object".to_owned())),
    }
}

fn unsound(error: &serde_json::Error) -> String {
    let told = error.to_string();
    if let Some((key, _)) = told.strip_prefix(DUPLICATE).and_then(|rest| rest.split_once('`')) {
        return format!("the JSON has a key twice: {}", super::shown(key, 80));
    }
    let what = match error.classify() {
        serde_json::error::Category::Eof => "ends too early",
        _ if told.contains("recursion limit") => "is nested too deeply",
        _ if told.starts_with(TOO_MANY) => "has an object with too many keys",
        _ if told.contains("out of range") => "has a number that is too large",
        _ => "is not sound",
    };
    format!("the JSON {what} (line {}, column {})", error.line(), error.column())
}

/// serde's words name fields and types, and could quote a value.
fn mismatch(error: &serde_json::Error) -> String {
    let told = error.to_string();
    let missing = told.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
    let place = format!("line {}, column {}", error.line(), error.column());
    match missing {
        Some((field, _)) => format!("the payload has no `{field}` ({place})"),
        None => format!("the payload has something else than is expected there ({place})"),
    }
}

/// Any sound JSON value.
enum Sound {
    Object,
    Other,
}

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SoundVisitor)
    }
}

struct SoundVisitor;

impl<'de> Visitor<'de> for SoundVisitor {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound::Other)
    }

    fn visit_unit<E>(self) -> Result<Sound, E> {
        Ok(Sound::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Sound, A::Error> {
        while items.next_element::<Sound>()?.is_some() {}
        Ok(Sound::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Sound, A::Error> {
        let mut seen = Keys::default();
        while let Some(Key(key)) = entries.next_key()? {
            if let Some(twice) = seen.add(key) {
                return Err(A::Error::custom(format!("{DUPLICATE}{twice}`")));
            }
            if seen.many.len() > MOST_KEYS {
                return Err(A::Error::custom(TOO_MANY));
            }
            entries.next_value::<Sound>()?;
        }
        Ok(Sound::Object)
    }
}

/// The keys of one object.
#[derive(Default)]
struct Keys<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Keys<'de> {
    /// Gives the key back if it was there before.
    fn add(&mut self, key: Cow<'de, str>) -> Option<Cow<'de, str>> {
        if self.many.is_empty() {
            if self.few.contains(&key) {
                return Some(key);
            }
            self.few.push(key);
            if self.few.len() > FEW {
                self.many.extend(self.few.drain(..));
            }
            return None;
        }
        if self.many.contains(&key) {
            return Some(key);
        }
        self.many.insert(key);
        None
    }
}

/// A key, without a copy where it is written plainly.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(KeyVisitor).map(Key)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// Longest list whose items are kept.
const LONGEST_LIST: usize = 10_000;

/// A list whose items are kept, which must not be longer than anybody's.
pub(crate) struct Listed<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(ListedVisitor(std::marker::PhantomData)).map(Self)
    }
}

struct ListedVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListedVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {LONGEST_LIST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            if all.len() == LONGEST_LIST {
                return Err(A::Error::custom("too long a list"));
            }
            all.push(item);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w2_w20_w21_what_is_not_sound_is_refused_wherever_it_stands() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        let table: &[(&[u8], &str)] = &[
            (b"", "the JSON ends too early (line 1, column 0)"),
            (b"{", "the JSON ends too early (line 1, column 1)"),
            (b"[]", "the JSON must be an object"),
            (b"null", "the JSON must be an object"),
            (b"{} x", "there is something behind the end of the JSON"),
            (b"\xef\xbb\xbf{}", "the JSON is not sound (line 1, column 1)"),
            (br#"{"a":{"b":[{"c":1,"c":2}]}}"#, "the JSON has a key twice: c"),
            (b"{\"\\u0061\":1,\"a\":2}", "the JSON has a key twice: a"),
            (br#"{"a":NaN}"#, "the JSON is not sound (line 1, column 6)"),
            (br#"{"a":1e400}"#, "the JSON has a number that is too large (line 1, column 10)"),
            (br#"{"a":"\ud800"}"#, "the JSON is not sound (line 1, column 13)"),
            (b"{\"a\":\"\xff\"}", "the JSON is not sound (line 1, column 7)"),
            (deep.as_bytes(), "the JSON is nested too deeply (line 1, column 132)"),
        ];
        for (body, expected) in table {
            let told = skim(body).map_err(|bad| bad.0);
            assert_eq!(told, Err((*expected).to_owned()), "{}", String::from_utf8_lossy(&body[..body.len().min(60)]));
        }
        let wide = (0..40).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(skim(format!("{{{wide},\"k\":0}}").as_bytes()), Ok(()));
        assert_eq!(skim(format!("{{{wide},\"k7\":0}}").as_bytes()).map_err(|bad| bad.0), Err("the JSON has a key twice: k7".to_owned()));
        let many = (0..=MOST_KEYS).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(",");
        assert!(skim(format!("{{{many}}}").as_bytes()).is_err_and(|bad| bad.0.starts_with("the JSON has an object with too many keys")));
    }
}
