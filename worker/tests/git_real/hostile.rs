//! Repositories and references that try to make us run something or write elsewhere.

use crate::rig::{Forge, Http, Reader, git};
use worker::confine::{MAX_TFVARS_BYTES, Refused, Root};
use worker::git::GitError;

#[tokio::test]
async fn branches_named_like_commands_are_only_names() {
    let forge = Forge::new();
    let main = forge.id("main");
    let names = ["$(id)", ";id", "a|b", "`id`", "'", "\"", "<script>alert</script>", "#a", "!{a}", "$(touch${IFS}canary)", "ünï"];
    for name in names {
        git(&forge.work(), &["update-ref", &format!("refs/heads/{name}"), main.as_str()]);
    }
    // Legal on a server, and executed by a git that gets it as an argument of its own.
    for name in ["refs/heads/--upload-pack=touch${IFS}canary", "refs/heads/-x"] {
        git(&forge.work(), &["update-ref", name, main.as_str()]);
    }
    forge.push();
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    for name in names {
        let resolved = reader.resolve(name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(resolved.commit, main, "{name}");
        assert_eq!(resolved.name, Some(format!("refs/heads/{name}")));
    }
    assert!(matches!(reader.resolve("--upload-pack=touch canary").await, Err(GitError::NotAllowed(_))));
    // Fetches every branch, those two included.
    assert_eq!(reader.resolve(&main.as_str()[..10]).await.expect("resolved").commit, main);
    reader.checkout(&main).await.expect("a checkout");
    let canaries: Vec<_> = crate::rig::files_below(reader.dir.path())
        .into_iter()
        .filter(|file| file.file_name().is_some_and(|name| name == "canary"))
        .collect();
    assert_eq!(canaries, Vec::<std::path::PathBuf>::new());
    assert!(!std::path::Path::new("canary").exists());
}

#[tokio::test]
async fn filters_hooks_and_submodules_never_run() {
    let forge = Forge::new();
    let canary = forge.root.path().join("canary");
    let touch = format!("touch {}", canary.display());
    forge.commit(".gitattributes", "* filter=evil text eol=crlf\n*.lfs filter=lfs\n");
    forge.commit(".githooks/post-checkout", &format!("#!/bin/sh\n{touch}\n"));
    forge.commit("data.lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    let elsewhere = forge.bare();
    git(&forge.work(), &["submodule", "add", "--quiet", "--", elsewhere.to_str().expect("text"), "sub"]);
    let commit = forge.commit("unix.txt", "one\ntwo\n");
    forge.push();
    // What a former job might have left behind if it could.
    git(&forge.bare(), &["config", "filter.evil.smudge", &touch]);
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    let done = reader.checkout(&commit).await.expect("a checkout");
    assert_eq!(std::fs::read_to_string(done.root.join("unix.txt")).expect("read"), "one\ntwo\n");
    assert!(std::fs::read_to_string(done.root.join("data.lfs")).expect("read").starts_with("version "));
    assert_eq!(done.submodules, ["sub"]);
    assert_eq!(std::fs::read_dir(done.root.join("sub")).expect("a directory").count(), 0);
    assert!(!canary.exists());
}

#[tokio::test]
async fn a_submodule_that_runs_a_command_is_refused_while_fetching() {
    let forge = Forge::new();
    let text = "[submodule \"x\"]\n\tpath = x\n\turl = https://git.example/x\n\tupdate = !touch canary\n";
    let commit = forge.commit(".gitmodules", text);
    forge.push();
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    let error = reader.checkout(&commit).await.expect_err("refused");
    assert!(matches!(error, GitError::UnsafeObject { .. }) && error.to_string().contains("gitmodulesUpdate"), "{error}");
}

#[tokio::test]
async fn links_out_of_the_checkout_are_reported_and_lead_nowhere() {
    let forge = Forge::new();
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, forge.work().join(name)).expect("linked");
    };
    link("/etc", "absolute");
    link("../../outside.tfvars", "relative.tfvars");
    link("/proc/self/environ", "environ.tfvars");
    link("main.tf", "inside.tfvars");
    let commit = forge.commit("prod.tfvars", "a = 1");
    forge.push();
    let server = Http::serve(&forge, &[]);
    let reader = Reader::new(server.url(), None);
    let mut done = reader.checkout(&commit).await.expect("a checkout");
    done.links_out.sort();
    assert_eq!(done.links_out, ["absolute", "environ.tfvars", "relative.tfvars"]);
    let root = Root::new(&done.root).expect("a root");
    assert!(matches!(root.directory("absolute"), Err(Refused::LeadsOut(_))));
    for name in ["environ.tfvars", "absolute/passwd"] {
        assert!(matches!(root.regular_file(name, MAX_TFVARS_BYTES), Err(Refused::LeadsOut(_))), "{name}");
    }
    let file = root.regular_file("inside.tfvars", MAX_TFVARS_BYTES).expect("inside");
    assert_eq!(file.read().expect("read"), b"# first");
}

#[tokio::test]
async fn state_of_terraform_in_the_repository_is_reported() {
    let forge = Forge::new();
    forge.commit("live/.terraform/plugins/evil", "x");
    forge.commit("live/terraform.tfstate", "{}");
    let commit = forge.commit("live/.terraform.lock.hcl", "# fine");
    forge.push();
    let server = Http::serve(&forge, &[]);
    let done = Reader::new(server.url(), None).checkout(&commit).await.expect("a checkout");
    let found: Vec<&str> = done.state_files_in("live").collect();
    assert_eq!(found, ["live/.terraform", "live/terraform.tfstate"]);
    assert_eq!(done.state_files_in(".").count(), 0);
}
