//! Trying what must not be possible, with a client of no manners, and looking at what came of it: the server must say no,
//! nobody must hear anything, and nothing in the store may have changed.

use super::Guarded;
use crate::support::{GENEROUS, eventually};
use async_nats::jetstream::{self, stream};
use async_nats::{Client, Event, HeaderMap, ServerError};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::time::timeout;

/// One thing that a role must not be able to do.
#[derive(Debug, Clone)]
pub(super) struct Abuse {
    pub(super) what: String,
    pub(super) subject: String,
    pub(super) act: Act,
}

#[derive(Debug, Clone)]
pub(super) enum Act {
    Publish {
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Subscribe; the text is a subject that somebody else then publishes on.
    Listen(String),
}

pub(super) fn say(what: &str, subject: impl Into<String>, body: impl Into<String>) -> Abuse {
    let act = Act::Publish { headers: Vec::new(), body: body.into() };
    Abuse { what: what.to_owned(), subject: subject.into(), act }
}

pub(super) fn say_with(what: &str, subject: impl Into<String>, headers: &[(&'static str, &str)], body: &str) -> Abuse {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Abuse { what: what.to_owned(), subject: subject.into(), act: Act::Publish { headers, body: body.to_owned() } }
}

pub(super) fn listen(what: &str, subject: impl Into<String>, said: impl Into<String>) -> Abuse {
    Abuse { what: what.to_owned(), subject: subject.into(), act: Act::Listen(said.into()) }
}

/// What somebody else says where a rogue would like to listen.
const OVERHEARD: &str = "overheard";

/// A client that keeps what the server refuses it.
struct Rogue {
    client: Client,
    inbox: String,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Rogue {
    async fn connect(server: &Guarded, user: &str, inbox: &str) -> Self {
        let refused = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&refused);
        let client = async_nats::ConnectOptions::new()
            .user_and_password(user.to_owned(), "secret".to_owned())
            .custom_inbox_prefix(inbox)
            .event_callback(move |event| {
                if let Event::ServerError(ServerError::Other(text)) = event {
                    noted.lock().unwrap().push(text);
                }
                std::future::ready(())
            })
            .connect(server.url.clone())
            .await
            .unwrap();
        Self { client, inbox: inbox.to_owned(), refused }
    }

    /// Returns once the server has dealt with everything that was sent before.
    async fn settled(&self) {
        self.client.request("$JS.API.INFO", Bytes::new()).await.unwrap();
    }

    async fn was_refused(&self, verb: &str, subject: &str) -> bool {
        let wanted = format!("Permissions Violation for {verb} \"{subject}\"");
        // The refusal comes before the next answer, but by another way through this process.
        let seen = async {
            while !self.refused.lock().unwrap().iter().any(|text| text.starts_with(&wanted)) {
                tokio::task::yield_now().await;
            }
        };
        timeout(GENEROUS, seen).await.is_ok()
    }

    async fn publish(&self, abuse: &Abuse, headers: &[(&'static str, String)], body: &str) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.as_str());
        }
        let reply = format!("{}.answer", self.inbox);
        let sent = self.client.publish_with_reply_and_headers(abuse.subject.clone(), reply, map, Bytes::from(body.to_owned()));
        sent.await.unwrap();
        self.settled().await;
        assert!(self.was_refused("Publish to", &abuse.subject).await, "not refused: {abuse:?}");
    }

    async fn listen(&self, abuse: &Abuse, said: &str, operator: &Client) {
        let mut heard = self.client.subscribe(abuse.subject.clone()).await.unwrap();
        self.settled().await;
        assert!(self.was_refused("Subscription to", &abuse.subject).await, "not refused: {abuse:?}");
        operator.publish(said.to_owned(), OVERHEARD.into()).await.unwrap();
        operator.flush().await.unwrap();
        operator.request("$JS.API.INFO", Bytes::new()).await.unwrap();
        self.settled().await;
        // What came was put there before the last answer on the same connection.
        let heard = heard.next().now_or_never().flatten();
        assert!(heard.is_none(), "heard {heard:?}: {abuse:?}");
    }
}

/// Everything that is stored, as far as it can be seen to have changed.
type Store = BTreeMap<String, String>;

async fn store(operator: &Client) -> Store {
    let js = jetstream::new(operator.clone());
    let mut store = Store::new();
    let streams: Vec<stream::Info> = js.streams().try_collect().await.unwrap();
    for info in streams {
        let state = &info.state;
        let text =
            format!("{:?} {} {} {} {}", info.config, state.messages, state.first_sequence, state.last_sequence, state.consumer_count);
        let stream = js.get_stream(&info.config.name).await.unwrap();
        let consumers: Vec<jetstream::consumer::Info> = stream.consumers().try_collect().await.unwrap();
        for consumer in consumers {
            let place = (consumer.delivered.stream_sequence, consumer.ack_floor.stream_sequence, consumer.num_ack_pending);
            store.insert(format!("{} {}", info.config.name, consumer.name), format!("{:?} {place:?}", consumer.config));
        }
        store.insert(info.config.name.clone(), text);
    }
    store
}

/// Tries all of it as one user, and shows that nothing came of it.
pub(super) async fn all_refused(server: &Guarded, user: &str, inbox: &str, abuses: &[Abuse]) {
    let operator = server.plain("operator").await;
    // Reading consumers of the set-up are given back on the side.
    let before = eventually("a store at rest", || async {
        let once = store(&operator).await;
        (once == store(&operator).await && !once.keys().any(|name| name.contains(" read-"))).then_some(once)
    })
    .await;
    let mut everything = operator.subscribe(">").await.unwrap();
    operator.request("$JS.API.INFO", Bytes::new()).await.unwrap();
    let rogue = Rogue::connect(server, user, inbox).await;
    for abuse in abuses {
        match &abuse.act {
            Act::Publish { headers, body } => rogue.publish(abuse, headers, body).await,
            Act::Listen(said) => rogue.listen(abuse, said, &operator).await,
        }
    }
    operator.publish("the.end", Bytes::new()).await.unwrap();
    let tried: Vec<&Abuse> = abuses.iter().filter(|abuse| matches!(abuse.act, Act::Publish { .. })).collect();
    while let Some(message) = timeout(GENEROUS, everything.next()).await.unwrap() {
        if message.subject.as_str() == "the.end" {
            break;
        }
        let ours = message.payload == OVERHEARD;
        let got_through = tried.iter().find(|abuse| abuse.subject == message.subject.as_str() && !ours);
        assert!(got_through.is_none(), "it arrived: {got_through:?}");
    }
    let after = store(&operator).await;
    let changed: Vec<_> =
        before.iter().chain(&after).filter(|(name, state)| before.get(*name) != after.get(*name) && !state.is_empty()).collect();
    assert!(changed.is_empty(), "changed by {user}: {changed:#?}");
}
