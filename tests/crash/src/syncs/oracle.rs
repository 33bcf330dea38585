//! What must be so of runs of syncs in the end, whatever died on the way.
//!
//! 1. What was asked for is one run; the run is about the commit and the services that were asked for, and no others.
//! 2. Everything is over. Permits, last words and ends are given once (as for orders).
//! 3. Of one sync of a commit, the effect is begun once at most, and only with the last word; where it says that it deployed,
//!    it was begun once and brought to its end once; where it says that it did nothing, there is none.
//! 4. No effect is of a sync that nobody asked for.
//! 5. A tag is pushed once, as an annotated one, to the commit that its run is about, and never moved; its run says that it made
//!    it.

use super::world::{Effect, Update};
use crate::{orders, store::Logged};
use std::collections::{BTreeMap, BTreeSet};

/// What a forge gives for "there was none".
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// A run, and what it was asked for.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) log: Logged,
    pub(crate) environment: String,
    pub(crate) commit: String,
    pub(crate) services: BTreeSet<String>,
    pub(crate) syncs: Vec<Sync>,
    pub(crate) releases: bool,
}

/// One sync of a run, as it is shown.
#[derive(Debug)]
pub(crate) struct Sync {
    pub(crate) job: u32,
    /// Without its project.
    pub(crate) service: String,
    pub(crate) status: String,
    /// What was done; empty until it has succeeded.
    pub(crate) action: String,
}

/// A tag as the bare repository has it.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) update: Update,
    pub(crate) kind: String,
    pub(crate) commit: String,
}

/// Everything that is not as it must be. Effects and tags are those since the scenario began.
pub(crate) fn violations(runs: &[Told], effects: &[Effect], tags: &[Tag]) -> Vec<String> {
    let mut found = Vec::new();
    for told in runs {
        found.extend(of_run(told, effects).into_iter().map(|what| format!("run {}: {what}", told.log.id)));
    }
    for effect in effects {
        let is_theirs = |told: &&Told| {
            told.environment == effect.environment && told.commit == effect.commit && told.services.contains(&effect.service)
        };
        match runs.iter().filter(is_theirs).count() {
            1 => {}
            0 => found.push(format!("an effect that nobody asked for: {effect:?}")),
            several => found.push(format!("{several} runs are about the same: {effect:?}")),
        }
    }
    found.extend(of_tags(runs, tags));
    found
}

fn of_run(told: &Told, effects: &[Effect]) -> Vec<String> {
    let mut found = orders::oracle::words(&told.log);
    let pinned = told.log.of("commit_pinned").filter_map(|event| event["commit"].as_str()).find(|commit| *commit != told.commit);
    if let Some(other) = pinned {
        found.push(format!("it was asked for {}, and is about {other}", told.commit));
    }
    let synced: BTreeSet<String> = told.syncs.iter().map(|sync| sync.service.clone()).collect();
    if synced != told.services || synced.len() != told.syncs.len() {
        found.push(format!("it is about {synced:?} in {} jobs, and should be about {:?}", told.syncs.len(), told.services));
    }
    for sync in &told.syncs {
        found.extend(of_sync(told, sync, effects).into_iter().map(|what| format!("{}: {what}", sync.service)));
    }
    found
}

fn of_sync(told: &Told, sync: &Sync, effects: &[Effect]) -> Vec<String> {
    let times = |what: &str| {
        let ours = |effect: &&Effect| {
            effect.environment == told.environment && effect.commit == told.commit && effect.service == sync.service && effect.what == what
        };
        effects.iter().filter(ours).count()
    };
    let (begun, ended) = (times("begin"), times("end"));
    let had_word = told.log.of("effects_started").any(|event| event["job"] == sync.job);
    let was_unknown = told.log.of("job_unknown").any(|event| event["job"] == sync.job);
    let mut found = Vec::new();
    if begun > 1 || ended > 1 {
        found.push(format!("begun {begun} times, brought to its end {ended} times"));
    }
    if begun > 0 && !had_word {
        found.push("begun without the last word".to_owned());
    }
    let fits = match (sync.status.as_str(), sync.action.as_str()) {
        ("succeeded", "created" | "updated") => (begun, ended) == (1, 1),
        ("succeeded", "skipped") | ("superseded" | "skipped", _) => begun == 0,
        // By a person, who settled what nobody knows.
        ("failed", _) => was_unknown,
        _ => false,
    };
    if !fits {
        found.push(format!("shown as {} ({:?}), and was begun {begun} times, ended {ended} times", sync.status, sync.action));
    }
    found
}

fn of_tags(runs: &[Told], tags: &[Tag]) -> Vec<String> {
    let mut found = Vec::new();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for Tag { update, kind, commit } in tags {
        *times.entry(&update.reference).or_default() += 1;
        if update.old != NOTHING || update.new == NOTHING {
            found.push(format!("a tag was moved or removed: {update:?}"));
        }
        let made = |told: &Told| {
            let named = |event: &serde_json::Value| event["release"]["tag"].as_str().map(|tag| format!("refs/tags/{tag}"));
            told.commit == *commit && told.log.of("release_made").any(|event| named(event).as_ref() == Some(&update.reference))
        };
        if kind != "tag" || !runs.iter().any(made) {
            found.push(format!("a {kind} at {commit} that no run tells of: {update:?}"));
        }
    }
    found.extend(times.into_iter().filter(|(_, times)| *times > 1).map(|(tag, times)| format!("{tag} was pushed {times} times")));
    for told in runs {
        if told.log.of("release_made").any(|event| event["release"]["existed"] == true) {
            found.push(format!("run {} made its tag, and says that it was there already", told.log.id));
        }
        let (made, tags) = (told.log.count("release_made"), tags.iter().filter(|tag| tag.commit == told.commit).count());
        if told.releases && (made, tags) != (1, 1) {
            found.push(format!("run {} made {made} releases, and there are {tags} tags of its commit", told.log.id));
        }
    }
    found
}

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod tests;
