//! What an answer without success means: GitHub says the same thing with several statuses, and several with the same.
//!
//! The rules are those of "Rate limits for the REST API" and "Troubleshooting the REST API" in GitHub's documentation.

use crate::forge::ForgeError;
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    StatusCode,
    header::{DATE, HeaderMap, RETRY_AFTER},
};
use serde_json::Value;
use std::time::Duration;

/// How long to wait when a limit does not say: what GitHub asks for at least.
const UNSAID: Duration = Duration::from_mins(1);
/// The longest wait that is believed. GitHub's longest window is an hour.
const LONGEST: Duration = Duration::from_hours(2);
/// Characters of GitHub's own words that are passed on.
const MAX_WORDS: usize = 300;

/// What GitHub says in a refusal, as far as it can be read: the rest of the answer differs from case to case.
#[derive(Debug, Default)]
struct Said {
    message: String,
    details: Vec<String>,
}

impl Said {
    fn read(body: &[u8]) -> Self {
        let whole: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let detail = |entry: &Value| {
            let named = || Some(format!("{}: {}", entry["field"].as_str()?, entry["code"].as_str()?));
            text(entry).or_else(|| text(&entry["message"])).or_else(named)
        };
        let listed = whole["errors"].as_array().map_or(std::slice::from_ref(&whole["errors"]), Vec::as_slice);
        Self { message: text(&whole["message"]).unwrap_or_default(), details: listed.iter().filter_map(detail).collect() }
    }
}

/// The error that an answer stands for. `resource` is what was asked for.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8], resource: &str) -> ForgeError {
    let said = Said::read(body);
    if let Some(retry_after) = limit(status, headers, &said) {
        return ForgeError::Limited { retry_after };
    }
    // Where it has moved to is not followed: the text would go to whom nobody named.
    if status.is_redirection() {
        return ForgeError::Refused(format!("{resource} has moved (status {}): use the repository's new name", status.as_u16()));
    }
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => ForgeError::NotThere(resource.to_owned()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ForgeError::Denied(words(status, &said)),
        StatusCode::REQUEST_TIMEOUT => ForgeError::Unavailable(words(status, &said)),
        other if other.is_server_error() => ForgeError::Unavailable(words(status, &said)),
        _ => ForgeError::Refused(words(status, &said)),
    }
}

/// How long nobody may ask, if that is what the answer says. An answer of 403 is a limit only when something in it says so.
fn limit(status: StatusCode, headers: &HeaderMap, said: &Said) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let after = number(RETRY_AFTER.as_str()).map(Duration::from_secs);
    let used_up = number("x-ratelimit-remaining") == Some(0);
    let message = said.message.to_ascii_lowercase();
    let told = message.contains("rate limit") || message.contains("abuse");
    let is_limit = match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::FORBIDDEN => after.is_some() || used_up || told,
        StatusCode::SERVICE_UNAVAILABLE => after.is_some(),
        _ => false,
    };
    let reset = || used_up.then(|| number("x-ratelimit-reset")).flatten().map(|reset| until(reset, headers));
    is_limit.then(|| after.or_else(reset).unwrap_or(UNSAID).clamp(Duration::from_secs(1), LONGEST))
}

/// From now to the second `reset` on GitHub's clock, which the answer's date shows; ours may be wrong.
fn until(reset: u64, headers: &HeaderMap) -> Duration {
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let now = date.and_then(|date| rfc2822::parse(date).ok()).map_or_else(Timestamp::now, |date| date.timestamp());
    // One second more: both are whole seconds, cut off.
    Duration::from_secs(reset.saturating_sub(now.as_second().max(0) as u64).saturating_add(1))
}

/// GitHub's own words, shortened, on one line.
fn words(status: StatusCode, said: &Said) -> String {
    let all: Vec<&str> = std::iter::once(&said.message).chain(&said.details).map(String::as_str).filter(|m| !m.is_empty()).collect();
    let text: String = all.join("; ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect();
    if text.is_empty() { format!("status {}", status.as_u16()) } else { format!("{text} (status {})", status.as_u16()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    const NOW: &str = "Thu, 26 Nov 2026 00:00:00 GMT";
    /// `NOW` in seconds.
    const NOW_SECONDS: u64 = 1_795_651_200;

    fn meaning(status: u16, headers: &[(&'static str, &str)], body: &str) -> ForgeError {
        let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        read(StatusCode::from_u16(status).unwrap(), &headers.iter().map(pair).collect(), body.as_bytes(), "repos/a/b")
    }

    fn limited(seconds: u64) -> ForgeError {
        ForgeError::Limited { retry_after: Duration::from_secs(seconds) }
    }

    #[test]
    fn limits_of_every_kind_are_told_from_refusals() {
        let soon = (NOW_SECONDS + 90).to_string();
        let used_up = [("date", NOW), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &soon)];
        let secondary = r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}"#;
        for status in [403, 429] {
            assert_eq!(meaning(status, &used_up, ""), limited(91));
            assert_eq!(meaning(status, &[("retry-after", "7")], ""), limited(7));
            assert_eq!(meaning(status, &[("retry-after", "7"), used_up[1], used_up[2]], ""), limited(7), "what it says itself goes first");
            assert_eq!(meaning(status, &[("x-ratelimit-remaining", "12")], secondary), limited(60));
            assert_eq!(meaning(status, &[("retry-after", "999999999")], ""), limited(7200), "not for ever");
            assert_eq!(meaning(status, &[("retry-after", "0")], ""), limited(1), "not at once");
            let past = [("date", NOW), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "5")];
            assert_eq!(meaning(status, &past, ""), limited(1));
        }
        assert_eq!(meaning(429, &[], ""), limited(60));
        assert_eq!(meaning(503, &[("retry-after", "30")], ""), limited(30));
    }

    #[test]
    fn everything_else_has_its_class() {
        use ForgeError::{Denied, NotThere, Refused, Unavailable};
        assert_eq!(meaning(404, &[], "{}"), NotThere("repos/a/b".into()));
        assert_eq!(meaning(410, &[], "{}"), NotThere("repos/a/b".into()));
        assert_eq!(meaning(401, &[], r#"{"message":"Bad credentials"}"#), Denied("Bad credentials (status 401)".into()));
        let locked = r#"{"message":"Unable to create comment because issue is locked."}"#;
        let told = meaning(403, &[("x-ratelimit-remaining", "4999")], locked);
        assert_eq!(told, Denied("Unable to create comment because issue is locked. (status 403)".into()));
        assert_eq!(meaning(500, &[], "<html>"), Unavailable("status 500".into()));
        assert_eq!(meaning(503, &[], "<html>"), Unavailable("status 503".into()));
        assert!(matches!(meaning(301, &[("location", "https://elsewhere")], "{}"), Refused(text) if text.contains("new name")));
        let invalid = r#"{"message":"Validation Failed","errors":[{"code":"x","field":"data","message":"Body is too long"},{"field":"body","code":"missing_field"}]}"#;
        assert_eq!(meaning(422, &[], invalid), Refused("Validation Failed; Body is too long; body: missing_field (status 422)".into()));
    }

    #[test]
    fn odd_answers_say_what_they_can() {
        for (body, text) in [
            (r#"{"message":"no","errors":"because"}"#, "no; because (status 422)"),
            (r#"{"message":"no","errors":["a",{"code":1},null,{"message":"b"}]}"#, "no; a; b (status 422)"),
            (r#"{"message":7}"#, "status 422"),
            ("[]", "status 422"),
            ("\u{0}", "status 422"),
        ] {
            assert_eq!(meaning(422, &[], body), ForgeError::Refused(text.into()), "{body}");
        }
    }

    #[test]
    fn words_are_one_short_line() {
        let long = serde_json::json!({ "message": format!("a\nb{}", "x".repeat(1000)) }).to_string();
        let ForgeError::Refused(text) = meaning(422, &[], &long) else { panic!("refused") };
        assert!(text.starts_with("a bx") && text.len() < 350, "{text}");
    }
}
