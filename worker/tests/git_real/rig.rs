//! Repositories to read, servers to read them from, and a cache to read them with.

use proto::git::{AllowedHosts, CommitId, GitRef, GitUrl};
use proto::terraform::GitAuth;
use proto::{Secret, git::BadGit};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;
use worker::git::{Cache, Checkout, GitError, Resolved, Settings, Source};

/// Runs git as a developer would, with a fixed identity and clock, and gives back what it prints.
pub(crate) fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"])
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_DATE", "1700000000 +0000")
        .env("GIT_COMMITTER_DATE", "1700000000 +0000")
        .output()
        .expect("git can be started");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// A folder of bare repositories.
pub(crate) struct Forge {
    pub(crate) root: TempDir,
}

impl Forge {
    /// With one repository `team/infra.git`: two commits on `main`, a tag of each kind on the first.
    pub(crate) fn new() -> Self {
        let forge = Self { root: tempfile::tempdir().expect("a directory") };
        std::fs::create_dir_all(forge.bare()).expect("made");
        git(&forge.bare(), &["init", "--quiet", "--bare"]);
        git(forge.root.path(), &["init", "--quiet", "work"]);
        forge.commit("main.tf", "# first");
        git(&forge.work(), &["tag", "v1"]);
        git(&forge.work(), &["tag", "-a", "v1-annotated", "-m", "annotated"]);
        forge.commit("modules/net/main.tf", "# second");
        forge.push();
        forge
    }

    pub(crate) fn bare(&self) -> PathBuf {
        self.root.path().join("team/infra.git")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// Writes a file and commits it.
    pub(crate) fn commit(&self, path: &str, content: &str) -> CommitId {
        let file = self.work().join(path);
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("made");
        std::fs::write(file, content).expect("written");
        git(&self.work(), &["add", "--all"]);
        git(&self.work(), &["commit", "--quiet", "-m", path]);
        self.id("HEAD")
    }

    /// Makes the bare repository equal to the work tree's.
    pub(crate) fn push(&self) {
        let bare = self.bare();
        let bare = bare.to_str().expect("text");
        git(&self.work(), &["push", "--quiet", "--mirror", "--force", bare]);
    }

    /// The commit behind a name, as the work tree has it.
    pub(crate) fn id(&self, name: &str) -> CommitId {
        git(&self.work(), &["rev-parse", &format!("{name}^{{commit}}")]).parse().expect("a commit id")
    }
}

/// A child process that ends with the test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The HTTP server of the fixtures.
pub(crate) struct Http {
    _process: Process,
    log: PathBuf,
    pub(crate) origin: String,
}

impl Http {
    pub(crate) fn serve(forge: &Forge, more: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/git_http_server.py");
        let log = forge.root.path().join(format!("log-{}", uuid::Uuid::new_v4()));
        let mut child = Command::new("python3")
            .arg(script)
            .args(["--listen", "127.0.0.1:0", "--root"])
            .arg(forge.root.path())
            .arg("--log")
            .arg(&log)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 can be started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let origin = line.trim().strip_prefix("ready ").expect("the server is ready").to_owned();
        Self { _process: Process(child), log, origin }
    }

    pub(crate) fn url(&self) -> GitUrl {
        format!("{}/team/infra.git", self.origin).parse().expect("an address")
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> &str {
        self.origin.trim_start_matches("http://")
    }

    /// The requests so far, one `METHOD PATH STATUS` each.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::fs::read_to_string(&self.log).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// A cache in a directory of its own, its output, and a record of every git command's argv and environment.
pub(crate) struct Reader {
    pub(crate) dir: TempDir,
    pub(crate) cache: Cache,
    pub(crate) url: GitUrl,
    pub(crate) auth: Option<GitAuth>,
}

impl Reader {
    pub(crate) fn new(url: GitUrl, auth: Option<GitAuth>) -> Self {
        Self::with(url, auth, |_| {})
    }

    /// With settings of the test's own.
    pub(crate) fn with(url: GitUrl, auth: Option<GitAuth>, change: impl FnOnce(&mut Settings)) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let program = dir.path().join("recording-git");
        let record = dir.path().join("record");
        let script = format!("#!/bin/sh\n{{ printf '%s\\n' \"$@\"; env; }} >> {}\nexec git \"$@\"\n", record.display());
        std::fs::write(&program, script).expect("written");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
        let host = if url.host().contains(':') { format!("[{}]", url.host()) } else { url.host().to_owned() };
        let allowed = AllowedHosts::parse([format!("{host}:{}", url.port_or_default())]).expect("a list");
        let mut settings = Settings::new(dir.path().join("cache"), allowed, askpass());
        settings.program = program;
        change(&mut settings);
        let cache = Cache::open(settings).expect("a cache");
        Self { dir, cache, url, auth }
    }

    pub(crate) fn source(&self) -> Source<'_> {
        Source { url: &self.url, auth: self.auth.as_ref() }
    }

    pub(crate) async fn resolve(&self, name: &str) -> Result<Resolved, GitError> {
        let name: GitRef = name.parse().map_err(|error: BadGit| GitError::NotAllowed(error))?;
        self.cache.resolve(self.source(), &name, &mut |_| {}).await
    }

    pub(crate) async fn fetch(&self, commit: &CommitId) -> Result<(), GitError> {
        self.cache.fetch(self.source(), commit, None, &mut |_| {}).await
    }

    /// Into a new directory each time.
    pub(crate) async fn checkout(&self, commit: &CommitId) -> Result<Checkout, GitError> {
        let dest = self.dir.path().join(format!("checkout-{}", uuid::Uuid::new_v4()));
        self.cache.checkout(self.source(), commit, &dest, &mut |_| {}).await
    }

    /// argv and environment of every git command so far.
    pub(crate) fn record(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("record")).unwrap_or_default()
    }

    /// The directories of the cached repositories.
    pub(crate) fn cached(&self) -> Vec<PathBuf> {
        let repos = self.dir.path().join("cache/repos");
        std::fs::read_dir(repos).expect("the cache").flatten().map(|entry| entry.path()).collect()
    }
}

/// A name and a password.
pub(crate) fn basic(username: &str, password: &str) -> GitAuth {
    GitAuth::Basic { username: username.to_owned(), password: Secret::new(password) }
}

/// The program that answers git's questions, built with the tests.
fn askpass() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let tests = std::env::current_exe().expect("the test's own path");
        let target = tests.ancestors().nth(2).expect("the target directory");
        let program = target.join("examples/askpass");
        // `cargo test --test git_real` builds no examples.
        if !program.exists() {
            let built = Command::new(env!("CARGO")).args(["build", "--package", "worker", "--example", "askpass"]).status();
            assert!(built.is_ok_and(|status| status.success()), "the askpass example cannot be built");
        }
        program
    };
    PROGRAM.get_or_init(build).clone()
}

/// Every regular file below a directory.
pub(crate) fn files_below(top: &Path) -> Vec<PathBuf> {
    let mut open = vec![top.to_owned()];
    let mut files = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files
}

/// Whether the file holds the text.
pub(crate) fn holds(file: &Path, text: &str) -> bool {
    let mut content = Vec::new();
    std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut content)).expect("readable");
    content.windows(text.len()).any(|window| window == text.as_bytes())
}
