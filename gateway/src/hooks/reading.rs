//! Reads the body of a delivery: up to 25 MiB from somebody who has proved nothing yet.
//!
//! What all such bodies take together is bounded by [`Room`](super::room::Room). A body gets room as it arrives, not as it is announced: whoever
//! announces much and sends little takes little.

use super::room::{Room, Taken};
use crate::answers::Refusal;
use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::{net::IpAddr, time::Duration};

/// Room that a body gets at first.
const FIRST: usize = 32 << 10;

/// Longest body that is read away, in bytes, and how long that may take.
const SHORT_ENOUGH: u64 = 64 << 10;
const AT_ONCE: Duration = Duration::from_millis(500);

/// A body, and the room that it takes while it is held.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(crate) body: Bytes,
    _room: Option<Taken<'a>>,
}

/// The length that a request announces, in bytes.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads away the body of a delivery that is refused unread, if it is short and comes at once: to end its connection and take a
/// new one costs more.
pub(super) async fn discard(headers: &HeaderMap, body: Body) {
    if announced(headers).is_some_and(|length| length <= SHORT_ENOUGH) {
        let mut chunks = body.into_data_stream();
        let reading = async { while let Some(Ok(_)) = chunks.next().await {} };
        let _ = tokio::time::timeout(AT_ONCE, reading).await;
    }
}

impl Room {
    /// Reads a body. `patience`: how long it may take to arrive.
    pub(crate) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        (from, patience): (Option<IpAddr>, Duration),
    ) -> Result<Held<'_>, Refusal> {
        self.read_within(headers, body, (from, patience), (self.lengths.1, self.too_long())).await
    }

    /// The same with a bound that is lower, and what is said beyond it.
    pub(crate) async fn read_within(
        &self,
        headers: &HeaderMap,
        body: Body,
        (from, patience): (Option<IpAddr>, Duration),
        (longest, too_long): (usize, Refusal),
    ) -> Result<Held<'_>, Refusal> {
        let announced = announced(headers);
        if announced.is_some_and(|length| length > longest as u64) {
            return Err(too_long);
        }
        // A short one gets what it announces, and no more is moved about.
        let first = announced.map_or(FIRST, |length| usize::try_from(length).unwrap_or(FIRST).min(FIRST * 4));
        tokio::time::timeout(patience, self.collect(body, (first.max(1), from), (longest, too_long)))
            .await
            .map_err(|_| Refusal::BodyTooSlow)?
    }

    async fn collect(
        &self,
        body: Body,
        (first, from): (usize, Option<IpAddr>),
        (longest, too_long): (usize, Refusal),
    ) -> Result<Held<'_>, Refusal> {
        let mut chunks = body.into_data_stream();
        let mut all = Vec::new();
        let mut room: Option<Taken<'_>> = None;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Refusal::field("", "the body did not arrive whole"))?;
            let needed = all.len() + chunk.len();
            if needed > longest {
                return Err(too_long);
            }
            if needed > all.capacity() {
                let wanted = needed.max(first).max((all.capacity() * 2).min(longest));
                room = Some(self.grow(room.take(), wanted, from).await?);
                all.reserve_exact(wanted - all.len());
            }
            all.extend_from_slice(&chunk);
        }
        Ok(Held { body: Bytes::from(all), _room: room })
    }

    pub(super) fn too_long(&self) -> Refusal {
        Refusal::DeliveryTooLarge { limit: self.lengths.1 as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn room(bytes: usize, longest: usize) -> Room {
        Room::new((bytes, bytes), (0, 0), (longest, longest), Duration::ZERO)
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
        assert_eq!(room.read(&HeaderMap::new(), body(100, 1_000), (None, LONG)).await.unwrap().body.len(), 100_000);
        assert_eq!(room.read(&HeaderMap::new(), body(101, 1_000), (None, LONG)).await.unwrap_err(), too_long);
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(room.read(&announced(100_001), never, (None, LONG)).await.unwrap_err(), too_long, "unread");
        assert_eq!(room.read(&announced(7), body(1, 7), (None, LONG)).await.unwrap().body.len(), 7);
        assert_eq!(room.read(&announced(0), Body::empty(), (None, LONG)).await.unwrap().body.len(), 0);
        assert_eq!(room.free().0, 1 << 20, "all of the room is given back");
    }

    #[tokio::test]
    async fn bodies_take_no_more_room_together_than_there_is() {
        let room = room(100_000, 80_000);
        let one = room.read(&HeaderMap::new(), body(60, 1_000), (None, LONG)).await.unwrap();
        assert!(room.free().0 <= 40_000);
        assert_eq!(room.read(&HeaderMap::new(), body(60, 1_000), (None, LONG)).await.unwrap_err(), Refusal::Busy);
        let small = room.read(&announced(5_000), body(5, 1_000), (None, LONG)).await.unwrap();
        assert_eq!(small.body.len(), 5_000, "a small one still fits");
        drop(one);
        assert!(room.read(&HeaderMap::new(), body(60, 1_000), (None, LONG)).await.is_ok());
        // Announced and not sent takes nothing.
        let before = room.free().0;
        let silent = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let headers = announced(80_000);
        let reading = room.read(&headers, silent, (None, LONG));
        futures_util::pin_mut!(reading);
        assert!(futures_util::poll!(&mut reading).is_pending());
        assert_eq!(room.free().0, before);
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_given_up() {
        let stalls = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(room(100, 100).read(&HeaderMap::new(), stalls, (None, Duration::ZERO)).await.unwrap_err(), Refusal::BodyTooSlow);
    }
}
