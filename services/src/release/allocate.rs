//! Allocates versions. A run that is tried again finds the tag that it made; a race is lost to whoever made the tag first,
//! and decided again with that tag there.

use super::{
    message::{Message, kind_of},
    version::Version,
};
use proto::{
    RunId,
    git::{CommitId, GitRef},
    sync::{Release, ReleaseKind, ReleaseOrder},
};

/// A tag of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Without `refs/tags/`.
    pub name: String,
    /// The commit it leads to at last, however many tags lie between.
    pub commit: CommitId,
    /// Its message, if it is an annotated one.
    pub message: Option<String>,
}

/// A release that may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    pub release: Release,
    /// The message of the annotated tag that is to be made at `release.commit`; absent: no tag is made, it is there.
    pub message: Option<String>,
}

/// Why no release is made. Shown to the user as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseRefusal {
    #[error("a {kind} release is made from another release: say from which, such as `from: v1.2.4`")]
    NoFrom { kind: ReleaseKind },
    #[error("`{0}` is not the name of a release: they are called vMAJOR.MINOR.PATCH, such as v1.2.4")]
    NotAVersion(String),
    #[error("there is no release {0}: list the tags of the repository and name one of them")]
    NoSuchRelease(Version),
    #[error("{from} is a {found} release, and a {kind} release is made from a {wanted}: name one of those")]
    WrongKind { kind: ReleaseKind, from: Version, found: ReleaseKind, wanted: &'static str },
    #[error("{version} exists already, and the order is strict: order it without `strict` to get the next free version")]
    Taken { version: Version },
    #[error("this commit is released as {version} already, and the order is strict: deploy that, or order it without `strict`")]
    Released { version: Version },
    #[error("a hotfix of {from} needs a commit of its own: this one is what {from} deploys already")]
    NothingMended { from: Version },
    #[error("there is no version after {0}: the numbers end")]
    NoMore(Version),
}

/// A tag that is a release.
struct Known<'a> {
    version: Version,
    kind: ReleaseKind,
    commit: &'a CommitId,
    message: Option<Message>,
}

/// The releases that are there, lowest first, and what an order is held to.
struct Book<'a> {
    known: Vec<Known<'a>>,
    strict: bool,
    run: RunId,
}

/// Allocates the version of a release. `target` is the commit that is released; it counts for a staging release and a hotfix,
/// the others take the commit of the release they are made from. `run` goes into the message: an order of a run that made
/// its tag already gets that tag, strict or not.
pub fn allocate(tags: &[Tag], order: &ReleaseOrder, target: &CommitId, run: RunId) -> Result<Allocation, ReleaseRefusal> {
    let book = Book { known: known(tags), strict: order.strict, run };
    match order.kind {
        ReleaseKind::Staging => book.staging(target),
        ReleaseKind::Production => book.production(book.from(order)?),
        ReleaseKind::Hotfix => book.hotfix(book.from(order)?, target),
        ReleaseKind::Rollback => book.from(order).map(rollback),
    }
}

fn known(tags: &[Tag]) -> Vec<Known<'_>> {
    let mut known: Vec<Known<'_>> = tags
        .iter()
        .filter_map(|tag| {
            let version = Version::of_tag(&tag.name)?;
            let text = tag.message.as_deref();
            let message = text.and_then(|text| Message::parse(text, version));
            Some(Known { version, kind: kind_of(version, text), commit: &tag.commit, message })
        })
        .collect();
    known.sort_by_key(|tag| tag.version);
    known
}

impl Book<'_> {
    /// The release that an order is made from.
    fn from(&self, order: &ReleaseOrder) -> Result<&Known<'_>, ReleaseRefusal> {
        let text = order.from.as_ref().ok_or(ReleaseRefusal::NoFrom { kind: order.kind })?.as_str();
        let version = Version::of_tag(text.strip_prefix("refs/tags/").unwrap_or(text))
            .ok_or_else(|| ReleaseRefusal::NotAVersion(text.chars().take(80).collect()))?;
        self.find(version).ok_or(ReleaseRefusal::NoSuchRelease(version))
    }

    fn find(&self, version: Version) -> Option<&Known<'_>> {
        self.known.binary_search_by_key(&version, |tag| tag.version).ok().map(|at| &self.known[at])
    }

    /// The tag that an earlier try of the same run made.
    fn made_before(&self, kind: ReleaseKind, commit: &CommitId) -> Option<&Known<'_>> {
        let ours = |tag: &&Known<'_>| {
            tag.kind == kind && tag.commit == commit && tag.message.as_ref().is_some_and(|message| message.run == Some(self.run))
        };
        self.known.iter().rev().find(ours)
    }

    /// Patches are iterations of staging: the one after the highest release of all.
    fn staging(&self, target: &CommitId) -> Result<Allocation, ReleaseRefusal> {
        let kind = ReleaseKind::Staging;
        if let Some(tag) = self.made_before(kind, target) {
            return Ok(ours(tag, kind, None));
        }
        let Some(highest) = self.known.last().map(|tag| tag.version) else {
            return Ok(self.made(kind, Version::FIRST, target, None, "the first release of this repository".to_owned()));
        };
        let here = |tag: &&Known<'_>| tag.kind == kind && tag.commit == target && tag.version.same_minor(highest);
        if let Some(tag) = self.known.iter().rev().find(here) {
            return self.again(tag, kind, None);
        }
        let version = highest.next_patch().ok_or(ReleaseRefusal::NoMore(highest))?;
        Ok(self.made(kind, version, target, None, format!("the patch after the highest release, {highest}")))
    }

    /// A promoted staging release: the next minor of its major, above every minor that is there.
    fn production(&self, from: &Known<'_>) -> Result<Allocation, ReleaseRefusal> {
        let kind = ReleaseKind::Production;
        if from.kind != ReleaseKind::Staging {
            return Err(ReleaseRefusal::WrongKind { kind, from: from.version, found: from.kind, wanted: "staging release" });
        }
        if let Some(tag) = self.made_before(kind, from.commit) {
            return Ok(ours(tag, kind, Some(from.version)));
        }
        if let Some(tag) = self.known.iter().rev().find(|tag| tag.kind == kind && tag.commit == from.commit) {
            return self.again(tag, kind, Some(from.version));
        }
        let of_major = || self.known.iter().filter(|tag| tag.version.major == from.version.major);
        let highest = of_major().next_back().map_or(from.version, |tag| tag.version);
        let wanted = from.version.next_minor().ok_or(ReleaseRefusal::NoMore(from.version))?;
        if highest.same_minor(from.version) {
            let why = format!("the minor after {}, which is promoted", from.version);
            return Ok(self.made(kind, wanted, from.commit, Some(from.version), why));
        }
        if self.strict {
            let taken = of_major().find(|tag| tag.version.same_minor(wanted)).map_or(highest, |tag| tag.version);
            return Err(ReleaseRefusal::Taken { version: taken });
        }
        let version = highest.next_minor().ok_or(ReleaseRefusal::NoMore(highest))?;
        let why = format!("{} is promoted, but {highest} is there already, so it is the minor after that and not {wanted}", from.version);
        Ok(self.made(kind, version, from.commit, Some(from.version), why))
    }

    /// The next free patch above the release that is mended. Staging counts patches too, so it may not be the very next one.
    fn hotfix(&self, from: &Known<'_>, target: &CommitId) -> Result<Allocation, ReleaseRefusal> {
        let kind = ReleaseKind::Hotfix;
        match from.kind {
            ReleaseKind::Production | ReleaseKind::Hotfix => {}
            ReleaseKind::Staging | ReleaseKind::Rollback => {
                let wanted = "production release or a hotfix";
                return Err(ReleaseRefusal::WrongKind { kind, from: from.version, found: from.kind, wanted });
            }
        }
        if let Some(tag) = self.made_before(kind, target) {
            return Ok(ours(tag, kind, Some(from.version)));
        }
        if target == from.commit {
            return Err(ReleaseRefusal::NothingMended { from: from.version });
        }
        let mends = |tag: &&Known<'_>| {
            tag.kind == kind && tag.commit == target && tag.message.as_ref().is_some_and(|message| message.from == Some(from.version))
        };
        if let Some(tag) = self.known.iter().find(mends) {
            return self.again(tag, kind, Some(from.version));
        }
        let wanted = from.version.next_patch().ok_or(ReleaseRefusal::NoMore(from.version))?;
        let mut version = wanted;
        while self.find(version).is_some() {
            if self.strict {
                return Err(ReleaseRefusal::Taken { version });
            }
            version = version.next_patch().ok_or(ReleaseRefusal::NoMore(version))?;
        }
        let why = if version == wanted {
            format!("the patch after {}, which it mends", from.version)
        } else {
            format!("the next free patch above {}, which it mends: {wanted} is taken", from.version)
        };
        Ok(self.made(kind, version, target, Some(from.version), why))
    }

    /// What is asked for is there already.
    fn again(&self, tag: &Known<'_>, kind: ReleaseKind, from: Option<Version>) -> Result<Allocation, ReleaseRefusal> {
        if self.strict {
            return Err(ReleaseRefusal::Released { version: tag.version });
        }
        Ok(existing(tag, kind, from, format!("this commit is released as {} already", tag.version)))
    }

    fn made(&self, kind: ReleaseKind, version: Version, commit: &CommitId, from: Option<Version>, why: String) -> Allocation {
        let message = Message { kind, version, from, run: Some(self.run) }.text();
        Allocation { release: release(kind, version, commit, from, false, why), message }
    }
}

fn rollback(from: &Known<'_>) -> Allocation {
    let why = format!("{}, a {} release, is deployed again", from.version, from.kind);
    existing(from, ReleaseKind::Rollback, Some(from.version), why)
}

/// What this run made before it was interrupted: it is there, and to those who are told of the release it is new.
fn ours(tag: &Known<'_>, kind: ReleaseKind, from: Option<Version>) -> Allocation {
    let why = format!("this run made {} before", tag.version);
    Allocation { release: release(kind, tag.version, tag.commit, from, false, why), message: None }
}

fn existing(tag: &Known<'_>, kind: ReleaseKind, from: Option<Version>, why: String) -> Allocation {
    Allocation { release: release(kind, tag.version, tag.commit, from, true, why), message: None }
}

fn release(kind: ReleaseKind, version: Version, commit: &CommitId, from: Option<Version>, existed: bool, why: String) -> Release {
    // A version is always a good reference.
    let from = from.and_then(|from| from.to_string().parse::<GitRef>().ok());
    Release { kind, tag: version.to_string(), commit: commit.clone(), from, existed, why }
}

#[cfg(test)]
#[path = "allocate_tests.rs"]
mod tests;
