//! NONCES: which nonces of signed requests have been used. Gone by age, when no signature with one can be good any more.

use crate::bucket::Bucket;
use crate::error::{BusError, Op};
use crate::link::Link;
use proto::subject;
use std::time::Duration;

/// The nonces.
#[derive(Debug, Clone)]
pub struct Nonces {
    bucket: Bucket,
}

impl Nonces {
    /// How long a nonce is remembered, by the clock of the server: twice the longest `sync.signature_ttl` (30 minutes), because a
    /// time may be off both ways, and an hour more for clocks that differ. The gateway refuses settings that need longer.
    pub const REMEMBERED: Duration = Duration::from_hours(2);

    pub(crate) fn new(link: Link) -> Self {
        Self { bucket: Bucket::new(link, subject::NONCES) }
    }

    /// Uses a nonce, named by its digest. [`BusError::Conflict`]: it was used before. After [`BusError::Timeout`] it counts as
    /// used.
    pub async fn take(&self, digest: &str) -> Result<(), BusError> {
        if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BusError::invalid(Op("take", "a nonce"), "its digest is 64 hexadecimal digits"));
        }
        self.bucket.put_if(&format!("nonce.{digest}"), &true, 0).await.map(|_| ())
    }
}
