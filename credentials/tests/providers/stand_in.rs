//! A server that answers from a script and keeps what it was asked.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use credentials::{Access, Keeper};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// A status and a body.
pub(crate) type Said = (u16, String);

pub(crate) struct StandIn {
    pub(crate) url: Url,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl StandIn {
    /// Starts on a free port; `answer` is given each request and how many came before it. It ends with the test's runtime.
    pub(crate) async fn start(answer: impl Fn(&Asked, usize) -> Said + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&asked), Arc::new(answer));
        let handler = move |request: Request| {
            let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
            async move {
                let one = read(request).await;
                let before = {
                    let mut kept = kept.lock().expect("not poisoned");
                    kept.push(one.clone());
                    kept.len() - 1
                };
                let (status, body) = answer(&one, before);
                let response = Response::builder().status(status);
                let response = if status == 302 { response.header("location", "http://127.0.0.1:9/") } else { response };
                // In pieces, its length is not announced.
                let piece = |bytes: &[u8]| Ok::<_, std::io::Error>(bytes.to_vec());
                let pieces: Vec<_> = body.as_bytes().chunks(100_000).map(piece).collect();
                let unannounced = one.target.ends_with("unannounced");
                let body = if unannounced { Body::from_stream(futures_util::stream::iter(pieces)) } else { Body::from(body) };
                response.body(body).expect("an answer")
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { url: Url::parse(&format!("http://{address}")).expect("a URL"), asked }
    }

    /// How many requests have come.
    pub(crate) fn count(&self) -> usize {
        self.asked.lock().expect("not poisoned").len()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

async fn read(request: Request) -> Asked {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect();
    Asked {
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().expect("a path").to_string(),
        headers,
        body: axum::body::to_bytes(body, 1 << 20).await.expect("a body").to_vec(),
    }
}

/// A keeper that does not wait between tries.
pub(crate) fn keeper(access: Access) -> Keeper {
    fn at_once(_: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
    Keeper::with_pause(access, at_once).expect("a usable access")
}

/// A file that only its owner may read.
pub(crate) fn private(folder: &std::path::Path, name: &str, content: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, content).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("made private");
    path
}
