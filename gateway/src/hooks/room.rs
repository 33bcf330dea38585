//! Room in memory for bodies of senders who have proved nothing yet.
//!
//! Short bodies, which nearly all pushes are, have a lane of their own: a few senders of long ones do not keep them out. In each
//! lane one address has a share, so that it takes several strangers to fill it. Whoever finds no room waits a while.

use crate::answers::Refusal;
use service::http::client_of;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Longest body. GitHub sends no more than 25 MB, and nobody else does.
pub(crate) const LONGEST: usize = 25 << 20;
/// Longest body of the lane of short ones.
const SHORT: usize = 1 << 20;
/// What all short bodies that are being read may take together, and those of one address.
const SHORT_LANE: (usize, usize) = (32 << 20, 8 << 20);
/// The same for long ones.
const LONG_LANE: (usize, usize) = (96 << 20, 32 << 20);
/// How long a body waits for others to give up their room.
const PATIENCE: Duration = Duration::from_secs(2);
/// Addresses that are remembered before those without a body are forgotten.
const ADDRESSES: usize = 1_000;

/// Room for bodies, in bytes.
#[derive(Debug)]
pub(crate) struct Room {
    short: Lane,
    long: Lane,
    /// Longest body of the short lane, and of all.
    pub(super) lengths: (usize, usize),
    patience: Duration,
}

#[derive(Debug)]
struct Lane {
    free: Semaphore,
    /// Of one address.
    share: usize,
    shares: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// Room that a body takes, until it is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    lane: &'a Lane,
    bytes: usize,
    of_all: SemaphorePermit<'a>,
    of_one: Option<OwnedSemaphorePermit>,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(SHORT_LANE, LONG_LANE, (SHORT, LONGEST), PATIENCE)
    }
}

impl Room {
    pub(super) fn new(short: (usize, usize), long: (usize, usize), lengths: (usize, usize), patience: Duration) -> Self {
        Self { short: Lane::new(short), long: Lane::new(long), lengths, patience }
    }

    /// Room for so many bytes, for what had less of it before.
    pub(super) async fn grow<'a>(&'a self, had: Option<Taken<'a>>, bytes: usize, from: Option<IpAddr>) -> Result<Taken<'a>, Refusal> {
        let lane = if bytes <= self.lengths.0 { &self.short } else { &self.long };
        let taking = async {
            match had {
                Some(had) if std::ptr::eq(had.lane, lane) => {
                    let more = lane.take(bytes.saturating_sub(had.bytes), from).await?;
                    Some(had.and(more))
                }
                // Out of the short lane: all of it is room of the other one.
                Some(_) | None => lane.take(bytes, from).await,
            }
        };
        tokio::time::timeout(self.patience, taking).await.ok().flatten().ok_or(Refusal::Busy)
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> (usize, usize) {
        (self.short.free.available_permits(), self.long.free.available_permits())
    }
}

impl Lane {
    fn new((bytes, share): (usize, usize)) -> Self {
        Self { free: Semaphore::new(bytes), share, shares: Mutex::default() }
    }

    /// Waits for its address's share first, so that who has used it up keeps nobody else waiting.
    async fn take(&self, bytes: usize, from: Option<IpAddr>) -> Option<Taken<'_>> {
        let count = u32::try_from(bytes).ok()?;
        let of_one = match from {
            Some(from) => Some(self.share_of(from).acquire_many_owned(count).await.ok()?),
            None => None,
        };
        let of_all = self.free.acquire_many(count).await.ok()?;
        Some(Taken { lane: self, bytes, of_all, of_one })
    }

    fn share_of(&self, from: IpAddr) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares.len() >= ADDRESSES {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = shares.entry(client_of(from)).or_default();
        share.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Semaphore::new(self.share));
            *share = Arc::downgrade(&new);
            new
        })
    }
}

impl Taken<'_> {
    fn and(mut self, more: Self) -> Self {
        self.bytes += more.bytes;
        self.of_all.merge(more.of_all);
        if let (Some(mine), Some(more)) = (&mut self.of_one, more.of_one) {
            mine.merge(more);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));
    const TWO: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)));

    fn room() -> Room {
        Room::new((100, 60), (1_000, 600), (50, 500), Duration::ZERO)
    }

    #[tokio::test]
    async fn one_address_has_a_share_of_each_lane() {
        let room = room();
        let first = room.grow(None, 40, ONE).await.unwrap();
        assert_eq!(room.grow(None, 40, ONE).await.err(), Some(Refusal::Busy), "its share is used up");
        let other = room.grow(None, 50, TWO).await.unwrap();
        assert_eq!(room.free(), (10, 1_000));
        assert_eq!(room.grow(None, 20, ONE).await.err(), Some(Refusal::Busy), "there is none left");
        drop((first, other));
        assert_eq!(room.free(), (100, 1_000));
        assert!(room.grow(None, 40, ONE).await.is_ok(), "a share is whole again");
    }

    #[tokio::test]
    async fn long_bodies_do_not_keep_short_ones_out() {
        let room = room();
        let (long, longer) = (room.grow(None, 500, ONE).await.unwrap(), room.grow(None, 500, TWO).await.unwrap());
        assert_eq!(room.free(), (100, 0));
        assert_eq!(room.grow(None, 51, None).await.err(), Some(Refusal::Busy));
        assert!(room.grow(None, 50, ONE).await.is_ok());
        drop((long, longer));
    }

    #[tokio::test]
    async fn what_grows_takes_the_difference_and_changes_the_lane_whole() {
        let room = room();
        let taken = room.grow(None, 10, ONE).await.unwrap();
        let taken = room.grow(Some(taken), 50, ONE).await.unwrap();
        assert_eq!(room.free(), (50, 1_000));
        let taken = room.grow(Some(taken), 80, ONE).await.unwrap();
        assert_eq!(room.free(), (100, 920));
        let taken = room.grow(Some(taken), 500, ONE).await.unwrap();
        assert_eq!(room.free(), (100, 500));
        drop(taken);
        assert_eq!(room.free(), (100, 1_000));
    }

    #[tokio::test]
    async fn addresses_without_a_body_are_forgotten() {
        let room = room();
        for n in 0..=u32::try_from(ADDRESSES).unwrap() {
            let _ = room.grow(None, 1, Some(IpAddr::from(n.to_be_bytes()))).await.unwrap();
        }
        assert!(room.short.shares.lock().unwrap().len() <= 2);
    }
}
