//! A gateway of a few lines, and a way to run `navvy` against it. It knows nothing of runs: each test says what is
//! answered, and looks at what was asked.

use std::collections::VecDeque;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

pub(crate) const RUN: &str = "0192f0c1-7e3a-7abc-8def-012345678900";

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// One answer to come.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    kind: &'static str,
    chunks: Vec<String>,
    retry_after: bool,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, kind: "application/json", chunks: vec![body.to_string()], retry_after: false }
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = serde_json::json!({"error": format!("refused: {code}"), "code": code, "field": null, "status": null});
        Self { retry_after: status == 503, ..Self::json(status, &body) }
    }

    /// A live stream that ends after these chunks, wherever they are cut.
    pub(crate) fn stream(chunks: &[&str]) -> Self {
        let chunks = chunks.iter().map(|&chunk| chunk.to_owned()).collect();
        Self { status: 200, kind: "text/event-stream", chunks, retry_after: false }
    }
}

#[derive(Debug, Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// The fake gateway: gives its answers one after the other; the last one for ever.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) url: String,
    script: Script,
}

impl Gateway {
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let script = Script { answers: Arc::new(Mutex::new(answers.into())), asked: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, script }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }

    /// Runs `navvy` against this gateway to its end.
    pub(crate) async fn navvy(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// `navvy`, ready to start.
    pub(crate) fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = navvy(arguments);
        command.env("NAVVY_URL", &self.url).env("NAVVY_TOKEN", "t0ken");
        command
    }
}

/// `navvy` with an empty environment.
pub(crate) fn navvy(arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_navvy"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let body = serde_json::from_slice(&bytes).unwrap_or_default();
    script.asked.lock().unwrap().push(Asked { method: parts.method, path, headers: parts.headers, body });
    let answer = {
        let mut answers = script.answers.lock().unwrap();
        if answers.len() > 1 { answers.pop_front().unwrap() } else { repeat(&answers) }
    };
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).unwrap());
    response = response.header(header::CONTENT_TYPE, answer.kind);
    if answer.retry_after {
        response = response.header(header::RETRY_AFTER, "5");
    }
    let chunks = answer.chunks.into_iter().map(Ok::<_, std::io::Error>);
    response.body(Body::from_stream(futures_util::stream::iter(chunks))).unwrap()
}

fn repeat(answers: &VecDeque<Answer>) -> Answer {
    let last = answers.front().expect("a script has an answer");
    Answer { status: last.status, kind: last.kind, chunks: last.chunks.clone(), retry_after: last.retry_after }
}
