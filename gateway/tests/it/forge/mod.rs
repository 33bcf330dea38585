//! GitHub as the gateway sees it, against the small GitHub of the fixtures.

mod calls;
mod commenter;

use gateway::forge::{
    comment::{Comment, Identity, Line, Moment, State},
    github::GitHub,
};
use proto::{
    RunId, ShardNo,
    orders::{OrderCounts, PullRequest},
};
use serde_json::Value;
use service::settings::{self, Secret};
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

pub(crate) const TOKEN: &str = "ghp_canary";

/// The small GitHub. Ends when dropped.
pub(crate) struct Hub {
    child: Child,
    pub(crate) url: String,
}

impl Hub {
    pub(crate) fn start(args: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/github_server.py");
        let mut child =
            Command::new("python3").arg(script).args(["--token", TOKEN]).args(args).stdout(Stdio::piped()).spawn().expect("python3 starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let url = line.split_whitespace().last().expect("`ready URL`").to_owned();
        Self { child, url }
    }

    fn forge(&self) -> GitHub {
        GitHub::new(&configured(&self.url)).expect("a client")
    }

    async fn control(&self, name: &str, said: Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.post(format!("{}/__{name}", self.url)).body(said.to_string()).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    pub(crate) async fn faults(&self, faults: Value) {
        self.control("faults", faults).await;
    }

    /// Every release that was published.
    pub(crate) async fn releases(&self) -> Vec<Value> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let text = client.get(format!("{}/__releases", self.url)).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Methods and paths, in the order they were asked for.
    pub(crate) async fn asked(&self) -> Vec<String> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let text = client.get(format!("{}/__requests", self.url)).send().await.unwrap().text().await.unwrap();
        let asked: Vec<Value> = serde_json::from_str(&text).unwrap();
        asked.iter().map(|one| format!("{} {}", one["method"].as_str().unwrap(), one["path"].as_str().unwrap())).collect()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configured(url: &str) -> settings::GitHub {
    settings::GitHub { api_url: url.to_owned(), token: Some(Secret::new(TOKEN)), ..settings::GitHub::default() }
}

fn pull() -> PullRequest {
    PullRequest { repo: "team/app".into(), number: 7 }
}

fn identity() -> Identity {
    Identity::new("a1b2c3d4", &RunId::from_repeatable(&["forge"], ShardNo(0)), "ada:0011aabb-exec")
}

fn comment(moment: Moment, state: State) -> Comment {
    let orders = ["vpc", "rds"].map(|name| Line { name: name.into(), state, reason: None }).to_vec();
    let counts = OrderCounts { total: 2, ..OrderCounts::default() };
    Comment { identity: identity(), moment, orders, counts, link: None }
}

fn start() -> Comment {
    comment(Moment::Start, State::Queued)
}

fn progress() -> Comment {
    comment(Moment::Progress, State::Running)
}

fn end() -> Comment {
    comment(Moment::End { took: Duration::from_secs(9) }, State::Succeeded)
}
