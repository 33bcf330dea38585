//! Which version is wanted, and who says so: the request, else a version file, else the configuration, else the worker.

use super::{
    configuration,
    error::ToolError,
    version::{self, Constraints},
};
use proto::terraform::Tool;
use semver::Version;
use std::io::Read as _;
use std::path::Path;

/// Longest version file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// A wish and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) wanted: Wanted,
    /// For people: `the request`, "`envs/prod/.terraform-version`".
    pub(super) by: String,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Exact(Version),
    Matching(Constraints),
    /// The newest release of those that are installed and that the constraints take.
    Newest(Constraints),
    /// The oldest release of those that are installed and that the constraints take.
    Oldest(Constraints),
    /// Whatever the worker uses when nobody asks.
    Default,
}

/// The file that speaks for one tool alone.
fn own_file(tool: Tool) -> &'static str {
    match tool {
        Tool::Terraform => ".terraform-version",
        Tool::Tofu => ".opentofu-version",
    }
}

/// Names of a tool in `.tool-versions`.
fn names(tool: Tool) -> &'static [&'static str] {
    match tool {
        Tool::Terraform => &["terraform"],
        Tool::Tofu => &["opentofu", "tofu"],
    }
}

/// Finds the wish for the folder `dir` inside the checkout `root`. Both must be resolved paths, `dir` below `root`.
pub(super) fn find(tool: Tool, requested: Option<&str>, root: &Path, dir: &Path) -> Result<Asked, ToolError> {
    if let Some(text) = requested {
        let by = "the request".to_owned();
        let exact = version::exact(text).map_err(|why| ToolError::unusable(tool, &by, text, &why))?;
        return Ok(Asked { wanted: Wanted::Exact(exact), by });
    }
    if let Some((text, by)) = in_files(tool, root, dir)? {
        let wanted = in_words(tool, &text, &by, dir)?;
        return Ok(Asked { wanted, by });
    }
    let required = required(tool, dir)?;
    let files: Vec<String> = required.iter().map(|one| format!("`required_version` in {}", one.file.escape_debug())).collect();
    let constraints = configuration::together(&required);
    if constraints.is_empty() {
        return Ok(Asked { wanted: Wanted::Default, by: "nobody".to_owned() });
    }
    Ok(Asked { wanted: Wanted::Matching(constraints), by: files.join(" and ") })
}

fn required(tool: Tool, dir: &Path) -> Result<Vec<configuration::Required>, ToolError> {
    configuration::required_versions(tool, dir).map_err(ToolError::storage("read the configuration in", dir))
}

/// The words of the version switchers that people use beside Navvy.
fn in_words(tool: Tool, text: &str, by: &str, dir: &Path) -> Result<Wanted, ToolError> {
    let constraints = || required(tool, dir).map(|found| configuration::together(&found));
    match text {
        // What exists in the world changes by the day; what is installed is the operator's choice.
        "latest" => return Ok(Wanted::Newest(Constraints::default())),
        "latest-allowed" => return Ok(Wanted::Newest(constraints()?)),
        "min-required" => return Ok(Wanted::Oldest(constraints()?)),
        "system" => return Ok(Wanted::Default),
        _ => {}
    }
    if text.starts_with("latest:") || text.starts_with("ref:") || text.starts_with("path:") {
        let why = "this form is not supported; write an exact version such as 1.11.4, a constraint such as `~> 1.11.0`, or `latest`";
        return Err(ToolError::Unusable { tool, by: by.to_owned(), text: text.escape_debug().take(80).collect(), why: why.to_owned() });
    }
    if let Ok(exact) = version::exact(text) {
        return Ok(Wanted::Exact(exact));
    }
    text.parse().map(Wanted::Matching).map_err(|why| ToolError::unusable(tool, by, text, &why))
}

/// The first version file from `dir` upwards to `root`, its wish and its name.
fn in_files(tool: Tool, root: &Path, dir: &Path) -> Result<Option<(String, String)>, ToolError> {
    let mut at = dir;
    while at.starts_with(root) {
        for name in [own_file(tool), ".tool-versions"] {
            let path = at.join(name);
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string().escape_debug().to_string();
            let Some(text) = read(&path)? else { continue };
            let wish = if name == ".tool-versions" { in_tool_versions(tool, &text) } else { first_line(&text) };
            match wish {
                Some(wish) => return Ok(Some((wish, format!("`{shown}`")))),
                // A `.tool-versions` may speak of other tools only; a file of our own that says nothing is a mistake.
                None if name == ".tool-versions" => {}
                None => {
                    let why = "the file is empty".to_owned();
                    return Err(ToolError::Unusable { tool, by: format!("`{shown}`"), text: String::new(), why });
                }
            }
        }
        let Some(parent) = at.parent() else { break };
        at = parent;
    }
    Ok(None)
}

/// The text of a plain file. A link is passed over like a file that is not there: it could lead anywhere.
fn read(path: &Path) -> Result<Option<String>, ToolError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ToolError::storage("read", path)(error)),
    }
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(ToolError::storage("open", path))?;
    file.take(MAX_FILE).read_to_end(&mut text).map_err(ToolError::storage("read", path))?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

fn first_line(text: &str) -> Option<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).next()
}

/// `terraform 1.11.4 1.10.0 # comment`: the first version counts.
fn in_tool_versions(tool: Tool, text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let name = words.next()?;
        names(tool).contains(&name).then(|| words.next().map(str::to_owned)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("envs/prod")).expect("made");
        for (name, text) in files {
            std::fs::write(root.path().join(name), text).expect("written");
        }
        root
    }

    fn found(tool: Tool, requested: Option<&str>, files: &[(&str, &str)]) -> Result<(String, String), ToolError> {
        let root = checkout(files);
        let asked = find(tool, requested, root.path(), &root.path().join("envs/prod"))?;
        let wanted = match asked.wanted {
            Wanted::Exact(version) => version.to_string(),
            Wanted::Matching(constraints) => constraints.to_string(),
            Wanted::Newest(constraints) => format!("newest {constraints}"),
            Wanted::Oldest(constraints) => format!("oldest {constraints}"),
            Wanted::Default => "default".to_owned(),
        };
        Ok((wanted, asked.by))
    }

    #[test]
    fn the_request_wins_over_the_nearest_file_over_the_configuration_over_the_worker() {
        let all = [
            (".terraform-version", "1.7.0\n"),
            ("envs/.tool-versions", "# tools\nnodejs 20.0.0\nterraform 1.8.0 1.7.0\nopentofu 1.9.1\n"),
            ("envs/prod/.terraform-version", "# pinned\n\nv1.9.0 # because\n"),
            ("envs/prod/main.tf", "terraform { required_version = \">= 1.5\" }"),
        ];
        for (requested, files, wanted, by) in [
            (Some("1.11.4"), &all[..], "1.11.4", "the request"),
            (None, &all[..], "1.9.0", "`envs/prod/.terraform-version`"),
            (None, &all[..2], "1.8.0", "`envs/.tool-versions`"),
            (None, &all[..1], "1.7.0", "`.terraform-version`"),
            (None, &all[3..], ">= 1.5", "`required_version` in main.tf"),
            (None, &[], "default", "nobody"),
        ] {
            let result = found(Tool::Terraform, requested, files).expect("found");
            assert_eq!(result, (wanted.to_owned(), by.to_owned()));
        }
        assert_eq!(found(Tool::Tofu, None, &all).expect("found").0, "1.9.1");
    }

    #[test]
    fn words_of_version_switchers_are_understood_or_refused_clearly() {
        let required = ("envs/prod/main.tf", "terraform { required_version = \"~> 1.9\" }");
        for (text, wanted) in [
            ("latest", Some("newest ")),
            ("latest-allowed", Some("newest ~> 1.9")),
            ("min-required", Some("oldest ~> 1.9")),
            ("~> 1.10.0", Some("~> 1.10.0")),
            ("system", Some("default")),
            ("latest:^1.9", None),
            ("ref:main", None),
            ("newest", None),
            ("", None),
        ] {
            let result = found(Tool::Terraform, None, &[required, (".terraform-version", text)]);
            assert_eq!(result.as_ref().ok().map(|(wanted, _)| wanted.as_str()), wanted, "{text:?}");
            if let Err(error) = result {
                assert!(error.to_string().contains("`.terraform-version`"), "{error}");
            }
        }
        assert!(found(Tool::Terraform, Some("latest"), &[]).is_err());
    }

    #[test]
    fn a_version_file_that_is_a_link_is_passed_over() {
        let root = checkout(&[("elsewhere", "1.0.0")]);
        std::os::unix::fs::symlink("/etc/passwd", root.path().join(".terraform-version")).expect("linked");
        let asked = find(Tool::Terraform, None, root.path(), root.path()).expect("found");
        assert_eq!(asked.wanted, Wanted::Default);
    }
}
