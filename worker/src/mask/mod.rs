//! Masking: no secret of a job may leave the worker in text (invariant I12).
//!
//! Here lives the rule "which byte strings betray a secret" (`forms`), the automaton that finds them in a
//! stream (`lane`) and the stream that replaces them by [`MASK`] (`stream`). What is *not* here: taking
//! terminal control codes out (`runner::ansi`, which must run before this), and knowing which values are secret.
//!
//! Every overlap of every form is covered, not only the leftmost-longest match: of `abcdef` + `defghi` in
//! `abcdefghi` nothing is left standing. Touching matches become one [`MASK`], so that a count tells nothing.
//! Not covered, and nothing of this kind can be: a secret that the tool reversed, compressed or encrypted itself.

mod forms;
mod lane;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

pub use stream::MaskStream;

use lane::{Fold, Patterns};

/// What stands in the text instead of a secret.
pub const MASK: &str = "***";

/// Shortest secret, in bytes without surrounding blanks, that is masked. Anything shorter is a part of ordinary words.
pub const SHORTEST: usize = 4;

/// Below this many bytes a secret is masked, but reported as [`Weakness::Guessable`]: it will hit ordinary text.
pub const GUESSABLE: usize = 8;

/// Longest secret in bytes that is masked: half of what Linux takes in one environment variable.
pub const LONGEST: usize = 64 * 1024;

/// What is wrong with a value that somebody called a secret. Positions are those of the list given to [`Masker::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Shorter than [`SHORTEST`] (or blank): not masked at all.
    TooShort,
    /// Longer than [`LONGEST`]: not masked at all.
    TooLong,
    /// Masked, but shorter than [`GUESSABLE`]: expect [`MASK`] inside ordinary words.
    Guessable,
}

impl Weakness {
    /// True if the value will appear in the clear: a caller that promises secrecy must refuse it.
    pub fn is_unmasked(self) -> bool {
        match self {
            Self::TooShort | Self::TooLong => true,
            Self::Guessable => false,
        }
    }
}

/// The compiled secrets of one job. Cheap to clone: streams share the tables.
#[derive(Clone)]
pub struct Masker {
    exact: Option<Arc<Patterns>>,
    folded: Option<Arc<Patterns>>,
    weak: Arc<[(usize, Weakness)]>,
}

impl Masker {
    /// Compiles every form of every secret. Values that cannot or can hardly be masked are listed by [`Masker::weak`].
    ///
    /// # Errors
    /// [`MaskError`] if the forms of all secrets together do not fit into the automaton. The caller must not run the tool.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S]) -> Result<Self, MaskError> {
        let (mut exact, mut folded, mut weak) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for (position, secret) in secrets.iter().enumerate() {
            let secret = secret.as_ref();
            let weakness = weakness(secret);
            weak.extend(weakness.map(|found| (position, found)));
            if !weakness.is_some_and(Weakness::is_unmasked) {
                forms::exact(secret, &mut exact);
                forms::folded(secret, &mut folded);
            }
        }
        Ok(Self { exact: Patterns::build(&exact)?, folded: Patterns::build(&folded)?, weak: weak.into() })
    }

    /// Positions of the secrets that are not masked, or badly.
    pub fn weak(&self) -> &[(usize, Weakness)] {
        &self.weak
    }

    /// A new stream at its beginning.
    pub fn stream(&self) -> MaskStream {
        let lanes = [(&self.exact, Fold::Nothing), (&self.folded, Fold::Blanks)];
        MaskStream::new(lanes.into_iter().filter_map(|(p, fold)| p.clone().map(|p| lane::Lane::new(p, fold))).collect())
    }

    /// Masks one whole text: an error message, captured machine output, a comment.
    pub fn mask_bytes(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut stream = self.stream();
        stream.feed(text, &mut out);
        stream.finish(&mut out);
        out
    }

    /// Like [`Masker::mask_bytes`] for text. A form that was cut out of a character leaves U+FFFD behind.
    pub fn mask(&self, text: &str) -> String {
        text_of(self.mask_bytes(text.as_bytes()))
    }

    /// Like [`Masker::mask`] for the beginning of a text whose rest is not known: an end that may be the first part of a
    /// secret is left out.
    pub fn mask_beginning(&self, text: &str) -> String {
        let mut out = Vec::with_capacity(text.len());
        self.stream().feed(text.as_bytes(), &mut out);
        text_of(out)
    }
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("secrets", &MASK).field("weak", &self.weak).finish_non_exhaustive()
    }
}

/// The secrets could not be compiled.
#[derive(Debug, thiserror::Error)]
#[error("the forms of this job's secrets do not fit into one search automaton; pass fewer or shorter secrets")]
pub struct MaskError(#[source] Box<aho_corasick::BuildError>);

fn weakness(secret: &[u8]) -> Option<Weakness> {
    match secret.trim_ascii().len() {
        0..SHORTEST => Some(Weakness::TooShort),
        SHORTEST..GUESSABLE => Some(Weakness::Guessable),
        _ if secret.len() > LONGEST => Some(Weakness::TooLong),
        _ => None,
    }
}
