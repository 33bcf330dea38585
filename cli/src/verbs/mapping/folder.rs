//! The folder of a repository as it lies on the disk: the names of its files, and the two that say what its services are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use services::selection::ChangedFile;
use services::{manifest, mapping};

use crate::files;
use crate::problem::CliError;

/// Most files that are looked at; workers take as many.
const MOST_FILES: usize = 500_000;
const GIT: &str = ".git";

/// A file that was read.
#[derive(Debug)]
pub(super) struct Text {
    /// As problems name it.
    pub(super) name: String,
    pub(super) text: String,
}

/// What of a repository decides.
#[derive(Debug)]
pub(super) struct Repository {
    /// Paths from its root, with `/`.
    pub(super) files: BTreeSet<String>,
    pub(super) mapping: Option<Text>,
    pub(super) manifest: Option<Text>,
}

/// Reads a folder, or the folder of a mapping.
pub(super) fn open(path: &Path) -> Result<Repository, CliError> {
    let about = std::fs::metadata(path).map_err(|source| CliError::File { operation: "read", path: path.to_owned(), source })?;
    let (root, mapping) = if about.is_dir() {
        (path, path.join(mapping::FILE))
    } else {
        let root = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        (root, path.to_owned())
    };
    if mapping.file_name().is_some_and(|name| name == manifest::FILE) {
        let next = format!("give the folder, or the {} beside it", mapping::FILE);
        return Err(CliError::usage(format!("{} is no mapping", path.display()), next));
    }
    let name = mapping.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Repository { files: files(root)?, mapping: text(&mapping, &name)?, manifest: text(&root.join(manifest::FILE), manifest::FILE)? })
}

fn text(path: &Path, name: &str) -> Result<Option<Text>, CliError> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let text = files::text(path)?.expose().to_owned();
    Ok(Some(Text { name: name.to_owned(), text }))
}

/// Names of all files below a folder but git's own. Symbolic links are files, as they are to git.
fn files(root: &Path) -> Result<BTreeSet<String>, CliError> {
    let mut found = BTreeSet::new();
    let mut folders: Vec<(PathBuf, String)> = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let failed = |source| CliError::File { operation: "read", path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name == GIT {
                continue;
            }
            let path = format!("{prefix}{}", name.to_string_lossy());
            if entry.file_type().map_err(failed)?.is_dir() {
                folders.push((entry.path(), format!("{path}/")));
            } else {
                found.insert(path);
            }
            if found.len() > MOST_FILES {
                let what = format!("{} has more than {MOST_FILES} files", root.display());
                return Err(CliError::usage(what, "is it the folder of a repository?"));
            }
        }
    }
    Ok(found)
}

/// The files that a push is said to touch; `None`: no push is asked about.
pub(super) fn changed(repository: &Repository, given: &[String]) -> Result<Option<Vec<ChangedFile>>, CliError> {
    if given.is_empty() {
        return Ok(None);
    }
    let mut paths: Vec<String> = Vec::new();
    for path in given {
        if path == "-" {
            let text = files::job(Path::new("-"))?;
            paths.extend(text.expose().lines().filter(|line| !line.is_empty()).map(str::to_owned));
        } else {
            paths.push(path.clone());
        }
    }
    paths.into_iter().map(|path| one(repository, &path)).collect::<Result<_, _>>().map(Some)
}

fn one(repository: &Repository, path: &str) -> Result<ChangedFile, CliError> {
    let path = path.strip_prefix("./").unwrap_or(path);
    if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..") {
        let next = "write it as git prints it, such as platform/01.postgres/compose.yaml";
        return Err(CliError::usage(format!("`{path}` is no path from the repository's root"), next));
    }
    let folder = format!("{}/", path.trim_end_matches('/'));
    let below = repository.files.range(folder.clone()..).next();
    if below.is_some_and(|file| file.starts_with(&folder)) {
        return Err(CliError::usage(format!("`{path}` is a folder"), "name files: git tells of nothing else"));
    }
    Ok(ChangedFile { path: path.to_owned(), removed: !repository.files.contains(path) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn a_folder_and_its_mapping_are_the_same_and_gits_files_are_none() {
        let dir = repository(&[("navvy.yaml", "version: 1\n"), ("a/b/c", ""), (".git/config", ""), ("deploy-dependencies.yaml", "x")]);
        let of_folder = open(dir.path()).unwrap();
        let of_file = open(&dir.path().join("navvy.yaml")).unwrap();
        assert_eq!(of_folder.files.iter().map(String::as_str).collect::<Vec<_>>(), ["a/b/c", "deploy-dependencies.yaml", "navvy.yaml"]);
        assert_eq!(of_folder.files, of_file.files);
        assert_eq!(of_file.mapping.unwrap().text, "version: 1\n");
        assert_eq!(of_folder.manifest.unwrap().text, "x");
        assert!(open(&dir.path().join("deploy-dependencies.yaml")).unwrap_err().to_string().contains("is no mapping"));
        assert!(matches!(open(&dir.path().join("gone")), Err(CliError::File { .. })));
    }

    #[test]
    fn what_a_push_touches_is_there_or_removed() {
        let dir = repository(&[("a/b", "")]);
        let repository = open(dir.path()).unwrap();
        let changed = |path: &str| changed(&repository, &[path.to_owned()]).map(|files| files.unwrap()[0].clone());
        assert_eq!(changed("./a/b").unwrap(), ChangedFile { path: "a/b".into(), removed: false });
        assert_eq!(changed("a/c").unwrap(), ChangedFile { path: "a/c".into(), removed: true });
        for bad in ["/a/b", "../a", "", "a", "a/"] {
            assert!(matches!(changed(bad), Err(CliError::Usage { .. })), "{bad}");
        }
        assert_eq!(super::changed(&repository, &[]).unwrap(), None);
    }
}
