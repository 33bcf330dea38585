//! The W3C `traceparent`, carried by hand over whatever has string headers: HTTP, NATS, an environment.
//!
//! Grammar and rules: W3C Trace Context, section 3.2. `tracestate` is not carried (the recommendation allows to drop
//! it). What arrives from outside is checked to the letter, because it ends in the environment of a tool.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header's name.
const HEADER: &str = "traceparent";

/// The `traceparent` of the current span: what a message sent, or a tool started now, should carry. `None` outside any
/// span and without telemetry.
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let ids = span.span_context();
    let flags = ids.trace_flags() & TraceFlags::SAMPLED;
    ids.is_valid().then(|| format!("00-{}-{}-{:02x}", ids.trace_id(), ids.span_id(), flags))
}

/// Gives `put` the header of the current span, if there is one.
pub fn inject(put: &mut dyn FnMut(&str, &str)) {
    if let Some(traceparent) = current_traceparent() {
        put(HEADER, &traceparent);
    }
}

/// The `traceparent` that `lookup` finds by the header's name, if it is a valid one.
pub fn extract(lookup: impl FnOnce(&str) -> Option<String>) -> Option<String> {
    lookup(HEADER).filter(|value| is_traceparent(value))
}

/// True for a valid `traceparent`.
pub fn is_traceparent(value: &str) -> bool {
    parse(value).is_some()
}

/// Makes `span` a child of the span that `traceparent` names, in another process. Call it right after making the span:
/// once entered, or asked for its ids, a span has its parent for good. False when that was too late, when the text is
/// no valid `traceparent`, or when the span is filtered out.
pub fn set_parent(span: &Span, traceparent: &str) -> bool {
    let Some(parent) = parse(traceparent) else {
        return false;
    };
    span.set_parent(Context::new().with_remote_span_context(parent)).is_ok()
}

/// Version 00, and what later versions promise to keep: the first four fields.
fn parse(value: &str) -> Option<SpanContext> {
    let hex = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let mut fields = value.splitn(5, '-');
    let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let shaped = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    let ended = version != "00" || fields.next().is_none();
    if !shaped || !ended || version == "ff" || value.len() > 256 {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_headers_are_taken() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let table = [
            (format!("00-{trace}-{span}-01"), true),
            (format!("00-{trace}-{span}-00"), true),
            (format!("00-{trace}-{span}-ff"), true),
            (format!("cc-{trace}-{span}-01-what-the-future-brings"), true),
            (format!("00-{trace}-{span}-01-x"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("00-{}-{span}-01", trace.to_uppercase()), false),
            (format!("00-{}-{span}-01", "0".repeat(32)), false),
            (format!("00-{trace}-{}-01", "0".repeat(16)), false),
            (format!("00-{}-{span}-01", &trace[1..]), false),
            (format!("00-{trace}-{span}-1"), false),
            (format!("00-{trace}-{span}"), false),
            (format!("00-{trace}-{span}-+1"), false),
            (format!(" 00-{trace}-{span}-01"), false),
            (format!("cc-{trace}-{span}-01-{}", "x".repeat(300)), false),
            (format!("00-{trace}-{span}-01\nLD_PRELOAD=x"), false),
            (String::new(), false),
        ];
        for (value, expected) in table {
            assert_eq!(is_traceparent(&value), expected, "{value:?}");
            assert_eq!(extract(|_| Some(value.clone())).is_some(), expected, "{value:?}");
        }
    }
}
