//! Times and spans for people. Instants are shown in UTC, so that two people talk about the same one.

use proto::Timestamp;

/// `2026-11-21 03:50:07 UTC`.
pub(crate) fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `3 min ago`; `in 2 h` for what is to come.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    match seconds {
        0 => "now".into(),
        1.. => format!("{} ago", rough(seconds.unsigned_abs())),
        ..0 => format!("in {}", rough(seconds.unsigned_abs())),
    }
}

/// The largest unit only.
pub(crate) fn rough(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// From one instant to another, exact enough to compare runs: `3.2 s`, `4 min 10 s`, `2 h 5 min`.
pub(crate) fn span(from: Timestamp, to: Timestamp) -> String {
    let span = to.duration_since(from);
    let seconds = u64::try_from(span.as_secs()).unwrap_or(0);
    match seconds {
        0..60 => format!("{:.1} s", span.as_secs_f64().max(0.0)),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_distances_read_naturally() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let start = at("2026-11-21T03:50:00Z");
        for (to, as_span, as_relative) in [
            ("2026-11-21T03:50:00.25Z", "0.2 s", "now"),
            ("2026-11-21T03:50:03.2Z", "3.2 s", "3 s ago"),
            ("2026-11-21T03:54:10Z", "4 min 10 s", "4 min ago"),
            ("2026-11-21T05:55:00Z", "2 h 5 min", "2 h ago"),
            ("2026-11-23T05:55:00Z", "50 h 5 min", "2 d ago"),
        ] {
            assert_eq!(span(start, at(to)), as_span);
            assert_eq!(relative(start, at(to)), as_relative);
        }
        assert_eq!(relative(at("2026-11-22T03:50:00Z"), start), "in 1 d");
        assert_eq!(instant(start), "2026-11-21 03:50:00 UTC");
        assert_eq!(span(at("2026-11-22T03:50:00Z"), start), "0.0 s", "a clock that ran backwards");
    }
}
