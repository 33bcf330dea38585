//! Repositories behind `git http-backend`, made with the git program.

use crate::fixture::Fixture;
use anyhow::{Context as _, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A git server on loopback.
#[derive(Debug)]
pub struct GitServer {
    dir: TempDir,
    /// Running; `.host()` is what must be allowed.
    pub server: Fixture,
}

/// A repository on a [`GitServer`], with a work tree to commit from.
#[derive(Debug)]
pub struct Repo {
    work: PathBuf,
    /// Address for `git_url`.
    pub url: String,
}

impl GitServer {
    /// Open to everybody.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// Asks for this login.
    pub fn private(user: &str, password: &str) -> anyhow::Result<Self> {
        Self::start_with(&["--user", user, "--password", password])
    }

    /// Asks for this login, and then sends whoever wants something below `/moved` to another server.
    pub fn private_and_partly_moved(user: &str, password: &str, to: &str) -> anyhow::Result<Self> {
        Self::start_with(&["--user", user, "--password", password, "--redirect-to", to, "--redirect-under", "/moved"])
    }

    fn start_with(args: &[&str]) -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        let root = dir.path().join("served");
        fs::create_dir(&root)?;
        let mut all = vec!["--root", root.to_str().context("a readable path")?, "--listen", "127.0.0.1:0"];
        all.extend(args);
        Ok(Self { server: Fixture::start("git_http_server.py", &all)?, dir })
    }

    /// A new repository whose branch `main` holds these files.
    pub fn repo(&self, name: &str, files: &[(&str, &str)]) -> anyhow::Result<Repo> {
        let url = format!("{}/{name}.git", self.server.url);
        Repo::create(self.dir.path(), &self.dir.path().join("served").join(format!("{name}.git")), url, files)
    }
}

impl Repo {
    /// A bare repository at `bare`, which a server shows as `url`, and a work tree below `dir`.
    pub(crate) fn create(dir: &Path, bare: &Path, url: String, files: &[(&str, &str)]) -> anyhow::Result<Self> {
        let work = dir.join("work").join(bare.file_stem().context("a name")?);
        fs::create_dir_all(&work)?;
        git(dir, &["init", "-q", "--bare", "-b", "main", text(bare)?])?;
        // Releases are tags that the fleet pushes.
        git(bare, &["config", "http.receivepack", "true"])?;
        git(&work, &["init", "-q", "-b", "main"])?;
        git(&work, &["remote", "add", "origin", text(bare)?])?;
        let repo = Self { work, url };
        repo.commit(files)?;
        Ok(repo)
    }

    /// Commits these files on the current branch and pushes it; the commit's id.
    pub fn commit(&self, files: &[(&str, &str)]) -> anyhow::Result<String> {
        for (path, content) in files {
            let path = self.work.join(path);
            fs::create_dir_all(path.parent().context("below the work tree")?)?;
            fs::write(path, content)?;
        }
        self.git(&["add", "-A"])?;
        self.git(&["commit", "-q", "--allow-empty", "-m", "change"])?;
        self.git(&["push", "-q", "origin", "HEAD"])?;
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git in the work tree; its output, trimmed.
    pub fn git(&self, args: &[&str]) -> anyhow::Result<String> {
        git(&self.work, args)
    }

    /// The bare repository that the server shows.
    pub fn bare(&self) -> anyhow::Result<PathBuf> {
        Ok(self.git(&["remote", "get-url", "origin"])?.into())
    }

    /// The work tree.
    pub fn work(&self) -> &Path {
        &self.work
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a readable path")
}

fn git(dir: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()?;
    if !output.status.success() {
        bail!("git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
