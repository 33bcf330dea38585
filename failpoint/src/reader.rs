//! A reader that a process can die at: half of something is stored then.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, ReadBuf};

/// Passes everything on, and comes by its point before each part.
#[derive(Debug)]
pub struct Watched<R> {
    name: &'static str,
    inner: Pin<Box<R>>,
}

impl<R> Watched<R> {
    pub fn new(name: &'static str, inner: R) -> Self {
        Self { name, inner: Box::pin(inner) }
    }
}

impl<R: AsyncRead> AsyncRead for Watched<R> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        crate::reached(self.name);
        self.inner.as_mut().poll_read(context, buffer)
    }
}
