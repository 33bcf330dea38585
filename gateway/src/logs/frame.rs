//! Server-sent events on the wire, written by hand: a job's output must not be able to forge one.
//!
//! Three bytes end a line for an event-stream parser: `\n`, `\r` and both together. A log line holds no `\n`, but it may
//! hold `\r` (progress bars do); sent raw, everything behind it would be read as a new field. So each part between
//! returns gets a `data:` field of its own. The parser joins them with `\n`, which no log line contains: in a `log`
//! event a `\n` *is* the carriage return, nothing is lost and nothing can be forged.

use super::lines::Line;
use crate::answers::report;
use proto::{log::LogPosition, message::JobAttempt, view::RunStatus};
use serde::Serialize;

/// `event: log`, with the id that resumes behind the line. Bytes that are no UTF-8 become U+FFFD: the format is UTF-8.
pub(crate) fn log(out: &mut Vec<u8>, at: JobAttempt, line: &Line) {
    let id = LogPosition { job: at.job, attempt: at.attempt, offset: line.end };
    out.extend_from_slice(format!("event: log\nid: {id}\n").as_bytes());
    for part in String::from_utf8_lossy(&line.text).split('\r') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(part.as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// `event: status`, whenever it has changed.
pub(crate) fn status(out: &mut Vec<u8>, status: RunStatus, phase: &str) {
    event(out, "status", &Status { status, phase });
}

/// `event: lagged`: the reader is this far behind what is stored. Nothing was skipped.
pub(crate) fn lagged(out: &mut Vec<u8>, behind_bytes: u64) {
    event(out, "lagged", &Bytes { behind_bytes: Some(behind_bytes), missing_bytes: None });
}

/// `event: gap`: so many bytes of the log are missing in the store.
pub(crate) fn gap(out: &mut Vec<u8>, missing_bytes: u64) {
    event(out, "gap", &Bytes { behind_bytes: None, missing_bytes: Some(missing_bytes) });
}

/// `event: end`: what is read is over and was sent whole; `status` is how it ended.
pub(crate) fn end(out: &mut Vec<u8>, status: &str) {
    event(out, "end", &Ended { status });
}

/// `event: event`: one of a run's events, with the id that resumes behind it.
pub(crate) fn told(out: &mut Vec<u8>, id: &impl std::fmt::Display, told: &impl Serialize) {
    let data = serde_json::to_string(told).expect("an event has no map keys but texts");
    out.extend_from_slice(format!("event: event\nid: {id}\ndata: {data}\n\n").as_bytes());
}

/// A comment: shows that the connection lives.
pub(crate) fn heartbeat(out: &mut Vec<u8>) {
    out.extend_from_slice(b": heartbeat\n\n");
}

/// A comment that says why the stream ends here although the run goes on.
pub(crate) fn closing(out: &mut Vec<u8>, why: report::Closing) {
    out.extend_from_slice(format!(": {}\n\n", why.text()).as_bytes());
}

#[derive(Serialize)]
struct Status<'a> {
    status: RunStatus,
    phase: &'a str,
}

#[derive(Serialize)]
struct Ended<'a> {
    status: &'a str,
}

#[derive(Serialize)]
struct Bytes {
    #[serde(skip_serializing_if = "Option::is_none")]
    behind_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_bytes: Option<u64>,
}

/// JSON text holds no line ends, so one `data:` field is enough.
fn event(out: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    let data = serde_json::to_string(data).expect("these types have no map keys and no failing parts");
    out.extend_from_slice(format!("event: {name}\ndata: {data}\n\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{AttemptNo, JobNo};

    const AT: JobAttempt = JobAttempt { job: JobNo(2), attempt: AttemptNo(1) };

    /// What a browser makes of the bytes: (event, id, data).
    fn parse(wire: &[u8]) -> Vec<(String, String, String)> {
        let text = String::from_utf8(wire.to_vec()).unwrap().replace("\r\n", "\n").replace('\r', "\n");
        let mut events = Vec::new();
        let (mut event, mut id, mut data) = (String::new(), String::new(), Vec::new());
        for line in text.split('\n') {
            match line.split_once(':').map(|(name, value)| (name, value.strip_prefix(' ').unwrap_or(value))) {
                Some(("event", value)) => value.clone_into(&mut event),
                Some(("id", value)) => value.clone_into(&mut id),
                Some(("data", value)) => data.push(value.to_owned()),
                None if line.is_empty() && !data.is_empty() => {
                    events.push((std::mem::take(&mut event), id.clone(), data.join("\n")));
                    data.clear();
                }
                Some(_) | None => {}
            }
        }
        events
    }

    fn line(text: &str) -> Line {
        Line { end: 10_482, text: text.as_bytes().to_vec() }
    }

    #[test]
    fn a_line_is_one_event_with_the_id_that_resumes_behind_it() {
        let mut out = Vec::new();
        log(&mut out, AT, &line("\u{1b}[32mInitializing...\u{1b}[0m"));
        assert_eq!(out, "event: log\nid: 2.1.10482\ndata: \u{1b}[32mInitializing...\u{1b}[0m\n\n".as_bytes());
    }

    #[test]
    fn output_cannot_forge_an_event() {
        for text in ["x\revent: end\rdata: {}\r\r", "\r\revent: end", "id: 9.9.9", "event: end", ": x", "data: y", " two spaces", ""] {
            let mut out = Vec::new();
            log(&mut out, AT, &line(text));
            let expected = ("log".to_owned(), "2.1.10482".to_owned(), text.replace('\r', "\n"));
            assert_eq!(parse(&out), [expected], "{text:?}");
        }
    }

    #[test]
    fn broken_characters_are_shown_as_such() {
        let mut out = Vec::new();
        log(&mut out, AT, &Line { end: 1, text: vec![b'a', 0xff, b'b'] });
        assert_eq!(parse(&out)[0].2, "a\u{fffd}b");
    }

    #[test]
    fn the_other_events_have_no_id() {
        let mut out = Vec::new();
        status(&mut out, RunStatus::AwaitingApproval, "plan");
        lagged(&mut out, 9);
        gap(&mut out, 7);
        heartbeat(&mut out);
        end(&mut out, "success");
        let expected = "event: status\ndata: {\"status\":\"awaiting_approval\",\"phase\":\"plan\"}\n\n\
            event: lagged\ndata: {\"behind_bytes\":9}\n\nevent: gap\ndata: {\"missing_bytes\":7}\n\n\
            : heartbeat\n\nevent: end\ndata: {\"status\":\"success\"}\n\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
