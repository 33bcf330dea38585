//! A server that nobody should trust: it asks everybody for a password and writes down what it is told.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Longest request head that is written down, in bytes.
const MAX_HEAD: usize = 64 * 1024;
const ANSWER: &[u8] =
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Ends when dropped.
#[derive(Debug)]
pub struct Listener {
    /// `HOST:PORT`.
    pub host: String,
    heads: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Listener {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let heard = heads.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One after another: nobody here is in a hurry, and a client that hangs up is nobody's loss.
                let _ = hear(stream, &heard).await;
            }
        });
        Ok(Self { host, heads, serving })
    }

    /// The requests so far, each with its headers.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn hear(mut stream: TcpStream, heads: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut bytes = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < MAX_HEAD {
        match stream.read(&mut bytes).await? {
            0 => break,
            n => head.extend_from_slice(&bytes[..n]),
        }
    }
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(String::from_utf8_lossy(&head).into_owned());
    stream.write_all(ANSWER).await
}
