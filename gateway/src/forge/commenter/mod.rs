//! When which call about a run's comment is due. Pure but for [`perform`]; the clock and what is kept come from outside.
//!
//! Whoever drives it keeps one [`Shown`] per run where a write can be compared and swapped, and goes round like this:
//! [`next`] with what is so now → for a [`Step::Write`], [`Shown::claimed`] is stored, compared with what was read, so that one
//! gateway goes on → [`perform`] → [`Shown::after`] is stored. [`Step::WaitUntil`] says when to ask again at the latest, and a
//! change of the run is a reason to ask at any time. A forge that is down delays the comment and never the run.
//!
//! There is one comment per run, whatever is lost: a comment that is not known is searched for by its tag before it is made.
//! A comment that a person took away stays away while the run goes on; the end is told once more, and if that is taken away
//! too, never again.

mod pace;
mod turn;

pub use pace::Pace;
pub use turn::{Outcome, perform};

use super::{CommentId, ForgeError, comment::Comment};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How often somebody may take the comment away until it is left alone.
const DELETIONS: u32 = 2;

/// What is known of a run's comment. Kept per run; losing it costs a search, never a second comment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shown {
    /// The comment, once it was made or found.
    pub comment: Option<CommentId>,
    /// Of the text that it shows.
    pub digest: Option<String>,
    pub shown_at: Option<Timestamp>,
    /// How often somebody took it away.
    pub deleted: u32,
    /// Of a text that the forge refused.
    pub refused: Option<String>,
    /// Tries in a row that came to nothing, since when, and what the last one met.
    pub failures: u32,
    pub failing_since: Option<Timestamp>,
    pub problem: Option<String>,
    /// Not tried again before.
    pub not_before: Option<Timestamp>,
    /// Nothing is tried any more; `problem` says why.
    pub given_up: bool,
    /// Who is at it.
    pub claim: Option<Claim>,
}

/// A gateway's word that it writes the comment, until it has, or until `until`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub by: String,
    pub until: Timestamp,
}

/// What the comment is to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    body: String,
    digest: String,
    /// The run is over.
    last: bool,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It shows what it is to show, or is left alone.
    Nothing,
    WaitUntil(Timestamp),
    Write(Write),
}

/// A change of the forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Search for the comment; make it only if there is none.
    FindOrCreate,
    Update(CommentId),
}

/// The world that a step is decided in.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    pub now: Timestamp,
    /// This gateway, as its claims name it: a name of its own for every process.
    pub me: &'a str,
    /// Until when the forge takes no calls from us, about whichever run ([`Outcome::quiet_until`]).
    pub quiet_until: Option<Timestamp>,
    pub pace: &'a Pace,
}

impl Wanted {
    pub fn of(comment: &Comment) -> Self {
        let body = comment.render();
        let digest = hex::encode(Sha256::digest(body.as_bytes()));
        Self { body, digest, last: comment.moment.is_last() }
    }

    pub fn body(&self) -> &str {
        &self.body
    }
}

/// What is due, from what was last shown and what is so now.
pub fn next(shown: &Shown, wanted: &Wanted, around: &Around<'_>) -> Step {
    let same = |digest: &Option<String>| digest.as_ref() == Some(&wanted.digest);
    let taken_away = shown.comment.is_none() && shown.deleted > 0 && !wanted.last;
    if shown.given_up || same(&shown.digest) || same(&shown.refused) || taken_away {
        return Step::Nothing;
    }
    let others = shown.claim.as_ref().filter(|claim| claim.by != around.me).map(|claim| claim.until);
    // The end does not wait for the pace of edits; what the forge asks for holds for the end too.
    let paced = shown.shown_at.filter(|_| !wanted.last).map(|at| pace::later(at, around.pace.edit_interval));
    let wait = [others, shown.not_before, around.quiet_until, paced].into_iter().flatten().max();
    match (wait.filter(|until| *until > around.now), shown.comment) {
        (Some(until), _) => Step::WaitUntil(until),
        (None, Some(id)) => Step::Write(Write::Update(id)),
        (None, None) => Step::Write(Write::FindOrCreate),
    }
}

impl Shown {
    /// With this gateway's claim. To be stored, compared with what was read, before anything is written to the forge.
    #[must_use]
    pub fn claimed(&self, around: &Around<'_>) -> Self {
        let claim = Claim { by: around.me.to_owned(), until: pace::later(around.now, around.pace.claim) };
        Self { claim: Some(claim), ..self.clone() }
    }

    /// What is known after a try to show `wanted`. The claim is gone.
    #[must_use]
    pub fn after(&self, wanted: &Wanted, outcome: &Outcome, around: &Around<'_>) -> Self {
        let known = Self { claim: None, ..self.clone() };
        match outcome {
            Outcome::Written(id) => Self {
                comment: Some(*id),
                digest: Some(wanted.digest.clone()),
                shown_at: Some(around.now),
                deleted: self.deleted,
                ..Self::default()
            },
            Outcome::Gone => {
                let deleted = self.deleted.saturating_add(1);
                let given_up = deleted >= DELETIONS;
                let problem = given_up.then(|| "the comment was deleted twice and is left alone".to_owned());
                Self { comment: None, digest: None, deleted, given_up, problem, ..known }
            }
            Outcome::Failed(error) => known.failed(wanted, error, around),
        }
    }

    fn failed(self, wanted: &Wanted, error: &ForgeError, around: &Around<'_>) -> Self {
        let failures = self.failures.saturating_add(1);
        let since = self.failing_since.unwrap_or(around.now);
        let backoff = around.pace.backoff(failures);
        let (pause, refused, hopeless) = match error {
            ForgeError::Limited { retry_after } => (backoff.max(*retry_after), None, false),
            ForgeError::Unavailable(_) => (backoff, None, false),
            // Somebody has to change the token's rights first.
            ForgeError::Denied(_) => (backoff.max(around.pace.denied), None, false),
            // Another text may be taken; this one will not be.
            ForgeError::Refused(_) => (backoff, Some(wanted.digest.clone()), wanted.last),
            // Not the comment: a missing one is `Gone`. There is nothing to comment on.
            ForgeError::NotThere(_) => (backoff, None, true),
        };
        let too_long = pace::later(since, around.pace.give_up_after) <= around.now;
        Self {
            failures,
            failing_since: Some(since),
            not_before: Some(pace::later(around.now, pause)),
            problem: Some(error.to_string()),
            given_up: hopeless || too_long,
            refused: refused.or(self.refused),
            ..self
        }
    }
}

#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;
