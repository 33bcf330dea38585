//! The bytes of one attempt's log, from the stream while it is there, from its archive afterwards; the same bytes.
//!
//! Chunks may overlap (a worker sends again what it is not sure about), may come late by a few places (several are under
//! way at a time), and may have aged out. What comes out of here is in order and without repeats; what is missing is said.

use super::archive::{Archive, ArchiveError};
use crate::answers::chain;
use bus::{Bus, BusError, LogChunk, Written};
use bytes::{Buf as _, Bytes};
use proto::{WorkerId, subject};
use std::time::{Duration, Instant};

/// Chunks that are looked through for one that came late.
const LOOK_AHEAD: usize = 64;
/// Messages of the stream that are skipped to see how far a log reaches: fewer than 8 MiB of full chunks.
const STRIDE: u64 = 256;
/// How long a missing chunk of a running attempt is waited for: longer than a worker takes to send it again.
const LATE: Duration = Duration::from_secs(6);

/// What a source has next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pulled {
    /// Bytes that follow what was pulled before.
    Bytes { phase: String, bytes: Bytes },
    /// So many bytes are missing here; 0: nobody knows how many. The next bytes stand behind them.
    Gap(u64),
    /// Nothing more is stored now.
    Dry,
    /// Nothing more will come.
    End,
    /// The log does not reach as far as the place that was asked for: nobody can have read it up to there.
    Beyond,
}

/// Reads one attempt's log in order.
#[derive(Debug)]
pub(crate) struct Source {
    bus: Bus,
    of: Written,
    /// Offset of the next byte wanted.
    offset: u64,
    /// How far the log is known to reach.
    reach: u64,
    from: From,
    /// Since when the next chunk has been missing.
    missing_since: Option<Instant>,
}

/// Where the bytes come from.
#[derive(Debug)]
enum From {
    /// The stream: everything up to this sequence was read.
    Stream {
        seq: u64,
        end: Option<u64>,
        archive_tried: bool,
    },
    Archive(Box<Archive>),
    Over,
}

impl Source {
    /// Reads from `offset` on.
    pub(crate) fn new(bus: Bus, of: Written, offset: u64) -> Self {
        let from = From::Stream { seq: 0, end: None, archive_tried: false };
        Self { bus, of, offset, reach: 0, from, missing_since: None }
    }

    /// Reads from `offset` on, from the archive if there is one: for an attempt that ended long ago.
    pub(crate) async fn archived(bus: Bus, of: Written, offset: u64) -> Result<Self, BusError> {
        let mut source = Self::new(bus, of, offset);
        source.try_archive().await?;
        Ok(source)
    }

    /// Offset of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// What comes next. `over`: the attempt has ended, so nothing is late any more and an archive may exist.
    pub(crate) async fn pull(&mut self, over: bool) -> Result<Pulled, BusError> {
        loop {
            let pulled = match &mut self.from {
                From::Over => return Ok(Pulled::End),
                From::Archive(_) => self.pull_archive().await?,
                From::Stream { .. } => self.pull_stream(over).await?,
            };
            match pulled {
                Some(Pulled::Bytes { phase, bytes }) => {
                    self.offset += bytes.len() as u64;
                    self.missing_since = None;
                    return Ok(Pulled::Bytes { phase, bytes });
                }
                Some(Pulled::Gap(missing)) => {
                    self.offset += missing;
                    self.missing_since = None;
                    return Ok(Pulled::Gap(missing));
                }
                Some(Pulled::Dry | Pulled::End | Pulled::Beyond) if self.offset > self.reach => return Ok(Pulled::Beyond),
                Some(Pulled::Dry) => return Ok(Pulled::Dry),
                Some(Pulled::End | Pulled::Beyond) => self.from = From::Over,
                None => {}
            }
        }
    }

    /// `None`: look again.
    async fn pull_stream(&mut self, over: bool) -> Result<Option<Pulled>, BusError> {
        let From::Stream { seq, end, archive_tried } = &mut self.from else { return Ok(None) };
        let Some(chunk) = self.bus.logs().next(&self.of, *seq).await? else {
            return match *end {
                Some(end) if self.offset >= end => Ok(Some(Pulled::End)),
                _ if over && !*archive_tried => self.try_archive().await.map(|()| None),
                Some(end) => Ok(Some(self.missing(over, end))),
                None => Ok(Some(Pulled::Dry)),
            };
        };
        *end = end.or(chunk.end);
        self.reach = self.reach.max(chunk.offset + chunk.bytes.len() as u64).max(chunk.end.unwrap_or(0));
        if chunk.offset <= self.offset {
            *seq = chunk.seq;
            return Ok(self.fresh(chunk));
        }
        // Not what is wanted next, so it stays unread: what is wanted may have been stored behind it.
        if let Some(late) = self.late_chunk(chunk.seq).await? {
            return Ok(self.fresh(late));
        }
        if over && !self.archive_tried() {
            return self.try_archive().await.map(|()| None);
        }
        Ok(Some(self.missing(over, chunk.offset)))
    }

    /// The part of a chunk that was not pulled before.
    fn fresh(&self, chunk: LogChunk) -> Option<Pulled> {
        let known = usize::try_from(self.offset - chunk.offset).unwrap_or(usize::MAX);
        (known < chunk.bytes.len()).then(|| Pulled::Bytes { phase: chunk.phase, bytes: chunk.bytes.slice(known..) })
    }

    /// The chunk that holds the next byte, if it stands a few places behind `seq`.
    async fn late_chunk(&mut self, mut seq: u64) -> Result<Option<LogChunk>, BusError> {
        for _ in 0..LOOK_AHEAD {
            let Some(chunk) = self.bus.logs().next(&self.of, seq).await? else { return Ok(None) };
            if chunk.offset <= self.offset && self.offset < chunk.offset + chunk.bytes.len() as u64 {
                return Ok(Some(chunk));
            }
            seq = chunk.seq;
        }
        Ok(None)
    }

    /// The bytes up to `until` are not there: a gap, unless they may still come.
    fn missing(&mut self, over: bool, until: u64) -> Pulled {
        let since = *self.missing_since.get_or_insert_with(Instant::now);
        if !over && since.elapsed() < LATE {
            return Pulled::Dry;
        }
        Pulled::Gap(until - self.offset)
    }

    fn archive_tried(&self) -> bool {
        match self.from {
            From::Stream { archive_tried, .. } => archive_tried,
            From::Archive(_) | From::Over => true,
        }
    }

    /// Goes over to the archive, if there is one.
    async fn try_archive(&mut self) -> Result<(), BusError> {
        if self.of.worker.is_none() {
            // Nobody ever ran it, so nobody archived anything; its pool may not even exist.
            self.no_archive();
            return Ok(());
        }
        match self.bus.artifacts(&self.of.pool).get(&subject::log_object(self.of.id)).await {
            Ok(object) => self.from = From::Archive(Box::new(Archive::new(object))),
            Err(BusError::NotFound { .. }) => self.no_archive(),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn no_archive(&mut self) {
        if let From::Stream { archive_tried, .. } = &mut self.from {
            *archive_tried = true;
        }
    }

    /// Takes note of who runs it, once that is known: from then on only what that worker wrote counts.
    pub(crate) fn written_by(&mut self, worker: Option<&WorkerId>) {
        if self.of.worker.is_none() {
            self.of.worker = worker.cloned();
        }
    }

    async fn pull_archive(&mut self) -> Result<Option<Pulled>, BusError> {
        let From::Archive(archive) = &mut self.from else { return Ok(None) };
        let next = archive.next_from(self.offset).await;
        self.reach = self.reach.max(archive.reach());
        Ok(match next {
            Ok(Some(mut piece)) if piece.offset <= self.offset => {
                piece.bytes.advance(usize::try_from(self.offset - piece.offset).unwrap_or(usize::MAX).min(piece.bytes.len()));
                Some(Pulled::Bytes { phase: piece.phase, bytes: piece.bytes })
            }
            Ok(Some(piece)) => {
                let missing = piece.offset - self.offset;
                archive.put_back(piece);
                Some(Pulled::Gap(missing))
            }
            Ok(None) => Some(Pulled::End),
            Err(ArchiveError::Read(error)) => {
                // The store, not the log: the archive is opened again, at the place where reading stopped.
                self.from = From::Stream { seq: 0, end: None, archive_tried: false };
                return Err(BusError::Unavailable {
                    what: format!("read the archived log of {}", self.of.id),
                    source: Some(Box::new(error)),
                });
            }
            Err(error @ ArchiveError::Damaged(_)) => {
                self.damaged(&error);
                Some(Pulled::Gap(0))
            }
        })
    }

    /// How far a running attempt's log reaches beyond what was pulled, in bytes; at least half of the truth. A few reads,
    /// each twice as far ahead as the one before: the stream cannot be asked for its end.
    pub(crate) async fn behind(&mut self) -> Result<u64, BusError> {
        let From::Stream { mut seq, .. } = self.from else { return Ok(0) };
        let (mut stride, mut reach) = (STRIDE, self.reach);
        while let Some(chunk) = self.bus.logs().next(&self.of, seq + stride).await? {
            reach = reach.max(chunk.offset + chunk.bytes.len() as u64);
            seq = chunk.seq;
            stride *= 2;
        }
        Ok(reach.saturating_sub(self.offset))
    }

    /// What was read so far stands; what follows is lost, and said to be.
    fn damaged(&mut self, error: &ArchiveError) {
        tracing::error!(attempt = %self.of.id, error = chain(error), "an archived log ends here");
        self.from = From::Over;
    }
}
