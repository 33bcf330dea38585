//! Somebody who is told about the end of runs: writes down every request, and answers what the test has set.

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::task::JoinHandle;

/// A request as it came in.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Heard {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Book {
    heard: Vec<Heard>,
    answers: VecDeque<StatusCode>,
}

/// Ends when dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    /// `HOST:PORT`.
    pub(super) host: String,
    book: Arc<Mutex<Book>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// Answers with these, then with 200.
    pub(super) async fn start(answers: &[u16]) -> anyhow::Result<Self> {
        let answers = answers.iter().map(|code| StatusCode::from_u16(*code)).collect::<Result<_, _>>()?;
        let book = Arc::new(Mutex::new(Book { heard: Vec::new(), answers }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let router = Router::new().fallback(hear).with_state(Arc::clone(&book));
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { host, book, serving })
    }

    /// The requests so far.
    pub(super) fn heard(&self) -> Vec<Heard> {
        open(&self.book).heard.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn open(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn hear(State(book): State<Arc<Mutex<Book>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 1024 * 1024).await else { return StatusCode::BAD_REQUEST.into_response() };
    let mut book = open(&book);
    book.heard.push(Heard { method: head.method, path: head.uri.to_string(), headers: head.headers, body });
    let status = book.answers.pop_front().unwrap_or(StatusCode::OK);
    if status.is_redirection() { (status, [(header::LOCATION, "/followed")]).into_response() } else { status.into_response() }
}
