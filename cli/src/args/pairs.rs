//! `KEY=VALUE` arguments. The value may hold further `=`.

use proto::Secret;

/// One `KEY=VALUE`. The value prints as `***`.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// Before the first `=`; never empty.
    pub(crate) key: String,
    /// All after the first `=`.
    pub(crate) value: Secret,
}

impl std::str::FromStr for Pair {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self { key: key.trim().to_owned(), value: Secret::new(value) }),
            // The text is not quoted: it may be the secret itself.
            Some(_) | None => Err("write KEY=VALUE".into()),
        }
    }
}
