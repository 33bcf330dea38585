//! Server-sent events, as the HTML standard defines the format (section 9.2.6): bytes in, events out.
//!
//! Chunks may be cut anywhere, also inside a UTF-8 character or between CR and LF. No network here.

/// The most bytes one line may have. A gateway cuts the lines of logs far below; more is a broken or hostile server.
const LINE_LIMIT: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its type; `message` when the server named none.
    pub(crate) name: String,
    /// The data lines, joined with line feeds.
    pub(crate) data: String,
    /// The `id:` of this very event, if it had one.
    pub(crate) id: Option<String>,
}

/// A line is longer than any log line can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line of the live stream has more than {LINE_LIMIT} bytes")]
pub(crate) struct LineTooLong;

/// Takes chunks, gives events. An event without its closing blank line is never given out: the stream was cut.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    /// Something was read: a byte order mark can no longer come.
    begun: bool,
    name: String,
    data: String,
    has_data: bool,
    id: Option<String>,
}

impl Parser {
    /// Takes the next bytes of the stream and appends the events they complete.
    pub(crate) fn push(&mut self, chunk: &[u8], events: &mut Vec<Event>) -> Result<(), LineTooLong> {
        let mut rest = chunk;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(at) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) {
            self.keep(&rest[..at])?;
            self.end_line(events);
            let end = rest[at];
            rest = &rest[at + 1..];
            if end == b'\r' {
                match rest.first() {
                    Some(b'\n') => rest = &rest[1..],
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
        }
        self.keep(rest)
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), LineTooLong> {
        if self.line.len() + part.len() > LINE_LIMIT {
            return Err(LineTooLong);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<Event>) {
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let line = if self.begun { &*text } else { text.strip_prefix('\u{feff}').unwrap_or(&text) };
        self.begun = true;
        if line.is_empty() {
            events.extend(self.end_event());
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            // Comments (an empty field), `retry` and what the standard does not know.
            _ => {}
        }
    }

    fn end_event(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        let id = self.id.take();
        if !std::mem::take(&mut self.has_data) {
            return None;
        }
        Some(Event { name: if name.is_empty() { "message".to_owned() } else { name }, data, id })
    }
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
