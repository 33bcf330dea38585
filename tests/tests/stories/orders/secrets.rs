//! Canaries go through everything a secret of an order goes through, and are then looked for in every place that can hold a
//! byte.

use super::{Ring, receiver::Receiver};
use crate::secrets::{command_lines, holders};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use proto::{AttemptNo, JobNo, PoolName, ids::AttemptId, subject};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};
use system_tests::{PATIENCE, eventually, fixture::Fixture, fleet::Wishes, git::GitServer};
use tempfile::TempDir;

const IN_VARIABLE: &str = "canary-in-a-variable-7d1e";
const IN_FILE: &str = "canary-in-a-file-93ba";
/// What the encrypted file of the tests of `credentials` holds under `ZEBRA`.
const IN_SOPS: &str = "last letter, first line";
/// To whom what was run is kept, encrypted.
const RECIPIENT: &str = "age1td0s8cnnhvw35jhs8puztxxcw862f0xqgfffa5vmpef2z3xgh5usqf8npp";
const TOKEN: &str = "canary-token-of-git-51cc";
const CANARIES: [&str; 4] = [IN_VARIABLE, IN_FILE, IN_SOPS, TOKEN];

/// A folder with a credential in the clear, one that SOPS encrypted, and the identity that opens it.
fn credentials(outside: &Path) -> anyhow::Result<()> {
    let golden = system_tests::root().join("credentials/tests/golden");
    fs::create_dir(outside.join("credentials"))?;
    fs::write(outside.join("credentials/app.json"), json!({"APP_PASSWORD": IN_FILE}).to_string())?;
    fs::copy(golden.join("sops-3.13.3.json"), outside.join("credentials/app.enc.json"))?;
    fs::copy(golden.join("identity.txt"), outside.join("identity.txt"))?;
    for name in ["identity.txt", "credentials/app.json"] {
        fs::set_permissions(outside.join(name), fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Prints every secret raw, in base64 and in two pieces; a command holds one in its own text, and one fails with it.
fn leaky(outside: &Path, callback: &str) -> Value {
    let at = |name: &str| outside.join("credentials").join(name).display().to_string();
    let shout = |name: &str| format!("echo raw:${name}; printf %s \"${name}\" | base64; printf can; sleep 0.2; echo \"${{{name}#can}}\"");
    json!({
        "username": "ada", "git_repo": "acme/infra", "git_token_location": "env:::var:STORY_GIT_TOKEN", "pr_number": 7,
        "callbacks": [callback],
        "orders": [{
            "order_name": "leaky", "timeout": 600, "env_vars": {"PASSWORD": IN_VARIABLE}, "sops_key": RECIPIENT,
            "ssm_paths": [format!("file:::json:{}", at("app.json")), format!("file:::sops:{}", at("app.enc.json"))],
            "cmds": [
                shout("PASSWORD"), shout("APP_PASSWORD"), shout("ZEBRA"),
                format!("echo in-the-command:{IN_VARIABLE}"),
                format!("echo '{{\"event_type\": \"leak\", \"text\": \"{IN_FILE}\"}}' > \"$AWS_EXE_SYS_EVENTS_DIR/a.json\""),
                "echo $PASSWORD > kept-in-the-folder; env > \"$TMPDIR/kept-too\"; exit 5",
            ],
        }]
    })
}

struct World {
    ring: Ring,
    github: Fixture,
    receiver: Receiver,
    _git: GitServer,
}

async fn world() -> anyhow::Result<World> {
    let git = GitServer::private("x-access-token", TOKEN)?;
    git.repo("acme/infra", &[("README.md", "nothing\n")])?;
    let github = Fixture::start("github_server.py", &["--token", "ghp_of-the-comments"])?;
    let receiver = Receiver::start(&[]).await?;
    let outside = TempDir::new()?;
    credentials(outside.path())?;
    let path = |name: &str| outside.path().join(name).display().to_string();
    let wishes = Wishes::git(git.server.host())
        .set("NAVVY__LOG__LEVEL", "debug")
        .set("NAVVY__GATEWAY__ORDERS__GIT_BASE", git.server.url.clone())
        .set("NAVVY__GATEWAY__GITHUB__API_URL", github.url.clone())
        .set("NAVVY__GATEWAY__GITHUB__TOKEN", "ghp_of-the-comments")
        .set("NAVVY__GATEWAY__CALLBACK_HOSTS", receiver.host.clone())
        .set("NAVVY__GATEWAY__CALLBACK_SECRET", "whsec_c3Rvcmllcy1vZi1jYWxsYmFja3MtYXJlLXNpZ25lZA==")
        .set("NAVVY__WORKER__CREDENTIALS__VARIABLES", "STORY_GIT_TOKEN")
        .set("NAVVY__WORKER__CREDENTIALS__FOLDERS", path("credentials"))
        .set("NAVVY__WORKER__CREDENTIALS__AGE_IDENTITIES", path("identity.txt"))
        .set("STORY_GIT_TOKEN", TOKEN);
    let ring = Ring::with(outside, wishes, &["w1"]).await?;
    Ok(World { ring, github, receiver, _git: git })
}

/// Everything that says a canary, raw or in base64.
fn shows(text: &str) -> Vec<&'static str> {
    let encoded = |canary: &str| STANDARD.encode(canary).trim_end_matches('=').to_owned();
    CANARIES.into_iter().filter(|canary| text.contains(*canary) || text.contains(&encoded(canary))).collect()
}

#[tokio::test]
async fn a_secret_of_an_order_is_nowhere_but_in_its_commands() -> anyhow::Result<()> {
    let World { ring, github, receiver, _git } = world().await?;
    let callback = format!("http://{}/{IN_VARIABLE}", receiver.host);
    let run = ring.submit(&leaky(ring.outside.path(), &callback)).await?;
    let watching = async {
        let mut seen = Vec::new();
        loop {
            seen.extend(command_lines().into_iter().filter(|line| !shows(line).is_empty()));
            let Ok(shown) = ring.fleet.client.get(&format!("/v1/runs/{run}")).await else { continue };
            if shown["ended_at"].is_string() {
                return (seen, shown);
            }
        }
    };
    let (seen, ended) = tokio::time::timeout(PATIENCE, watching).await?;
    assert_eq!(ended["status"], "failed", "{ended:#}");
    assert_eq!(ring.ends(run).await?, ["leaky failed: exit_code"]);
    // The git server of this test is told its password on its command line; nobody else may be.
    let seen: Vec<_> = seen.into_iter().filter(|line| !line.contains("git_http_server.py")).collect();
    assert_eq!(seen, Vec::<String>::new(), "in a command line");

    let log = ring.log(run, 0).await?;
    assert_eq!(shows(&log), [""; 0], "in the log: {log}");
    assert_eq!(log.matches("raw:***").count(), 3, "{log}");
    assert!(log.contains("in-the-command:***"), "{log}");

    let comment = eventually("the comment to show the end", || async {
        let request = reqwest::Client::new().get(format!("{}/repos/acme/infra/issues/7/comments", github.url));
        let comments: Value = request.bearer_auth("ghp_of-the-comments").header("user-agent", "story").send().await?.json().await?;
        Ok(comments[0]["body"].as_str().filter(|body| body.contains("leaky: failed")).map(str::to_owned))
    })
    .await?;
    let call = eventually("the callback to come", || async { Ok(receiver.heard().pop()) }).await?;
    for told in [comment, String::from_utf8(call.body.to_vec())?, ended.to_string()] {
        assert_eq!(shows(&told), [""; 0], "{told}");
    }
    for path in ["jobs", "events", "done", "orders/1/result.json"] {
        let told = ring.fleet.client.get(&format!("/v1/runs/{run}/{path}")).await?.to_string();
        assert_eq!(shows(&told), [""; 0], "{path}: {told}");
    }
    let attempt = AttemptId { run, job: JobNo(0), attempt: AttemptNo::FIRST };
    assert!(ring.bus.artifacts(&PoolName::default()).exists(&subject::bundle_object(attempt)).await?, "what was run is kept");
    assert_eq!(call.path, format!("/{IN_VARIABLE}"), "it was really called");

    eventually("the callback and the comment to be noted", || async {
        let notice: Value = ring.bus.notices().get(&subject::callback_key(run, 0)).await?.value;
        Ok((notice["over"] == true).then_some(()))
    })
    .await?;
    nowhere_on_disk(&ring).await
}

/// Every stream, bucket, object, folder and log of the fleet lies below its folder.
async fn nowhere_on_disk(ring: &Ring) -> anyhow::Result<()> {
    let encoded: Vec<String> = CANARIES.iter().map(|canary| STANDARD.encode(canary).trim_end_matches('=').to_owned()).collect();
    let needles: Vec<&[u8]> = CANARIES.iter().copied().chain(encoded.iter().map(String::as_str)).map(str::as_bytes).collect();
    eventually("the folder of the attempt to be cleared", || async {
        let mut found = Vec::new();
        // A file may go away while it is looked at.
        if holders(ring.fleet.dir.path(), &needles, &mut found).is_err() {
            return Ok(None);
        }
        let at_work: Vec<_> = found.iter().filter(|path| path.contains("/work/")).collect();
        anyhow::ensure!(found.len() == at_work.len(), "on disk: {found:?}");
        Ok(found.is_empty().then_some(()))
    })
    .await
}

#[tokio::test]
async fn what_an_order_may_not_fetch_is_said_without_what_it_is() -> anyhow::Result<()> {
    let World { ring, .. } = world().await?;
    let secret = ring.path("not-allowed.json");
    fs::write(&secret, json!({"PASSWORD": IN_FILE}).to_string())?;
    for location in [format!("file:::json:{}", secret.display()), "env:::var:NAVVY__NATS__PASSWORD".to_owned()] {
        let order = json!({"order_name": "curious", "cmds": ["env"], "timeout": 600, "ssm_paths": [location]});
        let run = ring.submit(&super::job(&[order])).await?;
        assert_eq!(ring.ended(run).await?["status"], "failed");
        assert_eq!(ring.ends(run).await?, ["curious failed: credentials"]);
        assert_eq!(shows(&ring.log(run, 0).await?), [""; 0]);
    }
    Ok(())
}
