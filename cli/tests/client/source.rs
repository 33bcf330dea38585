//! `navvy source add` and `navvy secrets check`, on the real binary, against the small GitHub of the fixtures.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::fake::{code, navvy, stderr, stdout};
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
