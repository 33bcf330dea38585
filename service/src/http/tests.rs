//! The accept loop over real sockets, with raw bytes.
//!
//! Tests that begin with `w` and a number are rows of the table of hostile inputs. Limits are set small; nothing asserts a duration, only that the awaited thing happens within a generous deadline.

use std::future::Future;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::shutdown::{Shutdown, Tasks};

const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("happens in time")
}

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

async fn start(router: Router, limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let ended = Tasks::new(Shutdown::new()).spawn("server", serve(listener, router, limits, stop.clone()));
    Server { address, stop, ended }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        soon(TcpStream::connect(self.address)).await.unwrap()
    }

    /// Sends `bytes` on a new connection and reads until the server closes it.
    async fn talk(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may close before it has read everything; what it answered still counts.
        let _ = stream.write_all(bytes).await;
        rest(&mut stream).await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads one answer whose body is `body`, leaving the connection open.
async fn until(stream: &mut TcpStream, body: &str) -> String {
    let mut answer = String::new();
    while !answer.ends_with(body) {
        let mut chunk = [0; 1024];
        let n = soon(stream.read(&mut chunk)).await.expect("readable");
        assert!(n > 0, "closed after: {answer}");
        answer.push_str(&String::from_utf8_lossy(&chunk[..n]));
    }
    answer
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const ASK_AND_CLOSE: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

async fn panics() -> String {
    panic!("boom")
}

fn hello() -> Router {
    Router::new()
        .route("/", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { format!("hello {}", peer.ip()) }))
        .route("/panic", get(panics))
}

#[tokio::test]
async fn requests_are_served_and_see_their_peer() {
    let server = start(hello(), Limits::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream.write_all(ASK).await.unwrap();
        assert!(until(&mut stream, "hello 127.0.0.1").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn w18_a_client_that_never_ends_its_head_is_closed() {
    let limits = Limits { header_timeout: Duration::from_millis(50), ..Limits::default() };
    let server = start(hello(), limits).await;
    for begun in [&b""[..], b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        assert!(!server.talk(begun).await.contains("200"), "{begun:?}");
    }
    // A byte now and then buys no time.
    let mut slow = server.connect().await;
    let trickle = async { while slow.write_all(b"x").await.is_ok() && timeout_of_a_read(&mut slow).await {} };
    soon(trickle).await;
    let mut idle = server.connect().await;
    idle.write_all(ASK).await.unwrap();
    assert!(rest(&mut idle).await.contains("hello"), "served, then closed for idling");
}

/// Whether nothing was said for a moment: it is neither answered nor closed.
async fn timeout_of_a_read(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(5), stream.read(&mut [0; 64])).await.is_err()
}

#[tokio::test]
async fn w19_oversized_heads_are_refused() {
    let limits = Limits { headers: 10, header_bytes: 8 * 1024, ..Limits::default() };
    let server = start(hello(), limits).await;
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(11));
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(9 * 1024));
    for head in [many, long] {
        let answer = server.talk(head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    assert!(server.talk(ASK_AND_CLOSE).await.contains("hello"));
}

#[tokio::test]
async fn w19_one_client_cannot_hold_more_than_its_share() {
    let limits = Limits { connections_per_ip: 1, exempt_loopback: false, ..Limits::default() };
    let server = start(hello(), limits).await;
    let mut first = server.connect().await;
    first.write_all(ASK).await.unwrap();
    until(&mut first, "hello 127.0.0.1").await;
    assert_eq!(server.talk(ASK_AND_CLOSE).await, "", "the second is closed unanswered");
    drop(first);
    let served = async { while !server.talk(ASK_AND_CLOSE).await.contains("hello") {} };
    soon(served).await;
}

#[tokio::test]
async fn without_room_clients_wait_in_line() {
    let server = start(hello(), Limits { connections: 1, ..Limits::default() }).await;
    let mut first = server.connect().await;
    first.write_all(ASK).await.unwrap();
    until(&mut first, "hello 127.0.0.1").await;
    let mut second = server.connect().await;
    second.write_all(ASK_AND_CLOSE).await.unwrap();
    drop(first);
    assert!(rest(&mut second).await.contains("hello"));
}

#[tokio::test]
async fn a_panic_in_a_handler_ends_only_its_connection() {
    let server = start(hello(), Limits { connections: 1, ..Limits::default() }).await;
    assert_eq!(server.talk(b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
    assert!(server.talk(ASK_AND_CLOSE).await.contains("hello"));
}

/// A router whose one request waits for `go`, after telling that it began.
fn waiting(begun: &Arc<Notify>, go: &Arc<Notify>) -> Router {
    let (begun, go) = (Arc::clone(begun), Arc::clone(go));
    Router::new().route(
        "/",
        get(move || async move {
            begun.notify_one();
            go.notified().await;
            "done"
        }),
    )
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_closes_the_rest() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let server = start(waiting(&begun, &go), Limits { drain: PATIENCE, ..Limits::default() }).await;
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(ASK).await.unwrap();
    soon(begun.notified()).await;
    server.stop.cancel();
    assert_eq!(rest(&mut idle).await, "");
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    soon(refused).await;
    assert!(!server.ended.is_finished());
    go.notify_one();
    let answer = rest(&mut busy).await;
    assert!(answer.ends_with("done") && answer.to_lowercase().contains("connection: close"), "{answer}");
    soon(server.ended).await.unwrap();
}

#[tokio::test]
async fn a_stop_cuts_requests_that_do_not_finish() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let server = start(waiting(&begun, &go), Limits { drain: Duration::from_millis(20), ..Limits::default() }).await;
    let mut busy = server.connect().await;
    busy.write_all(ASK).await.unwrap();
    soon(begun.notified()).await;
    server.stop.cancel();
    soon(server.ended).await.unwrap();
    assert_eq!(rest(&mut busy).await, "");
}
