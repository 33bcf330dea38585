//! `navvy source add` and `navvy secrets check`, on the real binary, against the small GitHub of the fixtures.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::fake::{Answer, Gateway as Fake, code, navvy, stderr, stdout};
use serde_json::Value;

const TOKEN: &str = "ghp_canary";

struct Hub {
    child: Child,
    url: String,
}

impl Hub {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/github_server.py");
        let mut child =
            Command::new("python3").arg(script).args(["--token", TOKEN]).stdout(Stdio::piped()).spawn().expect("python3 starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        Self { child, url: line.split_whitespace().last().expect("`ready URL`").to_owned() }
    }

    async fn hooks(&self) -> Vec<Value> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("{}/__hooks", self.url)).send().await.unwrap().json().await.unwrap()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_source_is_set_up_once_however_often_it_is_asked_for() {
    let (hub, dir) = (Hub::start(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("navvy.toml"), "[git]\nallowed_hosts = [\"github.com\"]\n").unwrap();
    std::fs::write(path("token"), format!("{TOKEN}\n")).unwrap();
    let (config, token) = (path("navvy.toml"), path("token"));
    let add = [
        "source",
        "add",
        "github",
        "--id",
        "platform",
        "--repository",
        "https://github.com/acme/infra.git",
        "--config",
        &config,
        "--public-url",
        "https://navvy.example",
        "--register",
        "--forge-token-file",
        &token,
        "--api-url",
        &hub.url,
    ];
    for _ in 0..2 {
        let output = navvy(&add).output().await.unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let secret = std::fs::read_to_string(path("webhook-platform.secret")).unwrap();
        let printed = format!("{}{}", stdout(&output), stderr(&output));
        assert!(!printed.contains(secret.trim()) && !printed.contains(TOKEN), "{printed}");
        let hooks = hub.hooks().await;
        assert_eq!(hooks.len(), 1);
        assert_eq!((&hooks[0]["config"]["secret"], &hooks[0]["repo"]), (&Value::from(secret.trim()), &Value::from("acme/infra")));
        assert_eq!(hooks[0]["config"]["url"], "https://navvy.example/hooks/platform");
        assert_eq!(hooks[0]["events"], serde_json::json!(["push"]));
    }
    let text = std::fs::read_to_string(&config).unwrap();
    assert_eq!(text.matches("[[sources]]").count(), 1, "{text}");
    let output = navvy(&["secrets", "check", "--config", &config, "--json"]).output().await.unwrap();
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    let output = navvy(&[&add[..11], &["--rotate", "--json"]].concat()).output().await.unwrap();
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&told["secret_file"], &told["config"], &told["webhook"]["secret"]), (&"rotated".into(), &"present".into(), &Value::Null));
    let output = navvy(&["secrets", "check", "--config", &config]).output().await.unwrap();
    assert!(stdout(&output).contains("2 secrets are in force"), "{}", stdout(&output));
}

#[tokio::test]
async fn what_cannot_be_set_up_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("navvy.toml").display().to_string();
    let token = dir.path().join("token").display().to_string();
    std::fs::write(&token, "x\n").unwrap();
    for (arguments, word) in [
        (&["gitlab", "--id", "a", "--repository", "https://g.example/a/b", "--register", "--forge-token-file", &token][..], "manual"),
        (&["github", "--id", "A b", "--repository", "https://g.example/a/b"][..], "is no name"),
        (&["github", "--id", "a", "--repository", "https://u:p@g.example/a/b"][..], "credentials"),
        (&["github", "--id", "a", "--repository", "https://g.example/a/b", "--branch", "a..b"][..], "reference"),
    ] {
        let output = navvy(&[&["source", "add"][..], arguments, &["--config", &config]].concat()).output().await.unwrap();
        assert_eq!(code(&output), 64, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{arguments:?}: {}", stderr(&output));
    }
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["token"]);
}

/// A folder with a configuration and a token, and the arguments that set a source up in it and register it at an API.
struct Ground {
    dir: tempfile::TempDir,
}

const CONFIG: &str = "[git]\nallowed_hosts = [\"github.com\"]\n";

impl Ground {
    fn new() -> Self {
        let ground = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(ground.path("navvy.toml"), CONFIG).unwrap();
        std::fs::write(ground.path("token"), format!("{TOKEN}\n")).unwrap();
        ground
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    async fn add(&self, api: &str, more: &[&str]) -> std::process::Output {
        let (config, token) = (self.path("navvy.toml"), self.path("token"));
        let of = ["source", "add", "github", "--id", "platform", "--config", &config, "--repository", "https://github.com/acme/infra.git"];
        let register = ["--public-url", "https://navvy.example", "--register", "--forge-token-file", &token, "--api-url", api];
        let output = navvy(&[&of[..], &register[..], more].concat()).output().await.unwrap();
        let printed = format!("{}{}", stdout(&output), stderr(&output));
        assert!(!printed.contains(TOKEN), "{printed}");
        output
    }

    fn nothing_was_made(&self) {
        let mut names: Vec<_> = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["navvy.toml", "token"]);
        assert_eq!(std::fs::read_to_string(self.path("navvy.toml")).unwrap(), CONFIG);
    }
}

fn hook(url: &str, content_type: &str) -> Value {
    serde_json::json!({"id": 1, "active": true, "events": ["push"], "config": {"url": url, "content_type": content_type, "secret": "********"}})
}

#[tokio::test]
async fn a_forge_that_refuses_leaves_nothing_behind_and_says_what_to_do() {
    let no_admin = serde_json::json!({"message": "Must have admin rights to Repository.\u{1b}[2J"});
    let limited = serde_json::json!({"message": "API rate limit exceeded for user ID 1."});
    let none = serde_json::json!({"message": "Not Found"});
    for (status, body, exit, word) in [
        (401, &serde_json::json!({"message": "Bad credentials"}), 77, "not valid"),
        (403, &no_admin, 77, "may the token administer"),
        (403, &limited, 69, "wait"),
        (404, &none, 77, "no such repository, or the token may not administer"),
        (502, &Value::Null, 69, "later"),
        (302, &Value::Null, 77, "302"),
        (200, &serde_json::json!({"hooks": []}), 77, "200"),
    ] {
        let (ground, hub) = (Ground::new(), Fake::start(vec![Answer::json(status, body)]).await);
        let output = ground.add(&hub.url, &[]).await;
        let told = stderr(&output);
        assert!(code(&output) == exit && told.contains(word) && !told.contains('\u{1b}'), "{status}: {} {told}", code(&output));
        ground.nothing_was_made();
        assert_eq!(hub.asked().iter().filter(|asked| asked.method == "POST").count(), 0);
    }
}

#[tokio::test]
async fn what_cannot_be_asked_leaves_nothing_behind() {
    // A port that nobody listens at: its listener is gone.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ground = Ground::new();
    let output = ground.add(&format!("http://{closed}"), &[]).await;
    assert!(code(&output) == 69 && stderr(&output).contains("cannot be reached"), "{}", stderr(&output));
    ground.nothing_was_made();
    for (api, word) in [
        ("http://api.github.com", "plain http"),
        ("https://api.gitlab.example", "another one"),
        ("https://github.example/api/v3", "another one"),
        ("nonsense", "is none"),
    ] {
        let output = ground.add(api, &[]).await;
        assert!(code(&output) == 64 && stderr(&output).contains(word), "{api}: {}", stderr(&output));
        ground.nothing_was_made();
    }
    for (token, word) in [("", "exactly one line"), ("two\nlines\n", "exactly one line"), ("with\u{1}control", "in a header")] {
        std::fs::write(ground.path("token"), token).unwrap();
        let output = ground.add(&format!("http://{closed}"), &[]).await;
        assert!(code(&output) == 64 && stderr(&output).contains(word), "{token:?}: {}", stderr(&output));
        ground.nothing_was_made();
    }
}

#[tokio::test]
async fn there_is_never_a_second_webhook_and_one_that_cannot_work_is_told() {
    let ours = "https://navvy.example/hooks/platform";
    for (there, warned) in [
        (hook(ours, "json"), false),
        (hook(&format!("{ours}/"), "json"), false),
        (hook("https://NAVVY.example/hooks/platform", "form"), true),
    ] {
        let other = hook("https://navvy.example/hooks/other", "json");
        let (ground, hub) = (Ground::new(), Fake::start(vec![Answer::json(200, &serde_json::json!([other, there]))]).await);
        let output = ground.add(&hub.url, &["--json"]).await;
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(
            (&told["registered"], told["webhook_problems"].as_array().unwrap().len()),
            (&"present".into(), usize::from(warned)),
            "{told}"
        );
        assert!(hub.asked().iter().all(|asked| asked.method == "GET"), "{:?}", hub.asked());
    }
    // Somebody is quicker.
    let race = vec![
        Answer::json(200, &serde_json::json!([])),
        Answer::json(
            422,
            &serde_json::json!({"message": "Validation Failed", "errors": [{"message": "Hook already exists on this repository"}]}),
        ),
        Answer::json(200, &serde_json::json!([hook(ours, "form")])),
    ];
    let (ground, hub) = (Ground::new(), Fake::start(race).await);
    let output = ground.add(&hub.url, &[]).await;
    let told = stderr(&output);
    assert!(code(&output) == 0 && told.contains("is there already") && told.contains("application/json"), "{told}");
    // GitHub does not like the address: the source is set up, and the same may be run again.
    let refuses = vec![
        Answer::json(200, &serde_json::json!([])),
        Answer::json(422, &serde_json::json!({"message": "Validation Failed", "errors": [{"message": "url is not reachable"}]})),
        Answer::json(200, &serde_json::json!([])),
    ];
    let (ground, hub) = (Ground::new(), Fake::start(refuses).await);
    let output = ground.add(&hub.url, &[]).await;
    let told = stderr(&output);
    assert!(code(&output) == 77 && told.contains("url is not reachable") && told.contains("--public-url"), "{told}");
}

#[tokio::test]
async fn a_secret_file_that_is_there_keeps_its_mode_and_is_not_trusted_blindly() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let (ground, hub) = (Ground::new(), Fake::start(vec![Answer::json(200, &serde_json::json!([]))]).await);
    let file = ground.path("webhook-platform.secret");
    for (content, word) in [("", "has no secret"), ("short\n", "has 5 bytes"), (&"x\n".repeat(3), "1 bytes")] {
        std::fs::write(&file, content).unwrap();
        let output = ground.add(&hub.url, &[]).await;
        assert!(code(&output) == 64 && stderr(&output).contains(word), "{content:?}: {}", stderr(&output));
        assert_eq!(
            (std::fs::read_to_string(&file).unwrap().as_str(), std::fs::read_to_string(ground.path("navvy.toml")).unwrap().as_str()),
            (content, CONFIG)
        );
    }
    assert!(hub.asked().iter().all(|asked| asked.method == "GET"), "and nothing was registered");
    // Where a gateway of another user reads it through its group; and behind a link.
    let old = "an-old-secret-of-the-webhook-of-these-tests";
    let real = ground.path("real");
    std::fs::write(&real, format!("{old}\n")).unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::remove_file(&file).unwrap();
    symlink(&real, &file).unwrap();
    let hub = Fake::start(vec![Answer::json(200, &serde_json::json!([])), Answer::json(201, &serde_json::json!({}))]).await;
    let output = ground.add(&hub.url, &["--rotate"]).await;
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("mode 0640"), "{}", stderr(&output));
    let text = std::fs::read_to_string(&real).unwrap();
    assert_eq!((text.lines().count(), text.lines().nth(1)), (2, Some(old)));
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(std::fs::symlink_metadata(&file).unwrap().is_symlink());
    let made = hub.asked().into_iter().find(|asked| asked.method == "POST").unwrap();
    assert_eq!(made.body["config"]["secret"], text.lines().next().unwrap(), "the new one");
}
