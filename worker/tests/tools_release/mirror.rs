//! A release mirror on this machine, and releases to put on it.

use crate::keys::Maker;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use zip::write::{SimpleFileOptions, ZipWriter};

/// What a path answers.
#[derive(Clone)]
pub(crate) enum Answer {
    File(Vec<u8>),
    Redirect(String),
}

type Files = HashMap<String, Answer>;

/// Serves what it was given, and remembers what was asked for.
pub(crate) struct Mirror {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    pub(crate) async fn start(files: Files) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (files, seen) = (Arc::new(files), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (files, seen) = (files.clone(), seen.clone());
                tokio::spawn(async move {
                    let _ = serve(stream, &files, &seen).await;
                });
            }
        });
        Self { url, asked }
    }

    /// How often a file whose name ends like this was asked for.
    pub(crate) fn asked_for(&self, ending: &str) -> usize {
        self.asked.lock().expect("unpoisoned").iter().filter(|path| path.ends_with(ending)).count()
    }
}

async fn serve(stream: TcpStream, files: &Files, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        if header.trim().is_empty() {
            break;
        }
    }
    seen.lock().expect("unpoisoned").push(path.clone());
    let (head, body) = match files.get(&path) {
        Some(Answer::File(content)) => ("200 OK".to_owned(), content.clone()),
        Some(Answer::Redirect(to)) => (format!("302 Found\r\nLocation: {to}"), Vec::new()),
        None => ("404 Not Found".to_owned(), Vec::new()),
    };
    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await
}

/// A release in the making: change what a test is about, then put it on a mirror.
pub(crate) struct Release {
    pub(crate) version: String,
    pub(crate) archive: Vec<u8>,
    pub(crate) sums: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl Release {
    /// An honest one of a program that says it is that version.
    pub(crate) fn new(maker: &Maker, version: &str) -> Self {
        Self::of(maker, version, &[("terraform", &program(version)), ("LICENSE.txt", "free")])
    }

    /// A signed one with these entries.
    pub(crate) fn of(maker: &Maker, version: &str, entries: &[(&str, &str)]) -> Self {
        let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, content) in entries {
            zip.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).expect("begun");
            zip.write_all(content.as_bytes()).expect("written");
        }
        let archive = zip.finish().expect("finished").into_inner();
        let sums = format!("{}  {}\n", hex::encode(Sha256::digest(&archive)), archive_name(version)).into_bytes();
        let signature = maker.sign(&sums);
        Self { version: version.to_owned(), archive, sums, signature }
    }

    pub(crate) fn files(self) -> Files {
        let at = |name: String| format!("/terraform/{}/{name}", self.version);
        let sums = format!("terraform_{}_SHA256SUMS", self.version);
        Files::from([
            (at(archive_name(&self.version)), Answer::File(self.archive)),
            (at(format!("{sums}.sig")), Answer::File(self.signature)),
            (at(sums), Answer::File(self.sums)),
        ])
    }
}

/// A program that does nothing but say its version.
pub(crate) fn program(version: &str) -> String {
    format!("#!/bin/sh\necho '{{\"terraform_version\": \"{version}\"}}'\n")
}

pub(crate) fn archive_name(version: &str) -> String {
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("terraform_{version}_{}_{processor}.zip", std::env::consts::OS)
}
