//! What a compose file names that lies in the repository. Lenient: what has another shape than expected names nothing, because
//! docker will say so itself.

use super::join;
use crate::{
    FileProblems,
    layout::split,
    told,
    yaml::{self, Node},
};
use proto::path::RepoPath;

const MOST_BYTES: usize = 1024 * 1024;

/// What a compose file names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ComposeInputs {
    pub builds: Vec<Build>,
    /// Relative bind mounts.
    pub mounts: Vec<RepoPath>,
    /// Other files and folders.
    pub read: Vec<RepoPath>,
    /// What could not be followed.
    pub notes: Vec<String>,
}

/// An image that is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub context: RepoPath,
    /// Relative to the root of the repository. Absent: it stands in the compose file, or cannot be told.
    pub dockerfile: Option<RepoPath>,
    /// The Dockerfile that stands in the compose file.
    pub inline: Option<String>,
}

/// Reads a compose file; `file` is its path in the repository, which its own paths are relative to.
pub fn of_compose(file: &RepoPath, text: &str) -> Result<ComposeInputs, FileProblems> {
    let root = yaml::parse(file.as_str(), text, MOST_BYTES)?;
    let mut reading = Reading { dir: split(file.as_str()).0, inputs: ComposeInputs::default() };
    for (_, service) in root.get("services").map(Node::entries).unwrap_or_default() {
        reading.service(service);
    }
    for section in ["configs", "secrets"] {
        for (_, entry) in root.get(section).map(Node::entries).unwrap_or_default() {
            reading.read(entry.get("file"));
        }
    }
    for entry in root.get("include").map(Node::items).unwrap_or_default() {
        reading.read(Some(entry));
        for field in ["path", "env_file"] {
            reading.read_all(entry.get(field));
        }
    }
    Ok(reading.inputs)
}

struct Reading<'a> {
    /// Folder of the compose file.
    dir: &'a str,
    inputs: ComposeInputs,
}

impl Reading<'_> {
    fn service(&mut self, service: &Node) {
        if let Some(build) = service.get("build") {
            self.build(build);
        }
        for volume in service.get("volumes").map(Node::items).unwrap_or_default() {
            let source = match volume.text() {
                Some(short) => short.split(':').next().filter(|source| source.starts_with('.')),
                None if volume.get("type").and_then(Node::text) == Some("bind") => volume.get("source").and_then(Node::text),
                None => None,
            };
            if let Some(path) = source.and_then(|source| self.resolve(source, "a bind mount")) {
                self.inputs.mounts.push(path);
            }
        }
        for field in ["env_file", "label_file"] {
            self.read_all(service.get(field));
        }
        self.read(service.get("extends").and_then(|extends| extends.get("file")));
    }

    fn build(&mut self, build: &Node) {
        let text = |field: &str| build.get(field).and_then(Node::text);
        let Some(context) = self.resolve(build.text().or_else(|| text("context")).unwrap_or("."), "a build context") else { return };
        for (_, other) in build.get("additional_contexts").map(Node::entries).unwrap_or_default() {
            self.read(Some(other).filter(|other| other.text().is_some_and(is_folder)));
        }
        for other in build.get("additional_contexts").map(Node::items).unwrap_or_default() {
            let folder = other.text().and_then(|text| text.split_once('=')).map(|(_, folder)| folder).filter(|folder| is_folder(folder));
            if let Some(path) = folder.and_then(|folder| self.resolve(folder, "a build context")) {
                self.inputs.read.push(path);
            }
        }
        let inline = text("dockerfile_inline").map(str::to_owned);
        let name = text("dockerfile").unwrap_or("Dockerfile");
        let dockerfile = if inline.is_some() { None } else { join(context.as_str(), name).filter(|_| !name.contains('$')) };
        self.inputs.builds.push(Build { context, dockerfile, inline });
    }

    /// A text, a list of texts, or of maps with `path`.
    fn read_all(&mut self, node: Option<&Node>) {
        self.read(node);
        for item in node.map(Node::items).unwrap_or_default() {
            self.read(Some(item));
            self.read(item.get("path"));
        }
    }

    fn read(&mut self, node: Option<&Node>) {
        if let Some(path) = node.and_then(Node::text).and_then(|text| self.resolve(text, "a file")) {
            self.inputs.read.push(path);
        }
    }

    /// A path of the repository. Absolute paths are the host's and no concern of ours.
    fn resolve(&mut self, text: &str, what: &str) -> Option<RepoPath> {
        if text.starts_with(['/', '~', '$']) {
            return None;
        }
        if !is_folder(text) {
            self.inputs.notes.push(format!("{what} is fetched from elsewhere and not followed: `{}`", told::path(text)));
            return None;
        }
        let path = if text.contains('$') { None } else { join(self.dir, text) };
        if path.is_none() {
            self.inputs.notes.push(format!("{what} cannot be followed: `{}` has a variable or leaves the repository", told::path(text)));
        }
        path
    }
}

/// Not an address, an image or a stage.
fn is_folder(text: &str) -> bool {
    !text.contains("://") && !text.starts_with("git@") && !text.starts_with("service:")
}
