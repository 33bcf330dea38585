//! What the tool and the worker talk to: the state server of the fixtures, and a server that answers as it is told.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A backend with real locks. Ends when dropped.
pub(crate) struct StateServer {
    child: Child,
    pub(crate) url: String,
    _dir: tempfile::TempDir,
}

impl StateServer {
    pub(crate) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/state_server.py");
        let dir = tempfile::tempdir().expect("a folder");
        let mut child = Command::new("python3")
            .arg(script)
            .arg("--dir")
            .arg(dir.path())
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let url = line.split_whitespace().last().expect("`ready URL`").to_owned();
        Self { child, url, _dir: dir }
    }

    /// Settings for one state.
    pub(crate) fn backend(&self, state: &str) -> Vec<(String, String)> {
        let address = format!("{}/{state}", self.url.trim_end_matches('/'));
        ["address", "lock_address", "unlock_address"].map(|key| (key.to_owned(), address.clone())).to_vec()
    }
}

impl Drop for StateServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One HTTP request: method and path.
pub(crate) type Request = (String, String);

/// Answers each request with what a function says; remembers what was asked.
pub(crate) struct Answers {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Answers {
    /// The function gets method and path and gives a status and a body.
    pub(crate) async fn start(answer: fn(&str, &str) -> (u16, String)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = seen.clone();
                tokio::spawn(async move {
                    let _ = serve(stream, answer, &seen).await;
                });
            }
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("unpoisoned").clone()
    }
}

async fn serve(stream: TcpStream, answer: fn(&str, &str) -> (u16, String), seen: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut stream = tokio::io::BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line).await?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    stream.read_exact(&mut vec![0; length]).await?;
    let (status, body) = answer(&method, &path);
    seen.lock().expect("unpoisoned").push((method, path));
    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await
}
