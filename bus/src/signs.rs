//! What the connection says about itself between answers: that it was made anew, and that the server refused something.
//!
//! NATS tells of a missing permission out of band, by a line that names the subject; the request itself is just never
//! answered. Here the line and the request are brought together again, so that a missing permission is not a timeout. What
//! was refused stays remembered until the connection is made anew: a role that lacks a permission is not well, whichever
//! call ran into it, and says so once and not at every try.

use async_nats::{Event, ServerError};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// Refusals are remembered only until whoever waits has looked.
const REMEMBERED: usize = 64;
/// Subjects that are told of; a run's id is in many of them, and the log is not to be flooded.
const TOLD: usize = 64;

#[derive(Debug, Clone)]
struct Denial {
    subject: String,
    at: Instant,
}

/// The refusals of one connection.
#[derive(Debug, Default)]
struct Denials {
    recent: VecDeque<Denial>,
    /// Those that were told in the log.
    told: BTreeSet<String>,
    /// The first one since the connection was made.
    standing: Option<String>,
}

/// The signs of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Signs {
    /// Who the server takes us for, in words.
    pub(crate) who: Arc<str>,
    epoch: Arc<watch::Sender<u64>>,
    denials: Arc<watch::Sender<Denials>>,
}

impl Signs {
    pub(crate) fn new(who: &str) -> Self {
        Self { who: who.into(), epoch: Arc::new(watch::Sender::new(0)), denials: Arc::default() }
    }

    /// Takes note of an event. Cheap: the client's queue of events is short and drops what does not fit.
    pub(crate) fn note(&self, event: &Event) {
        match event {
            Event::Connected => {
                // Permissions may have been changed meanwhile; what is still missing is refused again.
                self.denials.send_modify(|denials| denials.standing = None);
                self.epoch.send_modify(|n| *n += 1);
            }
            Event::ServerError(ServerError::Other(text)) => {
                if let Some((act, subject)) = denied(text) {
                    self.denials.send_modify(|denials| self.refused(denials, act, subject));
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

    fn refused(&self, denials: &mut Denials, act: &str, subject: &str) {
        if denials.recent.len() == REMEMBERED {
            denials.recent.pop_front();
        }
        denials.recent.push_back(Denial { subject: subject.to_owned(), at: Instant::now() });
        denials.standing.get_or_insert_with(|| subject.to_owned());
        if denials.told.len() < TOLD && denials.told.insert(subject.to_owned()) {
            tracing::error!(
                subject,
                who = &*self.who,
                "configuration fault: NATS does not permit this process to {act} this subject; give its user the permissions of \
                 `navvy admin users` (docs/reference/streams.md), or use the credentials of this role"
            );
        }
    }

    /// The first subject that was refused since the connection was made.
    pub(crate) fn standing_denial(&self) -> Option<String> {
        self.denials.borrow().standing.clone()
    }

    /// Returns once something was refused on this connection, with its subject.
    pub(crate) async fn any_denial(&self) -> String {
        let mut denials = self.denials.subscribe();
        let refused = denials.wait_for(|denials| denials.standing.is_some()).await.ok().and_then(|denials| denials.standing.clone());
        match refused {
            Some(subject) => subject,
            None => std::future::pending().await,
        }
    }

    /// Counts connections: a change means that whatever the server held for us alone is gone.
    pub(crate) fn epoch(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    /// Returns once the server has refused `subject`, publish or subscribe, after `since`. Else waits for ever.
    pub(crate) async fn denied(&self, subject: &str, since: Instant) {
        let mut denials = self.denials.subscribe();
        let seen = denials.wait_for(|denials| denials.recent.iter().any(|d| d.at >= since && d.subject == subject)).await.is_ok();
        if !seen {
            std::future::pending::<()>().await;
        }
    }
}

/// Act and subject in `Permissions Violation for Publish to "inbox.0.x"`.
fn denied(text: &str) -> Option<(&'static str, &str)> {
    let rest = text.strip_prefix("Permissions Violation for ")?;
    let act = if rest.starts_with("Subscription") { "subscribe to" } else { "publish on" };
    Some((act, rest.split('"').nth(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(subject: &str) -> Event {
        Event::ServerError(ServerError::Other(format!("Permissions Violation for Publish to \"{subject}\"")))
    }

    #[test]
    fn the_subject_of_a_refusal_is_found() {
        for (text, found) in [
            ("Permissions Violation for Publish to \"inbox.0.x\"", Some(("publish on", "inbox.0.x"))),
            ("Permissions Violation for Subscription to \"begin.0\" using queue \"scheduler\"", Some(("subscribe to", "begin.0"))),
            ("Stale Connection", None),
        ] {
            assert_eq!(denied(text), found, "{text}");
        }
    }

    #[test]
    fn a_refusal_stands_until_the_connection_is_made_anew() {
        let signs = Signs::new("user `w`");
        assert_eq!(signs.standing_denial(), None);
        signs.note(&refusal("a"));
        signs.note(&refusal("b"));
        assert_eq!(signs.standing_denial().as_deref(), Some("a"));
        signs.note(&Event::Connected);
        assert_eq!(signs.standing_denial(), None);
    }
}
