//! Stories told to real processes: nats-server, git over HTTP, terraform, and every role of Navvy. One story per file.

mod approval;
mod bad_input;
mod cancel;
mod crashes;
mod cut_off;
mod drain;
mod failures;
mod happy_path;
mod hostile;
mod keys;
mod kill_sweep;
mod locks;
mod logs;
mod modules;
mod observability;
mod orders;
mod permissions;
mod races;
mod references;
mod secrets;
mod ssh;
mod syncs;
mod two_schedulers;
mod versions;

use serde_json::{Value, json};
use system_tests::{
    fleet::{Fleet, Wishes},
    git::{GitServer, Repo},
};

/// A configuration that needs no provider: one resource, one plain and one sensitive output.
const HELLO: &[(&str, &str)] = &[(
    "main.tf",
    r#"
variable "greeting" { default = "hello" }
variable "password" {
  default   = "nothing"
  sensitive = true
}
resource "terraform_data" "greeting" { input = var.greeting }
output "greeting" { value = terraform_data.greeting.output }
output "password" {
  value     = var.password
  sensitive = true
}
"#,
)];

/// A git server with one repository, and a fleet that may use it.
async fn world(files: &[(&str, &str)]) -> anyhow::Result<(GitServer, Repo, Fleet)> {
    let git = GitServer::start()?;
    let repo = git.repo("infra", files)?;
    let fleet = Fleet::up(Wishes::git(git.server.host())).await?;
    Ok((git, repo, fleet))
}

/// A deployment request for a repository's branch `main`.
fn request(repo: &Repo) -> Value {
    json!({"tool": "terraform", "git_url": repo.url, "git_ref": "main"})
}

/// A request with changed fields.
fn with(mut request: Value, change: Value) -> Value {
    if let (Some(request), Value::Object(change)) = (request.as_object_mut(), change) {
        request.extend(change);
    }
    request
}

/// A configuration whose apply takes `seconds`, and which writes a line into `effects` each time it really applies.
fn slow_apply(effects: &std::path::Path, seconds: u32, backend: Option<&str>) -> String {
    let backend = backend.map(http_backend).unwrap_or_default();
    format!(
        r#"
{backend}
resource "terraform_data" "slow" {{
  provisioner "local-exec" {{
    command = "echo applied >> {} && echo started-the-slow-part && sleep {seconds}"
  }}
}}
output "done" {{ value = "yes" }}
"#,
        effects.display()
    )
}

/// A backend block for the state server.
fn http_backend(url: &str) -> String {
    format!(
        r#"terraform {{
  backend "http" {{
    address        = "{url}/state"
    lock_address   = "{url}/state"
    unlock_address = "{url}/state"
  }}
}}"#
    )
}
