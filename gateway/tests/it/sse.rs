//! A reader of an event stream, as a browser would be one.

use crate::harness::{Gateway, soon};
use reqwest::Response;
use serde_json::Value;
use std::collections::VecDeque;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) data: String,
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("JSON")
    }
}

/// A stream being read.
pub(crate) struct Reader {
    answer: Response,
    bytes: Vec<u8>,
    ready: VecDeque<Event>,
    pub(crate) comments: Vec<String>,
}

impl Reader {
    pub(crate) async fn open(gateway: &Gateway, path: &str, after: Option<&str>) -> Self {
        let mut request = gateway.get(path);
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let answer = soon(request.send()).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, bytes: Vec::new(), ready: VecDeque::new(), comments: Vec::new() }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let chunk = soon(self.answer.chunk()).await.expect("the stream is whole")?;
            self.bytes.extend_from_slice(&chunk);
            while let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
                self.take(&String::from_utf8(block).expect("UTF-8"));
            }
        }
    }

    fn take(&mut self, block: &str) {
        let (mut name, mut id, mut data) = (String::new(), None, Vec::new());
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("", comment)) => self.comments.push(comment.to_owned()),
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("data", value)) => data.push(value.to_owned()),
                _ => {}
            }
        }
        if !data.is_empty() {
            self.ready.push_back(Event { name, id, data: data.join("\n") });
        }
    }

    /// The next log line: (id, text).
    pub(crate) async fn line(&mut self) -> (String, String) {
        loop {
            let event = self.next().await.expect("a line");
            if event.name == "log" {
                return (event.id.expect("a line has an id"), event.data);
            }
        }
    }

    /// Everything up to the end of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// The log lines among events: (id, text).
pub(crate) fn lines(events: &[Event]) -> Vec<(String, String)> {
    events.iter().filter(|event| event.name == "log").map(|event| (event.id.clone().expect("an id"), event.data.clone())).collect()
}

/// The names of events, in order, equal neighbours once.
pub(crate) fn names(events: &[Event]) -> Vec<&str> {
    let mut names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    names.dedup();
    names
}
