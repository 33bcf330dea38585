//! The HTTP/1 accept loop of every listener.
//!
//! `axum::serve` sets no time limit for request heads, so one idle client with many sockets holds them all. Here the
//! head has a deadline and a size, connections are counted overall and per client, and a stop lets requests finish.
//! What a request may do, its body and its time belong to the router.

mod limits;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use limits::{Clients, Place};
pub use limits::{Limits, client_of};

/// Pause after the system refused a connection for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `stop` is cancelled, then closes idle connections at once, lets requests in hand finish for
/// at most `limits.drain`, cuts the rest and returns. The router finds the peer as `ConnectInfo<SocketAddr>`.
/// A live stream does not end by itself: its handler has to watch the same token.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let clients = Clients::new(&limits);
    let mut open = JoinSet::new();
    while let Some((stream, peer, permit)) = next(&listener, &room, &stop).await {
        while let Some(ended) = open.try_join_next() {
            note(ended);
        }
        let Some(place) = clients.enter(peer.ip()) else {
            tracing::debug!(%peer, "closed: this client holds too many connections");
            continue;
        };
        let served = connection(stream, peer, router.clone(), limits.clone(), stop.clone());
        open.spawn(hold((permit, place), served));
    }
    drop(listener);
    while let Some(ended) = open.join_next().await {
        note(ended);
    }
}

/// The next connection, with its permit; `None` once `stop` is cancelled.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let arrive = async {
        // The permit comes first: without room, clients wait in the system's queue and cost us nothing.
        let permit = Arc::clone(room).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, permit)),
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; trying on");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        arrived = arrive => arrived,
    }
}

/// Errors that concern one connection that is gone already.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Keeps the connection's permit and place until it ends, even by a panic.
async fn hold(_held: (OwnedSemaphorePermit, Place), served: impl Future<Output = ()>) {
    served.await;
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a request handler panicked; its connection is closed");
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, limits: Limits, stop: CancellationToken) {
    // Log lines and events are small and must not wait for a full segment.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Also the time a connection may idle between two requests.
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers)
        .max_header_size(limits.header_bytes)
        .keep_alive(true);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            if let Ok(result) = tokio::time::timeout(limits.drain, served).await { result } else {
                tracing::warn!(%peer, "cut: the request did not finish in time");
                return;
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

#[cfg(test)]
mod tests;
