//! What the connection says about itself between answers: that it was made anew, and that the server refused something.
//!
//! NATS tells of a missing permission out of band, by a line that names the subject; the request itself is just never
//! answered. Here the line and the request are brought together again, so that a missing permission is not a timeout.

use async_nats::{Event, ServerError};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// Refusals are remembered only until whoever waits has looked.
const REMEMBERED: usize = 64;

#[derive(Debug, Clone)]
struct Denial {
    subject: String,
    at: Instant,
}

/// The signs of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Signs {
    epoch: Arc<watch::Sender<u64>>,
    denials: Arc<watch::Sender<VecDeque<Denial>>>,
}

impl Signs {
    pub(crate) fn new() -> Self {
        Self { epoch: Arc::new(watch::Sender::new(0)), denials: Arc::new(watch::Sender::new(VecDeque::new())) }
    }

    /// Takes note of an event. Cheap: the client's queue of events is short and drops what does not fit.
    pub(crate) fn note(&self, event: &Event) {
        match event {
            Event::Connected => self.epoch.send_modify(|n| *n += 1),
            Event::ServerError(ServerError::Other(text)) => {
                if let Some(subject) = denied_subject(text) {
                    tracing::warn!(subject, "the NATS user of this process lacks a permission");
                    self.denials.send_modify(|list| {
                        if list.len() == REMEMBERED {
                            list.pop_front();
                        }
                        list.push_back(Denial { subject: subject.to_owned(), at: Instant::now() });
                    });
                }
            }
            Event::SlowConsumer(subscription) => {
                tracing::warn!(subscription, "messages were dropped: a subscription is not read fast enough");
            }
            Event::Disconnected
            | Event::LameDuckMode
            | Event::Draining
            | Event::Closed
            | Event::ServerError(ServerError::AuthorizationViolation | ServerError::SlowConsumer(_))
            | Event::ClientError(_) => {}
        }
    }

    /// Counts connections: a change means that whatever the server held for us alone is gone.
    pub(crate) fn epoch(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    /// Returns once the server has refused `subject`, publish or subscribe, after `since`. Else waits for ever.
    pub(crate) async fn denied(&self, subject: &str, since: Instant) {
        let mut denials = self.denials.subscribe();
        let seen = denials.wait_for(|list| list.iter().any(|d| d.at >= since && d.subject == subject)).await.is_ok();
        if !seen {
            std::future::pending::<()>().await;
        }
    }
}

/// The subject in `Permissions Violation for Publish to "inbox.0.x"`.
fn denied_subject(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("Permissions Violation for ")?;
    rest.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_of_a_refusal_is_found() {
        for (text, subject) in [
            ("Permissions Violation for Publish to \"inbox.0.x\"", Some("inbox.0.x")),
            ("Permissions Violation for Subscription to \"begin.0\" using queue \"scheduler\"", Some("begin.0")),
            ("Stale Connection", None),
        ] {
            assert_eq!(denied_subject(text), subject, "{text}");
        }
    }
}
