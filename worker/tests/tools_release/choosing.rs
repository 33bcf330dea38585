//! Which of the installed versions a job gets, and what it is told when there is none.

use crate::mirror::program;
use proto::terraform::{Tool, ToolUsed};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use worker::tools::{Settings, ToolError, Tools};

/// A worker with versions in its folder, perhaps one in PATH, and a checkout.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    pub(crate) settings: Settings,
}

impl Site {
    pub(crate) fn new(in_folder: &[&str], in_path: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (tools, bin) = (dir.path().join("tools"), dir.path().join("bin"));
        for version in in_folder {
            executable(&tools.join("terraform").join(version).join("terraform"), &program(version));
        }
        if let Some(version) = in_path {
            executable(&bin.join("terraform"), &program(version));
        }
        fs::create_dir_all(dir.path().join("checkout")).expect("made");
        let settings = Settings { dir: tools, search_path: bin.into_os_string(), ..Settings::default() };
        Self { dir, settings }
    }

    pub(crate) fn with_file(self, name: &str, text: &str) -> Self {
        fs::write(self.dir.path().join("checkout").join(name), text).expect("written");
        self
    }

    pub(crate) fn installed(&self, version: &str) -> PathBuf {
        self.settings.dir.join("terraform").join(version).join("terraform")
    }

    pub(crate) async fn resolve(&self, requested: Option<&str>) -> Result<(String, String), ToolError> {
        self.resolve_with(&Tools::new(self.settings.clone()), requested).await
    }

    pub(crate) async fn resolve_with(&self, tools: &Tools, requested: Option<&str>) -> Result<(String, String), ToolError> {
        let checkout = self.dir.path().join("checkout");
        tools.resolve(Tool::Terraform, requested, &checkout, &checkout).await.map(|tool| (tool.used.version, tool.asked_by))
    }
}

pub(crate) fn executable(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("inside")).expect("made");
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
}

#[tokio::test]
async fn the_worker_decides_only_when_nobody_else_does() {
    let all = ["1.9.8", "1.10.5", "1.12.0-beta1"];
    for (file, text, requested, expected) in [
        (None, "", None, ("1.11.4", "nobody")),
        (None, "", Some("1.9.8"), ("1.9.8", "the request")),
        (None, "", Some("1.11.4"), ("1.11.4", "the request")),
        (Some(".terraform-version"), "1.10.5", None, ("1.10.5", "`.terraform-version`")),
        (Some(".terraform-version"), "1.10.5", Some("1.9.8"), ("1.9.8", "the request")),
        (Some(".tool-versions"), "terraform 1.9.8", None, ("1.9.8", "`.tool-versions`")),
        // The default fits, so it stays, although others fit too.
        (Some("a.tf"), "terraform {\n  required_version = \">= 1.9\"\n}", None, ("1.11.4", "`required_version` in a.tf")),
        (Some("a.tf"), "terraform {\n  required_version = \"< 1.11\"\n}", None, ("1.10.5", "`required_version` in a.tf")),
        (Some(".terraform-version"), "latest", None, ("1.11.4", "`.terraform-version`")),
        (Some(".terraform-version"), "min-required", None, ("1.9.8", "`.terraform-version`")),
    ] {
        let site = Site::new(&all, Some("1.11.4"));
        let site = match file {
            Some(file) => site.with_file(file, text),
            None => site,
        };
        let found = site.resolve(requested).await.expect(text);
        assert_eq!(found, (expected.0.to_owned(), expected.1.to_owned()), "{file:?} {text}");
    }
}

#[tokio::test]
async fn the_default_is_the_setting_else_path_else_the_newest_release() {
    let mut site = Site::new(&["1.9.8", "1.10.5", "1.12.0-beta1"], None);
    assert_eq!(site.resolve(None).await.expect("found").0, "1.10.5");
    site.settings.default_terraform = Some("1.9.8".to_owned());
    assert_eq!(site.resolve(None).await.expect("found").0, "1.9.8");
    let none = Site::new(&[], None).resolve(None).await.expect_err("nothing there");
    assert_eq!((none.to_failure("init").kind.as_str(), none.to_string().as_str()), ("tool_missing", "this worker has no terraform"));
}

#[tokio::test]
async fn a_missing_version_is_told_with_who_asked_and_what_is_there() {
    let site = Site::new(&["1.9.8", "1.10.5"], Some("1.11.4")).with_file(".terraform-version", "1.8.0");
    let failure = site.resolve(None).await.expect_err("missing").to_failure("init");
    assert_eq!(failure.kind, "tool_missing");
    assert_eq!(
        failure.message,
        "`.terraform-version` asks for terraform 1.8.0, and this worker has 1.9.8, 1.10.5, 1.11.4: it may not fetch others (worker.tools.may_download is off)"
    );
    assert!(failure.next_action.contains("worker.tools.dir"), "{}", failure.next_action);
    let site = Site::new(&["1.9.8"], None).with_file("a.tf", "terraform {\n  required_version = \"< 1.9\"\n}");
    let failure = site.resolve(None).await.expect_err("missing").to_failure("init");
    assert!(
        failure.message.starts_with("`required_version` in a.tf asks for terraform < 1.9, and this worker has 1.9.8"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn old_versions_are_refused_even_if_they_are_installed() {
    let site = Site::new(&["1.5.6", "1.5.7"], Some("1.2.0"));
    for requested in [Some("1.5.6"), Some("1.2.0"), Some("0.12.0"), None] {
        let failure = site.resolve(requested).await.expect_err("too old").to_failure("init");
        assert!(failure.kind == "tool_version" && failure.message.contains("CVE-2023-4782"), "{}", failure.message);
    }
    assert_eq!(site.resolve(Some("1.5.7")).await.expect("new enough").0, "1.5.7");
}

#[tokio::test]
async fn a_program_is_what_it_says_and_not_what_its_folder_is_called() {
    let site = Site::new(&["1.9.8"], None);
    executable(&site.installed("1.10.5"), &program("1.9.8"));
    executable(&site.installed("1.11.0"), "#!/bin/sh\nexit 1\n");
    executable(&site.installed("1.11.1"), "#!/bin/sh\necho hello\n");
    for requested in ["1.10.5", "1.11.0", "1.11.1"] {
        let failure = site.resolve(Some(requested)).await.expect_err(requested).to_failure("init");
        assert_eq!(failure.kind, "tool_broken", "{}", failure.message);
    }
}

#[tokio::test]
async fn a_plan_is_applied_by_the_same_version_or_not_at_all() {
    let site = Site::new(&["1.9.8"], Some("1.11.4"));
    let tools = Tools::new(site.settings.clone());
    let used = |version: &str| ToolUsed { tool: Tool::Terraform, version: version.to_owned() };
    let same = tools.same_as(&used("1.9.8")).await.expect("installed");
    assert_eq!((same.used, same.program), (used("1.9.8"), site.installed("1.9.8")));
    let other = tools.same_as(&used("1.9.7")).await.expect_err("not installed");
    assert!(other.to_string().starts_with("the plan, which only the same version may apply, asks for terraform 1.9.7"), "{other}");
    assert_eq!(tools.installed(Tool::Terraform).await, [used("1.11.4"), used("1.9.8")]);
    assert_eq!(tools.installed(Tool::Tofu).await, []);
}
