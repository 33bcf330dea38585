//! The table that decides where a repository has no mapping.

use super::{BOOTSTRAP, Layer, Mapping, Project, Rule, Then};
use proto::path::RepoPath;
use std::collections::BTreeMap;

const BY_HAND: &str = "the bootstrap is deployed by hand: the runner must never deploy itself or what it needs to run";
const OWN_CI: &str = "an app that its own CI deploys";

impl Mapping {
    /// The built-in table: services of `platform/{NN}.{service}`, all of them on a change in `libs/`; bootstrap by hand, apps
    /// by their own CI.
    pub fn built_in() -> Self {
        Self { projects: projects(), layers: layers(), rules: rules(), services: BTreeMap::new(), mentions: Vec::new() }
    }
}

pub(super) fn projects() -> BTreeMap<String, Project> {
    [
        ("platform", None, None, ""),
        (BOOTSTRAP, Some(false), Some(BY_HAND), ""),
        ("finance_report", None, Some(OWN_CI), "fr-"),
        ("finance", None, Some(OWN_CI), ""),
        ("truealpha", None, Some(OWN_CI), "ta-"),
    ]
    .into_iter()
    .map(|(name, managed, reason, prefix)| {
        let reason = reason.map(str::to_owned);
        (name.to_owned(), Project { managed, reason, prefix: prefix.to_owned() })
    })
    .collect()
}

pub(super) fn layers() -> Vec<Layer> {
    [("platform", "platform"), ("finance_report/finance_report", "finance_report"), (BOOTSTRAP, BOOTSTRAP)]
        .into_iter()
        .filter_map(|(folder, project)| Some(Layer { folder: folder.parse::<RepoPath>().ok()?, project: project.to_owned() }))
        .collect()
}

pub(super) fn rules() -> Vec<Rule> {
    let reason = Some("every service may use it".to_owned());
    "libs/**".parse().into_iter().map(|glob| Rule { paths: vec![glob], then: Then::All, reason: reason.clone() }).collect()
}
