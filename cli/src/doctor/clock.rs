//! The clock. Leases are measured locally, so a wrong clock breaks nothing in the fleet itself; but certificates, tokens
//! of clouds and the times that people read depend on it.

use std::time::Duration;

use proto::Timestamp;
use reqwest::Url;

use super::Finding;

/// What a `Date` header (whole seconds) and a round trip can hide.
const SEEN_AS_EQUAL: u64 = 5;
/// Clouds refuse signatures from clocks further off.
const TOO_FAR: u64 = 60;

/// Compares this clock with the gateway's, when one answers.
pub(super) async fn check(url: &Url) -> Finding {
    let now = Timestamp::now();
    let Some(theirs) = clock_of(url).await else {
        return Finding::ok("clock", format!("{}; no gateway at {url} to compare it with", crate::output::time::instant(now)));
    };
    judge(now, theirs)
}

fn judge(ours: Timestamp, theirs: Timestamp) -> Finding {
    let apart = ours.duration_since(theirs).as_secs().unsigned_abs();
    let found = format!("{apart} s apart from the gateway's");
    let advice = "run an NTP client (systemd-timesyncd, chrony) on both machines";
    if apart <= SEEN_AS_EQUAL {
        Finding::ok("clock", "agrees with the gateway's")
    } else if apart <= TOO_FAR {
        Finding::warn("clock", found, advice)
    } else {
        Finding::fail("clock", found, advice)
    }
}

async fn clock_of(url: &Url) -> Option<Timestamp> {
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(3)).build().ok()?;
    let answer = client.get(url.clone()).send().await.ok()?;
    let date = answer.headers().get(reqwest::header::DATE)?.to_str().ok()?;
    parse(date)
}

/// An HTTP date, such as `Sat, 21 Nov 2026 03:50:00 GMT` (RFC 9110, 5.6.7).
fn parse(date: &str) -> Option<Timestamp> {
    let date = date.strip_suffix(" GMT")?;
    Timestamp::strptime("%a, %d %b %Y %H:%M:%S %z", format!("{date} +0000")).ok()
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn the_distance_decides() {
        let at = parse("Sat, 21 Nov 2026 03:50:00 GMT").unwrap();
        assert_eq!(at.to_string(), "2026-11-21T03:50:00Z");
        for (other, state) in
            [("2026-11-21T03:50:04Z", State::Ok), ("2026-11-21T03:49:20Z", State::Warn), ("2026-11-21T05:50:00Z", State::Fail)]
        {
            assert_eq!(judge(at, other.parse().unwrap()).state, state, "{other}");
        }
        assert_eq!(parse("yesterday"), None);
    }
}
