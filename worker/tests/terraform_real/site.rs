//! A checkout with everything around it, as the worker's loop would hand it over.

use crate::plain::Plain;
use proto::Secret;
use proto::git::CommitId;
use proto::terraform::{ApplyResult, PlanArtifact, SecretBundle, TerraformSpec, Tool};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use worker::terraform::{Order, Planned, Setup, Unfinished, Workplace, apply, plan, prepare};
use worker::tools::{self, ResolvedTool, Tools};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// One attempt's folders, on one worker.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    pub(crate) checkout: PathBuf,
    pub(crate) scratch: PathBuf,
    pub(crate) setup: Setup,
    pub(crate) spec: TerraformSpec,
    pub(crate) secrets: SecretBundle,
    pub(crate) tool: ResolvedTool,
    pub(crate) commit: CommitId,
}

impl Site {
    /// A fresh checkout with these files.
    pub(crate) async fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (checkout, scratch) = (dir.path().join("checkout"), dir.path().join("scratch"));
        for (name, text) in files {
            let path = checkout.join(name);
            fs::create_dir_all(path.parent().expect("inside")).expect("made");
            fs::write(path, text).expect("written");
        }
        fs::create_dir(&scratch).expect("made");
        let search_path = search_path();
        let tool = tool(&search_path, dir.path(), &scratch).await;
        let setup = Setup {
            search_path,
            pass_env: Vec::new(),
            plugin_cache: None,
            cli_config: None,
            registry: None,
            askpass: "/nonexistent".into(),
            local_state_dirs: Vec::new(),
            lock_timeout: Duration::from_secs(1),
        };
        let (env, backend_config) = (BTreeMap::new(), BTreeMap::new());
        let secrets = SecretBundle { run_key: Secret::new("00"), env, git_auth: None, backend_config };
        let commit = COMMIT.parse().expect("a commit");
        Self { dir, checkout, scratch, setup, spec: spec(tool.used.tool), secrets, tool, commit }
    }

    /// `terraform` or `tofu`.
    pub(crate) fn name(&self) -> &'static str {
        self.tool.used.tool.as_str()
    }

    pub(crate) fn with_backend(mut self, settings: Vec<(String, String)>) -> Self {
        self.secrets.backend_config = settings.into_iter().map(|(key, value)| (key, Secret::new(value))).collect();
        self
    }

    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.secrets.env.insert(name.to_owned(), Secret::new(value));
        self
    }

    /// A program instead of terraform that does what a shell script says.
    pub(crate) fn with_fake(mut self, script: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let program = self.dir.path().join("fake");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
        self.tool.program = program;
        self
    }

    pub(crate) async fn prepare(&self, commands: &mut Plain) -> Result<Workplace<'_>, Unfinished> {
        let order = Order {
            setup: &self.setup,
            spec: &self.spec,
            secrets: Some(&self.secrets),
            commit: &self.commit,
            checkout: &self.checkout,
            scratch: &self.scratch,
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        };
        prepare(commands, order).await
    }

    pub(crate) async fn plan(&self, commands: &mut Plain) -> Result<Planned, Unfinished> {
        let place = self.prepare(commands).await?;
        plan(commands, &place, &self.tool).await
    }

    pub(crate) async fn apply(&self, commands: &mut Plain, planned: &Planned) -> Result<ApplyResult, Unfinished> {
        self.apply_as(commands, &artifact(planned), &planned.bundle).await
    }

    pub(crate) async fn apply_as(&self, commands: &mut Plain, artifact: &PlanArtifact, bundle: &[u8]) -> Result<ApplyResult, Unfinished> {
        let place = self.prepare(commands).await?;
        apply(commands, &place, &self.tool, artifact, bundle).await
    }
}

/// The caller's PATH, and where `make` puts what a machine lacks.
fn search_path() -> String {
    let path = std::env::var_os("PATH").expect("PATH");
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin");
    let folders = std::env::split_paths(&path).chain([built]);
    std::env::join_paths(folders).expect("a PATH").into_string().expect("UTF-8")
}

/// terraform, else tofu; `NAVVY_TEST_TOOL=tofu` takes tofu where there are both.
async fn tool(search_path: &str, root: &Path, dir: &Path) -> ResolvedTool {
    let settings = tools::Settings { dir: root.join("tools"), search_path: search_path.into(), ..tools::Settings::default() };
    let tools = Tools::new(settings);
    let wants_tofu = std::env::var_os("NAVVY_TEST_TOOL").is_some_and(|wanted| wanted == "tofu");
    if !wants_tofu && let Ok(terraform) = tools.resolve(Tool::Terraform, None, root, dir).await {
        return terraform;
    }
    tools.resolve(Tool::Tofu, None, root, dir).await.expect("these tests need terraform or tofu")
}

fn spec(tool: Tool) -> TerraformSpec {
    TerraformSpec {
        tool,
        tool_version: None,
        git_url: "https://git.example/acme/infra.git".parse().expect("an address"),
        git_ref: "main".parse().expect("a reference"),
        path: ".".parse().expect("a path"),
        workspace: "default".to_owned(),
        tfvars_files: Vec::new(),
        init_args: Vec::new(),
        backend_config: BTreeMap::new(),
        plan_args: Vec::new(),
        timeout_minutes: 60,
        auto_approve: false,
        destroy: false,
        env_names: Vec::new(),
        public_env: Vec::new(),
        git_auth: None,
    }
}

/// What the worker's loop makes of a stored plan.
pub(crate) fn artifact(planned: &Planned) -> PlanArtifact {
    PlanArtifact {
        object: "plans/1".to_owned(),
        plan_sha256: planned.plan_sha256.clone(),
        bytes: planned.bundle.len() as u64,
        commit: COMMIT.parse().expect("a commit"),
        tool: planned.tool.clone(),
    }
}

/// Every file below a folder that holds a text.
pub(crate) fn files_with(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            found.extend(files_with(&entry.path(), text));
        } else if kind.is_file() && fs::read(entry.path()).expect("read").windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(entry.path());
        }
    }
    found
}
