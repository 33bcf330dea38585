//! Reads the file. All that is wrong is told at once, with line and column.

use super::{BOOTSTRAP, Layer, Mapping, Mention, Project, Rule, Then, builtin, cycle, service, twins};
use crate::{
    FileProblems,
    glob::Pattern,
    yaml::{self, Key, Kind, Node, Problems},
};
use proto::{path::RepoPath, sync::ServiceId};
use std::collections::BTreeMap;

/// Of the file, in bytes. It goes into the record of every run that it decides.
const MOST_BYTES: usize = 256 * 1024;
const MOST_PROJECTS: usize = 100;
const MOST_LAYERS: usize = 50;
const MOST_RULES: usize = 200;
const MOST_SERVICES: usize = 1000;
/// Of one list.
pub(super) const MOST_LISTED: usize = 200;
/// Of the whole file: every changed path is held against all of them.
const MOST_GLOBS: usize = 2000;
/// Names of services in the whole file.
const MOST_MENTIONS: usize = 5000;
const MOST_REASON: usize = 500;
const MAP: &str = "the file";

/// What is read so far.
pub(super) struct Reading {
    pub(super) problems: Problems,
    pub(super) mentions: Vec<Mention>,
    globs: usize,
}

/// Reads a mapping. `file` is the name that problems are told with, usually [`super::FILE`].
pub fn parse(file: &str, text: &str) -> Result<Mapping, FileProblems> {
    let root = yaml::parse(file, text, MOST_BYTES)?;
    let mut reading = Reading { problems: Problems::of(file), mentions: Vec::new(), globs: 0 };
    let fields = reading.problems.fields(&root, MAP, &["version", "projects", "layers", "rules", "services"]);
    reading.problems.version_1(&fields);
    let projects = fields.get("projects").map_or_else(builtin::projects, |node| reading.projects(node));
    let layers = fields.get("layers").map_or_else(builtin::layers, |node| reading.layers(node));
    let rules = fields.get("rules").map_or_else(builtin::rules, |node| reading.rules(node));
    let mut services = BTreeMap::new();
    if let Some(node) = fields.get("services") {
        for (key, node) in reading.problems.map(node, "services", MOST_SERVICES) {
            if let Some(id) = reading.service_key(key) {
                let declared = service::read(&mut reading, &id, node);
                services.insert(id, declared);
            }
        }
        reading.cycles(node, &services);
        reading.twins(node, &services);
    }
    if reading.globs > MOST_GLOBS {
        reading.problems.add(root.place, format!("{} globs, and {MOST_GLOBS} at most are read: write fewer", reading.globs));
    }
    if reading.mentions.len() > MOST_MENTIONS {
        let count = reading.mentions.len();
        reading.problems.add(root.place, format!("services are named {count} times, and {MOST_MENTIONS} times at most are read"));
    }
    let Reading { problems, mentions, .. } = reading;
    problems.or(Mapping { projects, layers, rules, services, mentions })
}

impl Reading {
    fn projects(&mut self, node: &Node) -> BTreeMap<String, Project> {
        let mut projects = builtin::projects();
        for (key, node) in self.problems.map(node, "projects", MOST_PROJECTS) {
            self.project_name(key.place, &key.name);
            let what = format!("project {}", key.name.escape_debug());
            let fields = self.problems.fields(node, &what, &["managed", "reason", "prefix"]);
            let project = projects.entry(key.name.clone()).or_default();
            if let Some(node) = fields.get("managed") {
                project.managed = self.problems.truth(node, "managed");
                if key.name == BOOTSTRAP && project.managed == Some(true) {
                    project.managed = Some(false);
                    let why = "bootstrap cannot be managed: the runner would deploy itself and what it needs to run. Deploy it by hand";
                    self.problems.add(node.place, why);
                }
            }
            if let Some(node) = fields.get("reason") {
                project.reason = self.problems.text(node, "reason", MOST_REASON).map(str::to_owned);
            }
            if let Some(node) = fields.get("prefix") {
                project.prefix = self.prefix(node);
            }
        }
        projects
    }

    /// `""` is a prefix too: that of the platform.
    fn prefix(&mut self, node: &Node) -> String {
        match node.text() {
            Some("") => String::new(),
            Some(text) if text.len() <= 32 && is_task(text) => text.to_owned(),
            Some(_) | None => {
                self.problems
                    .add(node.place, "prefix must be a text of at most 32 of a-z, A-Z, 0-9, `.`, `_` and `-`, not starting with `-`");
                String::new()
            }
        }
    }

    fn project_name(&mut self, place: yaml::Place, name: &str) {
        if let Err(error) = ServiceId::new(name, "x") {
            self.problems.add(place, format!("this is no name of a project: {error}"));
        }
    }

    fn layers(&mut self, node: &Node) -> Vec<Layer> {
        let mut layers: Vec<Layer> = Vec::new();
        for node in self.problems.list(node, "layers", MOST_LAYERS) {
            let fields = self.problems.fields(node, "a layer", &["folder", "project"]);
            let (Some(folder), Some(project)) = (fields.get("folder"), fields.get("project")) else {
                self.problems.add(node.place, "a layer has a `folder` and the `project` that its services belong to");
                continue;
            };
            let place = folder.place;
            let folder = self.problems.parsed::<RepoPath>(folder, "folder");
            let name = self.problems.text(project, "project", 63);
            let (Some(folder), Some(name)) = (folder, name) else { continue };
            self.project_name(project.place, name);
            self.not_bootstrap(place, &folder, name);
            if layers.iter().any(|layer| layer.folder == folder) {
                self.problems.add(place, format!("the folder {folder} is a layer already: remove one of the two"));
            }
            layers.push(Layer { folder, project: name.to_owned() });
        }
        // Known even where the file is silent about it, so that what lies in it is told apart from everything else.
        let bootstrap = builtin::layers().into_iter().filter(|layer| layer.project == BOOTSTRAP);
        let silent = |layer: &Layer| layers.iter().all(|given| given.folder != layer.folder);
        let bootstrap: Vec<Layer> = bootstrap.filter(silent).collect();
        layers.extend(bootstrap);
        layers
    }

    /// The bootstrap's folder belongs to nobody else: under another name it would be synced.
    pub(super) fn not_bootstrap(&mut self, place: yaml::Place, folder: &RepoPath, project: &str) {
        if folder.as_str().split('/').next() == Some(BOOTSTRAP) && project != BOOTSTRAP {
            let why = "services in the folder bootstrap belong to the project bootstrap, which is deployed by hand: the runner would deploy itself";
            self.problems.add(place, why);
        }
    }

    fn rules(&mut self, node: &Node) -> Vec<Rule> {
        let mut rules = Vec::new();
        for node in self.problems.list(node, "rules", MOST_RULES) {
            let fields = self.problems.fields(node, "a rule", &["paths", "then", "reason"]);
            let (Some(paths), Some(then)) = (fields.get("paths"), fields.get("then")) else {
                self.problems.add(node.place, "a rule has `paths` (globs) and `then` (all, skip, or `services:` with a list)");
                continue;
            };
            let paths = self.globs(paths, "paths");
            let then = self.then(then);
            let reason = fields.get("reason").and_then(|node| self.problems.text(node, "reason", MOST_REASON)).map(str::to_owned);
            if let Some(then) = then {
                rules.push(Rule { paths, then, reason });
            }
        }
        rules
    }

    fn then(&mut self, node: &Node) -> Option<Then> {
        match (&node.kind, node.text()) {
            (_, Some("all")) => return Some(Then::All),
            (_, Some("skip")) => return Some(Then::Skip),
            (Kind::Map(_), _) => {
                let fields = self.problems.fields(node, "then", &["services"]);
                if let Some(list) = fields.get("services") {
                    return Some(Then::Services(self.services(list, "a rule")));
                }
            }
            (Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) | Kind::List(_), _) => {}
        }
        self.problems.add(node.place, "then must be `all`, `skip`, or `services:` with a list of services");
        None
    }

    /// A list of services, noted to be looked up once they are known.
    pub(super) fn services(&mut self, node: &Node, what: &'static str) -> Vec<ServiceId> {
        let mut services = Vec::new();
        for node in self.problems.list(node, what, MOST_LISTED) {
            let Some(service) = self.problems.parsed::<ServiceId>(node, what) else { continue };
            if service.project() == BOOTSTRAP {
                self.problems.add(node.place, format!("{what} names {service}, and the bootstrap is deployed by hand: remove it"));
            }
            self.mentions.push(Mention { place: node.place, service: service.clone(), what });
            services.push(service);
        }
        services
    }

    pub(super) fn globs(&mut self, node: &Node, what: &str) -> Vec<Pattern> {
        let nodes = self.problems.list(node, what, MOST_LISTED);
        self.globs += nodes.len();
        nodes.iter().filter_map(|node| self.problems.parsed(node, what)).collect()
    }

    fn service_key(&mut self, key: &Key) -> Option<ServiceId> {
        key.name.parse().map_err(|error| self.problems.add(key.place, format!("services: {error}"))).ok()
    }

    fn cycles(&mut self, node: &Node, services: &BTreeMap<ServiceId, super::Declared>) {
        let after = services.iter().map(|(id, declared)| (id, declared.after.as_slice())).collect();
        for cycle in cycle::cycles(&after) {
            let first = cycle.first().map(ToString::to_string).unwrap_or_default();
            let place = node.get(&first).and_then(|node| node.get("after")).map_or(node.place, |node| node.place);
            self.problems.add(place, format!("services wait for one another: {}. Remove one `after` of these", cycle::told(&cycle)));
        }
    }

    /// Two services of one place would take turns in replacing one another.
    fn twins(&mut self, node: &Node, services: &BTreeMap<ServiceId, super::Declared>) {
        for twins::Twins { first, second, place } in twins::twins(services) {
            let at = node.get(&second.to_string()).and_then(|node| node.get("executor")).map_or(node.place, |node| node.place);
            let why =
                format!("{second} and {first} are both {place}, and each sync would replace the other: give one of them another name");
            self.problems.add(at, why);
        }
    }
}

/// What a task may be called: it becomes an argument of a command.
pub(super) fn is_task(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
