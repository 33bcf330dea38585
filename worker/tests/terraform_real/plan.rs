//! What a plan brings: the summary, the bundle, the lines in the log, and nothing secret in any of them.

use crate::plain::Plain;
use crate::servers::StateServer;
use crate::site::{Site, files_with};
use proto::terraform::PlanSummary;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use worker::terraform::Unfinished;

const BEFORE: &str = r#"
terraform {
  backend "http" {}
}
variable "password" {
  type      = string
  sensitive = true
}
variable "plain" {
  type    = string
  default = "visible"
}
resource "terraform_data" "updated" {
  input = { size = "small", tags = ["a"] }
}
resource "terraform_data" "replaced" {
  input            = "same"
  triggers_replace = ["one"]
}
resource "terraform_data" "removed" {
  input = "old"
}
resource "terraform_data" "untouched" {
  input = "same"
}
resource "terraform_data" "guarded" {
  input = { user = "admin", password = var.password }
}
resource "terraform_data" "old_name" {
  input = "moved"
}
output "size" {
  value = terraform_data.updated.input.size
}
"#;

const AFTER: &str = r#"
terraform {
  backend "http" {}
}
variable "password" {
  type      = string
  sensitive = true
}
variable "plain" {
  type    = string
  default = "visible"
}
resource "terraform_data" "updated" {
  input = { size = "large", tags = ["a", "b"] }
}
resource "terraform_data" "replaced" {
  input            = "same"
  triggers_replace = ["two"]
}
resource "terraform_data" "untouched" {
  input = "same"
}
resource "terraform_data" "guarded" {
  input = { user = "root", password = var.password }
}
resource "terraform_data" "created" {
  input = { plain = var.plain, depends = terraform_data.replaced.id }
}
moved {
  from = terraform_data.old_name
  to   = terraform_data.new_name
}
resource "terraform_data" "new_name" {
  input = "moved"
}
output "size" {
  value = terraform_data.updated.input.size
}
output "password" {
  value     = var.password
  sensitive = true
}
"#;

const SUMMARY: &str = r#"+1 ~2 -1 ±1 outputs 2
create terraform_data.created
  id: null -> (known after apply)
  input: null -> {"depends":"(known after apply)","plain":"***"}
  output: null -> (known after apply)
update terraform_data.guarded
  input: {"password":"(sensitive)","user":"admin"} -> {"password":"(sensitive)","user":"root"}
  output: {"password":"(sensitive)","user":"admin"} -> (known after apply)
move terraform_data.new_name
delete terraform_data.removed
  id: ID -> null
  input: "old" -> null
  output: "old" -> null
replace terraform_data.replaced because triggers_replace
  id: ID -> (known after apply)
  output: "same" -> (known after apply)
  triggers_replace: ["one"] -> ["two"]
update terraform_data.updated
  input: {"size":"small","tags":["a"]} -> {"size":"large","tags":["a","b"]}
  output: {"size":"small","tags":["a"]} -> (known after apply)
"#;

fn told(summary: &PlanSummary) -> String {
    let PlanSummary { adds, changes, destroys, replacements, output_changes, .. } = summary;
    let mut lines = vec![format!("+{adds} ~{changes} -{destroys} ±{replacements} outputs {output_changes}")];
    for resource in &summary.resources {
        let because = match &resource.replace_because[..] {
            [] => String::new(),
            reasons => format!(" because {}", reasons.join(", ")),
        };
        lines.push(format!("{} {}{because}", resource.action, resource.address));
        for change in &resource.attributes {
            let before = if change.name == "id" && change.before != "null" { "ID" } else { &change.before };
            lines.push(format!("  {}: {before} -> {}", change.name, change.after));
        }
    }
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn a_summary_tells_every_kind_of_change_and_no_secret() {
    let server = StateServer::start();
    let secrets = ["hunter2hunter2", "plain-but-secret"];
    let site = async |config| {
        let site = Site::new(&[("main.tf", config)]).await.with_backend(server.backend("golden"));
        site.with_env("TF_VAR_password", secrets[0]).with_env("TF_VAR_plain", secrets[1])
    };
    let (first, mut commands) = (site(BEFORE).await, Plain::new(&secrets));
    let planned = first.plan(&mut commands).await.expect("planned");
    assert_eq!((planned.summary.adds, planned.summary.output_changes), (6, 1));
    site(BEFORE).await.apply(&mut Plain::new(&secrets), &planned).await.expect("applied");

    let (second, mut commands) = (site(AFTER).await, Plain::new(&secrets));
    let planned = second.plan(&mut commands).await.expect("planned");
    assert_eq!(told(&planned.summary), SUMMARY);
    assert!(!planned.summary.is_empty());
    for secret in secrets {
        assert!(!serde_json::to_string(&planned.summary).expect("encodes").contains(secret));
        assert!(!commands.log.contains(secret), "{}", commands.log);
        assert!(!format!("{planned:?}{second:?}", second = commands.commands).contains(secret));
    }
    assert!(!commands.log.contains("format_version"), "the plan's JSON stays out of the log");
}

/// The worker's loop spawns it.
fn spawnable<F: Future + Send>(future: F) -> F {
    future
}

#[tokio::test]
async fn the_log_says_what_users_know_and_the_order_is_init_plan() {
    let mut site = Site::new(&[
        (
            "envs/prod/main.tf",
            "variable \"x\" {}\nvariable \"y\" {}\nvariable \"z\" {}\noutput \"x\" {\n  value = \"${var.x}${var.y}${var.z}\"\n}",
        ),
        ("envs/prod/a.tfvars", "x = \"1\""),
        ("envs/prod/more/b.tfvars", "y = \"2\""),
        ("envs/prod/z.auto.tfvars", "z = \"3\""),
    ])
    .await;
    site.spec.path = "envs/prod".parse().expect("a path");
    site.spec.tfvars_files = ["a.tfvars", "more/b.tfvars"].map(|file| file.parse().expect("a path")).to_vec();
    site.spec.init_args = vec!["-upgrade".to_owned()];
    site.spec.plan_args = vec!["-parallelism=3".to_owned(), "-compact-warnings".to_owned()];
    let mut commands = Plain::new(&[]);
    let planned = spawnable(site.plan(&mut commands)).await.expect("planned");
    let ours: Vec<&str> = commands.log.lines().filter_map(|line| line.strip_prefix("» ")).collect();
    let name = site.name();
    let version = format!("Using {name} {} (the worker's default)", site.tool.used.version);
    let (init, plan) = (format!("Running {name} init..."), format!("Running {name} plan..."));
    let no_backend =
        format!("⚠ This configuration names no backend: {name} keeps its state in the checkout, which is deleted after the job.");
    assert_eq!(
        ours[..8],
        [
            "Values are also read from: z.auto.tfvars",
            version.as_str(),
            &init,
            "Using custom init flags: -upgrade",
            &no_backend,
            ours[5],
            &plan,
            "Using custom plan flags: -parallelism=3 -compact-warnings",
        ]
    );
    assert_eq!(ours[8..], ["Using tfvars file: a.tfvars", "Using tfvars file: more/b.tfvars"]);
    assert_eq!(commands.phases, ["init", "plan"]);
    assert_eq!(commands.ran(), ["init", "plan", "show"]);
    assert_eq!(planned.summary.output_changes, 1);
    assert_eq!(commands.asked_for_leave, 0);
    assert!(commands.commands.iter().all(|command| !command.effects));
}

#[tokio::test]
async fn secrets_stand_in_private_files_outside_the_checkout_and_in_no_argument() {
    let server = StateServer::start();
    let mut backend = server.backend("private");
    backend.push(("password".to_owned(), "pass\"word${x}\\".to_owned()));
    backend.push(("username".to_owned(), "somebody".to_owned()));
    let site = Site::new(&[("main.tf", "terraform {\n  backend \"http\" {}\n}")])
        .await
        .with_backend(backend)
        .with_env("TF_VAR_x", "hunter2hunter2");
    let mut commands = Plain::new(&[]);
    site.plan(&mut commands).await.expect("planned");
    for command in &commands.commands {
        assert!(!command.args.iter().any(|arg| arg.contains("word") || arg.contains("hunter2")), "{:?}", command.args);
    }
    assert!(!format!("{:?}", commands.commands).contains("hunter2"));
    let file = site.scratch.join("backend.tfbackend");
    assert!(fs::read_to_string(&file).expect("there").contains(r#"password = "pass\"word$${x}\\""#));
    for file in [file, site.scratch.join("cli.tfrc")] {
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    assert!(!site.scratch.join("plan").exists(), "the plan file is gone once it is in the bundle");
    // terraform itself keeps the backend's settings below .terraform, which goes with the checkout.
    let inside: Vec<_> =
        files_with(&site.checkout, "somebody").into_iter().filter(|path| !path.starts_with(site.checkout.join(".terraform"))).collect();
    assert_eq!(inside, Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn the_tool_gets_the_environment_that_was_made_for_it_and_nothing_else() {
    let mut site = Site::new(&[("main.tf", "")]).await.with_fake("env | sort >> \"$HOME/../seen\"; case $1 in show) echo '{\"format_version\":\"1.2\"}';; plan) for a; do case $a in -out=*) echo x > \"${a#-out=}\";; esac; done;; esac");
    site.setup.pass_env = vec![("AWS_REGION".to_owned(), "eu-1".to_owned())];
    let site = site.with_env("TF_VAR_a", "b");
    site.plan(&mut Plain::new(&[])).await.expect("planned");
    let seen = fs::read_to_string(site.scratch.join("seen")).expect("the fake ran");
    let names: std::collections::BTreeSet<&str> = seen.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    let expected = "AWS_REGION CHECKPOINT_DISABLE GIT_ALLOW_PROTOCOL GIT_SSH_COMMAND GIT_TERMINAL_PROMPT HOME LANG PATH PWD TERM TF_CLI_CONFIG_FILE TF_INPUT TF_IN_AUTOMATION TF_VAR_a TMPDIR TRACEPARENT";
    // The shell of the fake adds some of its own.
    let names: Vec<&str> = names.into_iter().filter(|name| !matches!(*name, "_" | "SHLVL" | "OLDPWD")).collect();
    assert_eq!(names.join(" "), expected);
}

#[tokio::test]
async fn what_a_repository_may_not_bring_is_refused_before_anything_runs() {
    for name in [".terraform/x", "terraform.tfstate", "errored.tfstate", ".terraformrc", "terraform.tfstate.d/x"] {
        let site = Site::new(&[("main.tf", ""), (name, "")]).await;
        let mut commands = Plain::new(&[]);
        let Err(Unfinished::Failed(failure)) = site.plan(&mut commands).await else { panic!("{name} was taken") };
        assert_eq!(failure.kind, "planted");
        assert!(failure.message.contains(name.split('/').next().expect("a name")), "{}", failure.message);
        assert_eq!(commands.ran(), Vec::<&str>::new());
    }
    let site = Site::new(&[("main.tf", "")]).await;
    std::os::unix::fs::symlink("/nowhere", site.checkout.join(".terraform.lock.hcl")).expect("linked");
    assert!(matches!(site.plan(&mut Plain::new(&[])).await, Err(Unfinished::Failed(failure)) if failure.kind == "planted"));
}

#[tokio::test]
async fn paths_stay_inside_the_checkout() {
    let refused = async |path: &str, tfvars: &[&str]| {
        let mut site = Site::new(&[("main.tf", ""), ("real/main.tf", ""), ("real/v.tfvars", "")]).await;
        fs::write(site.checkout.join("real/long.tfvars"), vec![b'#'; (1 << 20) + 1]).expect("written");
        for (to, name) in [("/etc", "out"), ("loop", "loop"), ("real", "in")] {
            std::os::unix::fs::symlink(to, site.checkout.join(name)).expect("linked");
        }
        std::os::unix::fs::symlink("/etc/hostname", site.checkout.join("real/out.tfvars")).expect("linked");
        site.spec.path = path.parse().expect("a path");
        site.spec.tfvars_files = tfvars.iter().map(|file| file.parse().expect("a path")).collect();
        match site.prepare(&mut Plain::new(&[])).await {
            Ok(_) => None,
            Err(Unfinished::Failed(failure)) => Some(failure.message),
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(refused("missing", &[]).await.as_deref(), Some("Path does not exist: missing"));
    for (path, tfvars) in [
        ("out", &[][..]),
        ("loop", &[]),
        // The same directory under another name would be another lock.
        ("in", &["v.tfvars"]),
        ("main.tf", &[]),
        ("real", &["out.tfvars"]),
        ("real", &["missing.tfvars"]),
        ("real", &["long.tfvars"]),
        (".", &["real"]),
        (".", &["out/hostname"]),
    ] {
        assert!(refused(path, tfvars).await.is_some(), "{path} {tfvars:?}");
    }
    for (path, tfvars) in [("real", &["v.tfvars"][..]), (".", &["real/v.tfvars"])] {
        assert_eq!(refused(path, tfvars).await, None, "{path} {tfvars:?}");
    }
}
