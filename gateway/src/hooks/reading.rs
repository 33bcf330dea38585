//! Reads the body of a delivery: up to 25 MiB from somebody who has proved nothing yet.
//!
//! What all such bodies take together is bounded by [`Room`]. A body gets room as it arrives, not as it is announced: whoever
//! announces much and sends little takes little.

use crate::answers::Refusal;
use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Longest body. GitHub sends no more than 25 MB, and nobody else does.
pub(crate) const LONGEST: usize = 25 << 20;
/// What all bodies that are being read may take together.
const ROOM: usize = 96 << 20;
/// Room that a body gets at first.
const FIRST: usize = 32 << 10;
/// How long a body waits for others to give up their room.
const PATIENCE: Duration = Duration::from_secs(2);

/// Room for bodies, in bytes.
#[derive(Debug)]
pub(crate) struct Room {
    free: Semaphore,
    longest: usize,
    patience: Duration,
}

/// A body, and the room that it takes while it is held.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(crate) body: Bytes,
    _room: Option<SemaphorePermit<'a>>,
}

impl Default for Room {
    fn default() -> Self {
        Self { free: Semaphore::new(ROOM), longest: LONGEST, patience: PATIENCE }
    }
}

impl Room {
    /// Reads a body. `patience`: how long it may take to arrive.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Body, patience: Duration) -> Result<Held<'_>, Refusal> {
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
        if announced.is_some_and(|length| length > self.longest as u64) {
            return Err(self.too_long());
        }
        // A short one gets what it announces, and no more is moved about.
        let first = announced.map_or(FIRST, |length| usize::try_from(length).unwrap_or(FIRST).min(FIRST * 4));
        tokio::time::timeout(patience, self.collect(body, first.max(1))).await.map_err(|_| Refusal::BodyTooSlow)?
    }

    async fn collect(&self, body: Body, first: usize) -> Result<Held<'_>, Refusal> {
        let mut chunks = body.into_data_stream();
        let mut all = Vec::new();
        let mut room: Option<SemaphorePermit<'_>> = None;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Refusal::field("", "the body did not arrive whole"))?;
            let needed = all.len() + chunk.len();
            if needed > self.longest {
                return Err(self.too_long());
            }
            if needed > all.capacity() {
                let wanted = needed.max(first).max((all.capacity() * 2).min(self.longest));
                let more = self.take(wanted - all.capacity()).await?;
                match &mut room {
                    Some(room) => room.merge(more),
                    None => room = Some(more),
                }
                all.reserve_exact(wanted - all.len());
            }
            all.extend_from_slice(&chunk);
        }
        Ok(Held { body: Bytes::from(all), _room: room })
    }

    async fn take(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Refusal> {
        let bytes = u32::try_from(bytes).map_err(|_| self.too_long())?;
        match tokio::time::timeout(self.patience, self.free.acquire_many(bytes)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Refusal::Busy),
        }
    }

    fn too_long(&self) -> Refusal {
        Refusal::DeliveryTooLarge { limit: self.longest as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn room(bytes: usize, longest: usize) -> Room {
        Room { free: Semaphore::new(bytes), longest, patience: Duration::ZERO }
    }

    fn body(chunks: usize, bytes: usize) -> Body {
        let chunks = (0..chunks).map(move |_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; bytes])));
        Body::from_stream(futures_util::stream::iter(chunks))
    }

    fn announced(bytes: u64) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_LENGTH, HeaderValue::from(bytes))])
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn w1_the_limit_holds_with_and_without_an_announced_length() {
        let room = room(1 << 20, 100_000);
        let too_long = Refusal::DeliveryTooLarge { limit: 100_000 };
        assert_eq!(room.read(&HeaderMap::new(), body(100, 1_000), LONG).await.unwrap().body.len(), 100_000);
        assert_eq!(room.read(&HeaderMap::new(), body(101, 1_000), LONG).await.unwrap_err(), too_long);
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(room.read(&announced(100_001), never, LONG).await.unwrap_err(), too_long, "unread");
        assert_eq!(room.read(&announced(7), body(1, 7), LONG).await.unwrap().body.len(), 7);
        assert_eq!(room.read(&announced(0), Body::empty(), LONG).await.unwrap().body.len(), 0);
        assert_eq!(room.free.available_permits(), 1 << 20, "all of the room is given back");
    }

    #[tokio::test]
    async fn bodies_take_no_more_room_together_than_there_is() {
        let room = room(100_000, 80_000);
        let one = room.read(&HeaderMap::new(), body(60, 1_000), LONG).await.unwrap();
        assert!(room.free.available_permits() <= 40_000);
        assert_eq!(room.read(&HeaderMap::new(), body(60, 1_000), LONG).await.unwrap_err(), Refusal::Busy);
        let small = room.read(&announced(5_000), body(5, 1_000), LONG).await.unwrap();
        assert_eq!(small.body.len(), 5_000, "a small one still fits");
        drop(one);
        assert!(room.read(&HeaderMap::new(), body(60, 1_000), LONG).await.is_ok());
        // Announced and not sent takes nothing.
        let before = room.free.available_permits();
        let silent = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let headers = announced(80_000);
        let reading = room.read(&headers, silent, LONG);
        futures_util::pin_mut!(reading);
        assert!(futures_util::poll!(&mut reading).is_pending());
        assert_eq!(room.free.available_permits(), before);
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_given_up() {
        let stalls = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(room(100, 100).read(&HeaderMap::new(), stalls, Duration::ZERO).await.unwrap_err(), Refusal::BodyTooSlow);
    }
}
