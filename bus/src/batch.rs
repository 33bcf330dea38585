//! Several messages into one stream, all or none (ADR-50). The client has no call for it, so the headers are written by hand.
//!
//! Each message may carry what must be the last sequence of its own subject; one that does not hold stores nothing.
//! A batch has a fixed price on disk of two to three milliseconds: good for many, a bad habit for one.

use crate::error::{BusError, Op};
use crate::link::Link;
use async_nats::HeaderMap;
use async_nats::header::{
    NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
};
use bytes::Bytes;

/// One message of a batch, or one alone.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) subject: String,
    /// Last sequence that the subject must have; 0: none yet.
    pub(crate) expected: u64,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl Write {
    fn headers_with_expectation(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, self.expected.to_string().as_str());
        headers
    }
}

impl Link {
    /// One message, stored only if its expectation holds; returns its sequence.
    pub(crate) async fn write_one(&self, verb: &'static str, write: &Write) -> Result<u64, BusError> {
        let headers = write.headers_with_expectation();
        Ok(self.publish(Op(verb, &write.subject), headers, write.payload.clone()).await?.sequence)
    }

    /// Several messages, stored only if every expectation holds; returns their sequences in order.
    pub(crate) async fn write_all(&self, verb: &'static str, writes: &[Write]) -> Result<Vec<u64>, BusError> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let Some((last, before)) = writes.split_last() else { return Ok(Vec::new()) };
        for (at, write) in before.iter().enumerate() {
            self.tell(Op(verb, &write.subject), in_batch(write, &id, at + 1), write.payload.clone()).await?;
        }
        let mut headers = in_batch(last, &id, writes.len());
        headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        let ack = self.publish(Op(verb, &last.subject), headers, last.payload.clone()).await?;
        // A server that does not know batches stores each message alone and says nothing of a batch.
        if ack.batch_size != Some(writes.len() as u64) {
            return Err(BusError::timeout(Op(verb, &last.subject)));
        }
        let first = ack.sequence + 1 - writes.len() as u64;
        Ok((first..=ack.sequence).collect())
    }
}

fn in_batch(write: &Write, id: &str, sequence: usize) -> HeaderMap {
    let mut headers = write.headers_with_expectation();
    headers.insert(NATS_BATCH_ID, id);
    headers.insert(NATS_BATCH_SEQUENCE, sequence.to_string().as_str());
    headers
}
