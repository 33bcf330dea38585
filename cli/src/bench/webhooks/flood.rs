//! The flood: requests whose signature is wrong, at a rate, from addresses of their own.
//!
//! It runs on a thread of its own and writes ready-made bytes, so that what is measured beside it waits for the gateway and not
//! for whoever floods. Linux answers on all of 127.0.0.0/8, which gives as many addresses as are wanted.

use super::load::{Load, sign};
use anyhow::Context as _;
use std::{
    cell::RefCell,
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::LocalSet,
};
use tokio_util::sync::CancellationToken;

/// How a flood is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Requests a second.
    pub(super) rate: u32,
    /// Addresses that they come from, in turn.
    pub(super) addresses: u16,
}

/// A flood that is under way.
pub(super) struct Flood {
    refused: Arc<AtomicU64>,
    stop: CancellationToken,
    thread: JoinHandle<anyhow::Result<()>>,
    began: Instant,
}

impl Flood {
    pub(super) fn start(load: &Load, shape: Shape) -> anyhow::Result<Self> {
        let url: reqwest::Url = load.url.parse()?;
        let to = url.socket_addrs(|| None)?.into_iter().next().context("the gateway has an address")?;
        let body = load.body(0)?;
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\nx-github-event: push\r\nx-github-delivery: flood\r\n\
             x-hub-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
            url.path(),
            sign("somebody else's secret, just as long", &body),
            body.len()
        );
        let request = [head.into_bytes(), body].concat();
        let (refused, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let (counted, stopped) = (refused.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("flood".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let stranger = Stranger { to, request, counted, idle: RefCell::default() };
            LocalSet::new().block_on(&runtime, stranger.send(shape, stopped));
            Ok(())
        })?;
        Ok(Self { refused, stop, thread, began: Instant::now() })
    }

    /// Refusals a second.
    pub(super) fn stop(self) -> anyhow::Result<f64> {
        let refused = self.refused.load(Ordering::Relaxed) as f64 / self.began.elapsed().as_secs_f64();
        self.stop.cancel();
        self.thread.join().map_err(|_| anyhow::anyhow!("the flood panicked"))??;
        Ok(refused)
    }
}

struct Stranger {
    to: SocketAddr,
    /// Head and body.
    request: Vec<u8>,
    counted: Arc<AtomicU64>,
    /// Connections that the gateway left open.
    idle: RefCell<HashMap<IpAddr, Vec<TcpStream>>>,
}

impl Stranger {
    async fn send(self, shape: Shape, stop: CancellationToken) {
        let stranger = Rc::new(self);
        let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / f64::from(shape.rate.max(1))));
        let mut number = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let [high, low] = (number % shape.addresses.max(1)).to_be_bytes();
            number = number.wrapping_add(1);
            let (stranger, from) = (stranger.clone(), IpAddr::V4(Ipv4Addr::new(127, 1, high, low.max(1))));
            tokio::task::spawn_local(async move { stranger.once(from).await });
        }
    }

    /// One request. An answer of 4xx is a refusal, and so is a connection that is cut while we write: what is not read is not
    /// answered for long.
    async fn once(&self, from: IpAddr) {
        let open = self.idle.borrow_mut().get_mut(&from).and_then(Vec::pop);
        let Ok(mut stream) = self.connected(open, from).await else { return };
        match self.exchange(&mut stream).await {
            Ok(true) => {
                self.counted.fetch_add(1, Ordering::Relaxed);
                self.idle.borrow_mut().entry(from).or_default().push(stream);
            }
            Ok(false) => {}
            Err(_) => {
                self.counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn connected(&self, open: Option<TcpStream>, from: IpAddr) -> std::io::Result<TcpStream> {
        if let Some(open) = open {
            return Ok(open);
        }
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        socket.connect(self.to).await
    }

    /// Whether it was answered with a refusal.
    async fn exchange(&self, stream: &mut TcpStream) -> std::io::Result<bool> {
        stream.write_all(&self.request).await?;
        let mut answer = [0; 2048];
        let read = stream.read(&mut answer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        Ok(answer.starts_with(b"HTTP/1.1 4"))
    }
}
