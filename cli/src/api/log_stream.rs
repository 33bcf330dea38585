//! The output of a run as a sequence of events that survives a lost connection: it resumes after the last line it has
//! given out, without a duplicate and without a gap.
//!
//! A connection is lost when it breaks, is silent for too long, or ends without `event: end` although it follows. Then
//! it is opened again with `Last-Event-ID`, with growing pauses; only the very first connection must work at once.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use proto::log::LogPosition;
use proto::{AttemptNo, JobNo, RunId};
use reqwest::Response;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::client::Client;
use super::sse::{Event, Parser};
use crate::exit::Exit;
use crate::problem::CliError;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a lost connection is tried again before giving up.
const PATIENCE: Duration = Duration::from_mins(5);

/// What a live stream tells. As JSON: the lines of `navvy logs --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum LogEvent {
    /// A line of output, without its line end.
    Log { id: String, line: String },
    /// Status or phase changed.
    Status { status: String, phase: String },
    /// This reader was slow; the gateway skipped nothing, it only says how far behind it is.
    Lagged { behind_bytes: u64 },
    /// Output is missing.
    Gap { missing_bytes: u64 },
    /// The run has ended.
    End { status: String },
    /// The connection was lost and is back. Made here, not by the gateway.
    Reconnected,
}

#[derive(Deserialize)]
struct StatusData {
    status: String,
    #[serde(default)]
    phase: String,
}

/// The output of one run, or of one of its jobs.
#[derive(Debug)]
pub(crate) struct LogStream {
    client: Client,
    run: RunId,
    job: Option<JobNo>,
    follow: bool,
    response: Option<Response>,
    parser: Parser,
    ready: VecDeque<LogEvent>,
    last_id: Option<String>,
    /// How far each attempt's log was given out, so that an event sent twice is given out once.
    seen: HashMap<(JobNo, AttemptNo), u64>,
    last_status: Option<(String, String)>,
    done: bool,
}

impl LogStream {
    /// Opens the stream after `after`. The first connection must work.
    pub(crate) async fn open(
        client: Client,
        run: RunId,
        job: Option<JobNo>,
        follow: bool,
        after: Option<LogPosition>,
    ) -> Result<Self, CliError> {
        let last_id = after.map(|position| position.to_string());
        let response = client.open_logs(run, job, follow, last_id.as_deref()).await?;
        Ok(Self {
            client,
            run,
            job,
            follow,
            response: Some(response),
            parser: Parser::default(),
            ready: VecDeque::new(),
            last_id,
            seen: after.map(|position| ((position.job, position.attempt), position.offset)).into_iter().collect(),
            last_status: None,
            done: false,
        })
    }

    /// The next event; `None` after the end. Cancel-safe: a dropped call loses no event.
    pub(crate) async fn next(&mut self) -> Result<Option<LogEvent>, CliError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.done {
                return Ok(None);
            }
            let Some(response) = &mut self.response else {
                self.reconnect().await?;
                continue;
            };
            match response.chunk().await {
                Ok(Some(bytes)) => self.take(&bytes)?,
                Ok(None) if !self.follow => self.done = true,
                Ok(None) | Err(_) => self.response = None,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        let mut events = Vec::new();
        self.parser.push(bytes, &mut events).map_err(|error| self.client.strange(error.to_string()))?;
        for event in events {
            if let Some(event) = self.read(event)? {
                self.done |= matches!(event, LogEvent::End { .. });
                self.ready.push_back(event);
            }
        }
        Ok(())
    }

    /// What an event says; `None` when it says nothing that was not said before.
    fn read(&mut self, event: Event) -> Result<Option<LogEvent>, CliError> {
        Ok(match event.name.as_str() {
            "log" => self.read_line(event)?,
            "status" => {
                let StatusData { status, phase } = self.data(&event)?;
                let now = Some((status.clone(), phase.clone()));
                // Said again after every reconnect.
                if self.last_status == now {
                    None
                } else {
                    self.last_status = now;
                    Some(LogEvent::Status { status, phase })
                }
            }
            "lagged" => Some(LogEvent::Lagged { behind_bytes: self.number(&event, "behind_bytes")? }),
            "gap" => Some(LogEvent::Gap { missing_bytes: self.number(&event, "missing_bytes")? }),
            "end" => Some(LogEvent::End { status: self.data::<StatusData>(&event)?.status }),
            // A newer gateway may say more.
            _ => None,
        })
    }

    fn read_line(&mut self, event: Event) -> Result<Option<LogEvent>, CliError> {
        let position = event.id.as_deref().and_then(|id| id.parse::<LogPosition>().ok());
        let (Some(id), Some(position)) = (event.id, position) else {
            return Err(self.client.strange("a log line without its position"));
        };
        let seen = self.seen.entry((position.job, position.attempt)).or_insert(0);
        if position.offset <= *seen {
            return Ok(None);
        }
        *seen = position.offset;
        self.last_id = Some(id.clone());
        Ok(Some(LogEvent::Log { id, line: event.data }))
    }

    fn data<T: serde::de::DeserializeOwned>(&self, event: &Event) -> Result<T, CliError> {
        serde_json::from_str(&event.data).map_err(|error| self.client.strange(format!("event {}: {error}", event.name)))
    }

    fn number(&self, event: &Event, name: &str) -> Result<u64, CliError> {
        let data: serde_json::Value = self.data(event)?;
        Ok(data.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0))
    }

    async fn reconnect(&mut self) -> Result<(), CliError> {
        let lost = Instant::now();
        let mut pause = Duration::from_millis(200);
        loop {
            tokio::time::sleep(jittered(pause)).await;
            match self.client.open_logs(self.run, self.job, self.follow, self.last_id.as_deref()).await {
                Ok(response) => {
                    self.response = Some(response);
                    self.parser = Parser::default();
                    self.ready.push_back(LogEvent::Reconnected);
                    return Ok(());
                }
                // The gateway is not back yet; anything else (no such run, no right) will not pass by waiting.
                Err(error) if error.exit() == Exit::Unreachable && lost.elapsed() < PATIENCE => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Half to all of a pause: readers that lost one gateway together should not come back together.
fn jittered(pause: Duration) -> Duration {
    let random = uuid::Uuid::new_v4().as_u128() % 512;
    pause / 2 + pause.mul_f64(random as f64 / 1024.0)
}
