//! An HTTP server for archives on a loopback port: it answers what it was told to, and remembers what it was asked.

use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// What every request is answered with.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    File(Vec<u8>),
    Status(u16),
    Redirect(String),
    /// Announces less than it sends, or nothing.
    Unannounced(Vec<u8>),
    /// Announces more than it sends.
    CutOff(Vec<u8>),
    /// Says nothing at all.
    Silence,
}

#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) host: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// Told of each request.
    pub(crate) arrived: Arc<Notify>,
}

impl Files {
    pub(crate) async fn serve(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("bound").to_string();
        let (asked, arrived) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (seen, tell) = (asked.clone(), arrived.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen, tell) = (answer.clone(), seen.clone(), tell.clone());
                tokio::spawn(async move {
                    let _ = respond(stream, answer, &seen, &tell).await;
                });
            }
        });
        Self { host, asked, arrived }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    /// The paths that were asked for, with their queries.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("unpoisoned").clone()
    }
}

async fn respond(stream: TcpStream, answer: Answer, seen: &Mutex<Vec<String>>, tell: &Notify) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    seen.lock().expect("unpoisoned").push(line.split(' ').nth(1).unwrap_or_default().to_owned());
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        if header.trim().is_empty() {
            break;
        }
    }
    tell.notify_one();
    let (head, body) = match answer {
        Answer::File(body) => (format!("200 OK\r\nContent-Length: {}", body.len()), body),
        Answer::Status(status) => (format!("{status} So\r\nContent-Length: 0"), Vec::new()),
        Answer::Redirect(to) => (format!("302 Found\r\nLocation: {to}\r\nContent-Length: 0"), Vec::new()),
        Answer::Unannounced(body) => ("200 OK".to_owned(), body),
        Answer::CutOff(body) => (format!("200 OK\r\nContent-Length: {}", body.len() + 1), body),
        Answer::Silence => std::future::pending().await,
    };
    stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    stream.write_all(&body).await
}
