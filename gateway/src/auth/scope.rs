//! What a caller may do, and the one function that says so.
//!
//! Every route names an [`Access`]; nothing else in the gateway decides about rights. Deny by default: a route that is not
//! listed with an access does not exist.

use super::Principal;
use crate::answers::Refusal;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// A right that a key can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// See runs, logs, locks, workers.
    Read,
    /// Start and cancel runs.
    Deploy,
    /// Approve and reject.
    Approve,
    /// See how a run ended, and nothing else.
    Done,
    /// Everything, and keys, forced cancels and settling unknown outcomes.
    Admin,
}

impl Scope {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Read, Self::Deploy, Self::Approve, Self::Done, Self::Admin];

    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Deploy => "deploy",
            Self::Approve => "approve",
            Self::Done => "done",
            Self::Admin => "admin",
        }
    }
}

impl Scope {
    /// Whether a key with this right may do what the other one opens.
    pub(crate) fn includes(self, other: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Read => other == Self::Read || other == Self::Done,
            Self::Deploy | Self::Approve | Self::Done => self == other,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: whoever asks is told that we live.
    Open,
    /// Nothing on a loopback address; else a key with any scope.
    OpenOnLoopback,
    /// A valid key, whatever it may do.
    AnyKey,
    /// A key, or none: the route itself asks for something else that shows who calls (a signature).
    KeyOrProof,
    /// The same, at doors that answer as the API does.
    KeyOrSignature,
    /// Nothing here: the route asks for a signature over the body, and looks at no key.
    Signature,
    /// A key with this scope.
    Needs(Scope),
}

/// May this caller do this? `None` is a caller without a key. What a scope includes, [`Scope::includes`] says.
pub(crate) fn authorize(caller: Option<&Principal>, access: Access, loopback: bool) -> Result<(), Refusal> {
    match (access, caller) {
        (Access::Open | Access::KeyOrProof | Access::KeyOrSignature | Access::Signature, _) | (Access::AnyKey, Some(_)) => Ok(()),
        (Access::OpenOnLoopback, caller) if loopback || caller.is_some() => Ok(()),
        (Access::Needs(scope), Some(caller)) if caller.has(scope) => Ok(()),
        (Access::Needs(scope), Some(_)) => Err(Refusal::MissingScope(scope)),
        (Access::OpenOnLoopback | Access::AnyKey | Access::Needs(_), _) => Err(Refusal::NoKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table_of_callers_and_accesses() {
        let key = |scopes: &[Scope]| Some(Principal::key("k", "ci", scopes));
        let callers = [
            ("nobody", None),
            ("no scope", key(&[])),
            ("read", key(&[Scope::Read])),
            ("deploy", key(&[Scope::Deploy])),
            ("approve", key(&[Scope::Approve])),
            ("done", key(&[Scope::Done])),
            ("admin", key(&[Scope::Admin])),
            ("read+deploy", key(&[Scope::Read, Scope::Deploy])),
        ];
        let accesses = [Access::Open, Access::OpenOnLoopback, Access::AnyKey]
            .into_iter()
            .chain(Scope::ALL.map(Access::Needs))
            .flat_map(|access| [(access, true), (access, false)]);
        // Columns: Open, OpenOnLoopback, AnyKey, read, deploy, approve, done, admin; each on loopback and elsewhere.
        // `+` allowed, `?` needs a key, `x` lacks the scope.
        let expected = [
            ("nobody", "++ +? ?? ?? ?? ?? ?? ??"),
            ("no scope", "++ ++ ++ xx xx xx xx xx"),
            ("read", "++ ++ ++ ++ xx xx ++ xx"),
            ("deploy", "++ ++ ++ xx ++ xx xx xx"),
            ("approve", "++ ++ ++ xx xx ++ xx xx"),
            ("done", "++ ++ ++ xx xx xx ++ xx"),
            ("admin", "++ ++ ++ ++ ++ ++ ++ ++"),
            ("read+deploy", "++ ++ ++ ++ ++ xx ++ xx"),
        ];
        for ((name, caller), (_, row)) in callers.into_iter().zip(expected) {
            let told: String = accesses
                .clone()
                .map(|(access, loopback)| match authorize(caller.as_ref(), access, loopback) {
                    Ok(()) => '+',
                    Err(Refusal::NoKey) => '?',
                    Err(Refusal::MissingScope(_)) => 'x',
                    Err(other) => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(told, row.replace(' ', ""), "{name}");
        }
    }
}
