//! The parser against examples of the standard, against every way to cut a stream, and against garbage.

use super::*;
use proptest::prelude::*;

fn parse(chunks: &[&[u8]]) -> Vec<Event> {
    let mut parser = Parser::default();
    let mut events = Vec::new();
    for chunk in chunks {
        parser.push(chunk, &mut events).unwrap();
    }
    events
}

fn event(name: &str, data: &str, id: Option<&str>) -> Event {
    Event { name: name.into(), data: data.into(), id: id.map(Into::into) }
}

#[test]
fn the_examples_of_the_standard_read_as_written_there() {
    for (text, expected) in [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", vec![event("message", "YHOO\n+2\n10", None)]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
            vec![event("message", "first event", Some("1")), event("message", "second event", Some(""))],
        ),
        ("data\n\ndata\ndata\n\ndata:", vec![event("message", "", None), event("message", "\n", None)]),
        ("data:test\n\ndata: test\n\n", vec![event("message", "test", None), event("message", "test", None)]),
        ("\u{feff}event: log\r\ndata: a: b\r\n\r\n", vec![event("log", "a: b", None)]),
        ("event: log\rdata: x\r\r", vec![event("log", "x", None)]),
        ("event: lonely\n\nretry: 10\nunknown: x\ndata: y\n\n", vec![event("message", "y", None)]),
        ("id: bad\0id\ndata: x\n\n", vec![event("message", "x", None)]),
    ] {
        assert_eq!(parse(&[text.as_bytes()]), expected, "{text:?}");
    }
}

#[test]
fn a_line_without_end_is_refused_before_memory_is_full() {
    let mut parser = Parser::default();
    let chunk = vec![b'x'; 1024 * 1024];
    let refused = (0..64).find(|_| parser.push(&chunk, &mut Vec::new()).is_err());
    assert_eq!(refused, Some(16));
}

/// Events as a gateway writes them, with one of the three line ends.
fn written() -> impl Strategy<Value = (Vec<Event>, Vec<u8>)> {
    let data = "[^\r\n]{0,20}(\n[^\r\n]{0,20}){0,3}";
    let one = ("[a-z]{1,8}", data, proptest::option::of("[0-9.]{1,9}"));
    (proptest::collection::vec(one, 0..8), prop_oneof![Just("\n"), Just("\r"), Just("\r\n")]).prop_map(|(all, end)| {
        let mut bytes = Vec::new();
        let mut events = Vec::new();
        for (name, data, id) in all {
            let mut lines = vec![": heartbeat".to_owned(), format!("event: {name}")];
            lines.extend(id.iter().map(|id| format!("id: {id}")));
            lines.extend(data.split('\n').map(|line| format!("data: {line}")));
            lines.push(String::new());
            for line in lines {
                bytes.extend_from_slice(line.as_bytes());
                bytes.extend_from_slice(end.as_bytes());
            }
            events.push(Event { name, data, id });
        }
        (events, bytes)
    })
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn what_was_written_is_read_however_it_is_cut((events, bytes) in written(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        prop_assert_eq!(parse(&cut(&bytes, &cuts)), events);
    }

    #[test]
    fn a_byte_at_a_time_is_the_same_as_at_once(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'd'), any::<u8>()], 0..200)) {
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(parse(&single), parse(&[&bytes]));
    }

    #[test]
    fn a_cut_stream_gives_a_beginning_of_the_whole((events, bytes) in written(), at in any::<prop::sample::Index>()) {
        let part = parse(&[&bytes[..at.index(bytes.len() + 1)]]);
        prop_assert!(events.starts_with(&part));
    }
}
