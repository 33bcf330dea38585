//! The programs a worker starts: git, ssh, terraform, tofu. Each is asked for its version.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use service::settings::Settings;

use super::Finding;
use super::version::{Version, find, is_fixed};

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(20);
/// git: below this, options that Navvy uses are missing.
const GIT_LOWEST: Version = Version(2, 30, 0);
/// git: CVE-2025-48384 and its companions, fixed in each maintained line.
const GIT_FIXED: [Version; 8] = [
    Version(2, 43, 7),
    Version(2, 44, 4),
    Version(2, 45, 4),
    Version(2, 46, 4),
    Version(2, 47, 3),
    Version(2, 48, 2),
    Version(2, 49, 1),
    Version(2, 50, 1),
];
/// terraform: CVE-2023-4782.
const TERRAFORM_FIXED: [Version; 1] = [Version(1, 5, 7)];
/// tofu: GHSA-q7j3 and GHSA-wcmj.
const TOFU_FIXED: [Version; 2] = [Version(1, 11, 10), Version(1, 12, 3)];

/// All programs.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let mut all = vec![git().await, ssh().await];
    let terraform = tool("terraform", &TERRAFORM_FIXED).await;
    let tofu = tool("tofu", &TOFU_FIXED).await;
    let installed = installed_versions(settings);
    let none = terraform.is_none() && tofu.is_none() && installed.is_empty();
    all.extend(terraform);
    all.extend(tofu);
    if !installed.is_empty() {
        let dir = settings.tools_dir();
        all.push(Finding::ok("tool versions", format!("{} in {}", installed.join(", "), dir.display())));
    }
    if none && settings.worker.tools.may_download {
        all.push(Finding::ok("terraform/tofu", "none installed; workers fetch the versions they need"));
    } else if none {
        let advice = "install terraform or OpenTofu, or allow downloads with worker.tools.may_download = true";
        all.push(Finding::fail("terraform/tofu", "neither is installed: a worker here can run nothing", advice));
    }
    all
}

/// What a program prints about its version; `None` when it is not there or does not answer.
pub(super) async fn ask(program: &Path, argument: &str) -> Option<String> {
    let mut command = tokio::process::Command::new(program);
    command.arg(argument).stdin(Stdio::null()).kill_on_drop(true).env("CHECKPOINT_DISABLE", "1");
    let output = tokio::time::timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    // ssh answers on stderr.
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    output.status.success().then(|| String::from_utf8_lossy(&text).into_owned())
}

async fn git() -> Finding {
    let install = "install git 2.50.1 or newer";
    let Some(version) = ask(Path::new("git"), "--version").await.as_deref().and_then(find) else {
        return Finding::fail("git", "not found in PATH, or it does not answer", install);
    };
    if version < GIT_LOWEST {
        return Finding::fail("git", format!("{version} is older than {GIT_LOWEST}, which workers need"), install);
    }
    if !is_fixed(version, &GIT_FIXED) {
        let what = format!("{version} may lack the fix of CVE-2025-48384 (a repository could run programs while cloned)");
        let advice = format!("{install}, or 2.43.7 and its like; distributions backport fixes without a new number: ask yours");
        return Finding::warn("git", what, advice);
    }
    Finding::ok("git", version.to_string())
}

async fn ssh() -> Finding {
    match ask(Path::new("ssh"), "-V").await {
        Some(text) => Finding::ok("ssh", text.lines().next().unwrap_or_default()),
        None => Finding::warn(
            "ssh",
            "not found in PATH: repositories with ssh addresses cannot be cloned here",
            "install the OpenSSH client, if runs use ssh addresses",
        ),
    }
}

async fn tool(name: &'static str, fixed: &[Version]) -> Option<Finding> {
    let version = ask(Path::new(name), "version").await.as_deref().and_then(find)?;
    if is_fixed(version, fixed) {
        return Some(Finding::ok(name, format!("{version} in PATH")));
    }
    let floors: Vec<String> = fixed.iter().map(ToString::to_string).collect();
    let what = format!("{version} in PATH lacks security fixes");
    Some(Finding::warn(name, what, format!("update it to {} or newer", floors.join(" or "))))
}

/// `terraform 1.11.4` and the like, from the folder of installed versions: `DIR/<tool>/<version>/<tool>`.
fn installed_versions(settings: &Settings) -> Vec<String> {
    let mut all = Vec::new();
    for name in ["terraform", "tofu"] {
        let folder: PathBuf = settings.tools_dir().join(name);
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let versions = entries.filter(|entry| entry.path().join(name).is_file());
        all.extend(versions.map(|entry| format!("{name} {}", entry.file_name().to_string_lossy())));
    }
    all.sort();
    all
}
