//! What a delivery that comes from its forge means for its source: a sync, or nothing, and why. Pure.

use super::{
    SHOWN,
    payload::{Change, Files, Payload, Pushed, Repository},
    record::Delivery,
    shown,
};
use crate::sources::Source;
use proto::{git::CommitId, sync::Push};
use std::fmt;

/// What a delivery means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The branch that is followed was put somewhere.
    Sync(Facts),
    Nothing(Ignored),
}

/// What is to be synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) push: Push,
    /// Who pushed, as it may be shown.
    pub(crate) sender: String,
}

/// Why nothing is done about a delivery. The words of the service that Navvy replaces, where it had any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ignored {
    /// It tells of no push; the event, as it may be shown.
    Event(String),
    /// Another repository than the source's; its name, as it may be shown.
    Repository(String),
    /// Tags are deployed when somebody says so.
    Tag,
    /// Another branch than the one that is followed; that one.
    Branch { followed: String },
    /// The branch is gone.
    Deleted,
    /// It moved nothing.
    Empty,
    /// Pushed by somebody whose pushes are not followed, as they may be shown: `ignore_senders` of the source.
    Sender(String),
}

impl Ignored {
    /// The event, where it is the reason.
    pub(crate) fn event(&self) -> Option<&str> {
        match self {
            Self::Event(event) => Some(event),
            Self::Repository(_) | Self::Tag | Self::Branch { .. } | Self::Deleted | Self::Empty | Self::Sender(_) => None,
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(f, "`{event}` is no push"),
            Self::Repository(name) => write!(f, "Not the repository of this source: {name}"),
            Self::Tag => f.write_str("Not a branch: tags are deployed with POST /deploy"),
            Self::Branch { followed } => write!(f, "Not {followed} branch"),
            Self::Deleted => f.write_str("The branch was deleted"),
            Self::Empty => f.write_str("No branch was moved"),
            Self::Sender(sender) => write!(f, "Pushed by {sender}, which is among the source's ignore_senders"),
        }
    }
}

/// What a delivery moved, for its record: of several references the one that is followed, else the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// As it may be shown.
    pub(crate) reference: Option<String>,
    pub(crate) before: Option<CommitId>,
    pub(crate) after: Option<CommitId>,
    pub(crate) forced: bool,
    /// As it may be shown.
    pub(crate) sender: Option<String>,
    /// As they may be shown.
    pub(crate) repository: Option<String>,
    pub(crate) repository_id: Option<String>,
    /// How many other references it moved.
    pub(crate) others: u32,
}

/// What a payload means for its source.
pub(crate) fn judge(source: &Source, payload: Payload) -> (Moved, Meaning) {
    let Some(pushed) = payload.pushed else {
        return (Moved::default(), Meaning::Nothing(Ignored::Event(shown(&payload.event, SHOWN))));
    };
    let Pushed { repository, sender, mut changes } = pushed;
    let sender = shown(&sender, SHOWN);
    // Of several pushes to one branch in one delivery the last one tells where it is.
    let ours = changes.iter().rposition(|change| change.reference == source.git_ref.as_str());
    let moved = Moved {
        sender: Some(sender.clone()),
        repository: Some(shown(&repository.full_name, SHOWN)),
        repository_id: Some(shown(&repository.id, SHOWN)),
        ..Moved::default()
    };
    if changes.is_empty() {
        return (moved, Meaning::Nothing(Ignored::Empty));
    }
    let others = u32::try_from(changes.len() - 1).unwrap_or(u32::MAX);
    let change = changes.swap_remove(ours.unwrap_or(0));
    let moved = Moved {
        reference: Some(shown(&change.reference, SHOWN)),
        before: change.before.clone(),
        after: change.after.clone(),
        forced: change.forced,
        others,
        ..moved
    };
    (moved, meaning(source, &repository, change, sender))
}

fn meaning(source: &Source, repository: &Repository, change: Change, sender: String) -> Meaning {
    if !is_of(source, repository) {
        return Meaning::Nothing(Ignored::Repository(shown(&repository.full_name, SHOWN)));
    }
    if change.reference != source.git_ref.as_str() {
        let tag = change.reference.starts_with("refs/tags/");
        return Meaning::Nothing(if tag { Ignored::Tag } else { Ignored::Branch { followed: source.branch.clone() } });
    }
    let Some(after) = change.after else { return Meaning::Nothing(Ignored::Deleted) };
    // Last: what is said of others' pushes stays what it is.
    if source.ignores(&sender) {
        return Meaning::Nothing(Ignored::Sender(sender));
    }
    let push =
        Push { before: change.before, after, forced: change.forced, files: change.files.paths, files_complete: change.files.complete };
    Meaning::Sync(Facts { push, sender })
}

/// Why a delivery that was ignored stays so, after it was judged by the settings as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Still {
    Nothing(Ignored),
    /// It told of no push.
    NoPush,
    /// Its record does not hold what it takes to judge: the others that it moved, or, of an older gateway, the repository.
    NotKept,
}

impl fmt::Display for Still {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing(why) => write!(f, "by the settings as they are now nothing is to be done about this delivery either: {why}"),
            Self::NoPush => f.write_str("it told of no push, so there is nothing to do: POST /sync starts a sync of any service"),
            Self::NotKept => f.write_str("too little of it is kept to judge it anew: have the forge send it again"),
        }
    }
}

/// What a delivery that was ignored means now, as far as its record tells. The forge's list of files is not kept: git compares.
pub(crate) fn again(source: &Source, record: &Delivery) -> Result<Facts, Still> {
    let Some(reference) = record.reference.clone() else { return Err(Still::NoPush) };
    let (Some(full_name), Some(id)) = (record.repository.clone(), record.repository_id.clone()) else { return Err(Still::NotKept) };
    let ours = reference == shown(source.git_ref.as_str(), SHOWN);
    if !ours && record.others > 0 {
        return Err(Still::NotKept);
    }
    let change = Change {
        reference: if ours { source.git_ref.as_str().to_owned() } else { reference },
        before: record.before.clone(),
        after: record.after.clone(),
        forced: record.forced,
        files: Files::default(),
    };
    let sender = record.sender.clone().unwrap_or_else(|| "unknown".to_owned());
    match meaning(source, &Repository { id, full_name }, change, sender) {
        Meaning::Sync(facts) => Ok(facts),
        Meaning::Nothing(why) => Err(Still::Nothing(why)),
    }
}

/// By the forge's own id where the settings have it: names may be given away.
fn is_of(source: &Source, repository: &Repository) -> bool {
    match &source.repository_id {
        Some(id) => id.trim_matches(['{', '}']).eq_ignore_ascii_case(&repository.id),
        None => source.full_name.eq_ignore_ascii_case(&repository.full_name),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
