//! How many live streams there may be: in all, and for one key.

use crate::{answers::Refusal, auth::Principal};
use service::metrics::{GatewayMetrics, Held};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts live readers. Clones are the same count.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    most: u32,
    per_key: u32,
    open: Arc<Mutex<Open>>,
    metrics: GatewayMetrics,
}

#[derive(Debug, Default)]
struct Open {
    all: u32,
    of_key: HashMap<String, u32>,
}

/// A reader's place; free again on drop.
#[derive(Debug)]
pub(crate) struct Place {
    key: Option<String>,
    open: Arc<Mutex<Open>>,
    _gauge: Held,
}

impl Readers {
    /// At most so many in all and for one key.
    pub(crate) fn new(most: u32, per_key: u32, metrics: GatewayMetrics) -> Self {
        Self { most, per_key, open: Arc::default(), metrics }
    }

    /// A place for one more. The administrator's token is bound only by the number in all: it is one person with many tabs,
    /// or the web interface of many.
    pub(crate) fn enter(&self, caller: &Principal) -> Result<Place, Refusal> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.most {
            return Err(Refusal::TooManyReaders { per_key: None });
        }
        let key = caller.key_id().map(str::to_owned);
        if let Some(key) = &key {
            let count = open.of_key.entry(key.clone()).or_default();
            if *count >= self.per_key {
                return Err(Refusal::TooManyReaders { per_key: Some(self.per_key) });
            }
            *count += 1;
        }
        open.all += 1;
        Ok(Place { key, open: Arc::clone(&self.open), _gauge: self.metrics.sse_client() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        let Some(key) = &self.key else { return };
        if let Some(count) = open.of_key.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                open.of_key.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Scope;
    use service::metrics::Metrics;

    #[test]
    fn places_are_counted_for_each_key_and_in_all_and_come_back() {
        let readers = Readers::new(4, 2, Metrics::new("1", "c").gateway());
        let (one, other) = (Principal::key("1", "ci", &[Scope::Read]), Principal::key("2", "ci", &[Scope::Read]));
        let first = readers.enter(&one).unwrap();
        let second = readers.enter(&one).unwrap();
        assert_eq!(readers.enter(&one).unwrap_err(), Refusal::TooManyReaders { per_key: Some(2) });
        let third = readers.enter(&other).unwrap();
        let fourth = readers.enter(&Principal::admin()).unwrap();
        assert_eq!(readers.enter(&Principal::admin()).unwrap_err(), Refusal::TooManyReaders { per_key: None });
        drop(first);
        drop(readers.enter(&one).unwrap());
        drop((second, third, fourth));
        let open = readers.open.lock().unwrap();
        assert_eq!((open.all, open.of_key.len()), (0, 0));
    }
}
