//! The JSON file format of SOPS (<https://getsops.io>) with age recipients: enough to write what every `sops` opens and to
//! open what every `sops` wrote for an age key. Each value is encrypted by itself under a data key, bound to its place;
//! a MAC over all values in their order finds what was moved, added or taken away; the data key is encrypted to the
//! recipients. age itself is the crate `age`. Other keepers of data keys (KMS, PGP) and rules by regular expression are
//! refused by name, never guessed at.

mod cipher;
mod metadata;
mod read;
mod write;

pub use read::decrypt;
pub(crate) use read::decrypt_node;
pub use write::encrypt;

use proto::Secret;
use std::fmt;

/// Where a document has what SOPS adds.
const METADATA: &str = "sops";

/// Why a document cannot be opened or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SopsError {
    #[error("it is no SOPS document: {0}")]
    Shape(String),
    #[error("it is encrypted to none of the age identities at hand: encrypt it to this worker's recipient too (sops updatekeys)")]
    NotForUs,
    #[error("{0} does not fit its key: the document was changed without its key, or is damaged")]
    Tampered(String),
    #[error("it uses `{0}` of SOPS, which is not read here")]
    Unsupported(String),
    #[error("the age recipient is not valid: it begins with `age1` and is what age-keygen prints as the public key")]
    Recipient,
    #[error("line {0} of the age identities is no `AGE-SECRET-KEY-1…`")]
    Identity(usize),
    #[error("a variable cannot be called `sops` or end in `=`: the file format keeps those names")]
    Name,
    #[error("the system gave no random bytes, or age refused to encrypt")]
    Encryption,
}

/// Keys that open documents.
pub struct Identities(Vec<age::x25519::Identity>);

impl Identities {
    /// The identities in a text as age-keygen writes it: one a line, `#` begins a comment.
    pub fn parse(text: &Secret) -> Result<Self, SopsError> {
        let lines = text.expose().lines().map(str::trim).enumerate();
        let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        keys.map(|(no, line)| line.parse().map_err(|_| SopsError::Identity(no + 1))).collect::<Result<_, _>>().map(Self)
    }
}

/// How many, and no key.
impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}

#[cfg(test)]
mod tests;
