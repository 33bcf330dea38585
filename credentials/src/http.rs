//! Asking whoever keeps credentials: no redirects (they would take a token or a signature elsewhere), every wait and every
//! answer bounded, and patience with those who are busy.

use crate::error::Cause;
use aws_lc_rs::rand;
use proto::address::is_loopback;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use std::pin::Pin;
use std::time::Duration;
use url::Url;

/// How to wait between two tries.
pub type Pause = fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// How often something is tried in all.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(16);
const CONNECT: Duration = Duration::from_secs(5);
/// Longest silence of a peer.
const SILENCE: Duration = Duration::from_secs(30);
/// Largest answer that is no download, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Waits on tokio's clock.
pub(crate) fn sleep(time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(tokio::time::sleep(time))
}

/// Why one try brought nothing.
pub(crate) enum Trouble {
    /// Another try would bring the same.
    Final(Cause),
    /// Busy or out of reach just now.
    Passing(Cause),
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

/// Tries until it is done, the trouble is final, or patience ends.
pub(crate) async fn patiently<T, F>(pause: Pause, mut once: impl FnMut() -> F) -> Result<T, Cause>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let mut tried = 0;
    loop {
        tried += 1;
        match once().await {
            Ok(done) => return Ok(done),
            Err(Trouble::Final(cause)) => return Err(cause),
            Err(Trouble::Passing(cause)) if tried == TRIES => return Err(cause),
            Err(Trouble::Passing(_)) => pause(wait_after(tried, chance())).await,
        }
    }
}

/// Doubled with each try, bounded, and up to half as long again: who failed together does not come back together.
/// `chance` is 0 to 255.
fn wait_after(tried: u32, chance: u8) -> Duration {
    let wait = FIRST_WAIT.saturating_mul(1 << (tried - 1).min(16)).min(LONGEST_WAIT);
    wait + wait / 2 * u32::from(chance) / 255
}

/// Without randomness everybody waits the shortest time, which is no reason to fail.
pub(crate) fn chance() -> u8 {
    let mut byte = [0];
    rand::fill(&mut byte).map_or(0, |()| byte[0])
}

/// A client for one address.
pub(crate) fn client(address: &Url, trusted: Vec<Certificate>) -> Result<Client, String> {
    let loopback = is_loopback(address);
    match address.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Err(format!("the address {address} must begin with https:// (http:// only on this machine)")),
    }
    if !address.username().is_empty() || address.password().is_some() || address.query().is_some() || address.fragment().is_some() {
        return Err("an address must be a host and perhaps a path: no user, no query".to_owned());
    }
    let builder = Client::builder().redirect(Policy::none()).connect_timeout(CONNECT).read_timeout(SILENCE).tls_certs_merge(trusted);
    let builder = if loopback { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| format!("no HTTP client: {}", chain(&error)))
}

/// Sends a request and reads the whole answer. Busy peers are a passing trouble; what other statuses mean, the caller knows.
pub(crate) async fn ask(request: RequestBuilder) -> Result<Answer, Trouble> {
    let response = send(request.timeout(SILENCE)).await?;
    let status = response.status();
    let body = whole(response).await?;
    Ok(Answer { status, body })
}

/// Sends a request; the body is the caller's to read.
pub(crate) async fn send(request: RequestBuilder) -> Result<Response, Trouble> {
    let response = request.send().await.map_err(|error| Trouble::Passing(unreachable(error)))?;
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Err(Trouble::Passing(Cause::Unreachable(format!("it answered {} again and again", response.status()))))
        }
        status if status.is_redirection() => {
            Err(Trouble::Final(Cause::malformed(format!("it answered {status}: redirects are not followed, check region and address"))))
        }
        _ => Ok(response),
    }
}

/// The body of an answer that should be small.
pub(crate) async fn whole(mut response: Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Trouble::Passing(unreachable(error)))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err(Trouble::Final(Cause::malformed(format!("the answer is longer than {MAX_ANSWER} bytes"))));
        }
    }
    Ok(body)
}

/// A failure to get through, without the address: it may be long, and the location stands beside it.
pub(crate) fn unreachable(error: reqwest::Error) -> Cause {
    Cause::Unreachable(chain(&error.without_url()))
}

/// An error and what it came from: reqwest's own text stops at "error sending request".
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(one) = source {
        text = format!("{text}: {one}");
        source = one.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn at_once(_: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }

    #[test]
    fn waits_double_up_to_a_bound_with_up_to_half_on_top() {
        let waits = |chance| (1..=7).map(|tried| wait_after(tried, chance).as_millis()).collect::<Vec<_>>();
        assert_eq!(waits(0), [500, 1000, 2000, 4000, 8000, 16000, 16000]);
        assert_eq!(waits(255), [750, 1500, 3000, 6000, 12000, 24000, 24000]);
    }

    #[tokio::test]
    async fn passing_trouble_is_tried_five_times_and_final_trouble_once() {
        let cause = || Cause::Unreachable("busy".to_owned());
        for (succeeds_at, is_final, expected) in [(1, false, 1), (5, false, 5), (6, false, 5), (6, true, 1)] {
            let tried = Cell::new(0);
            let once = || {
                tried.set(tried.get() + 1);
                let trouble = if is_final { Trouble::Final(cause()) } else { Trouble::Passing(cause()) };
                std::future::ready(if tried.get() >= succeeds_at { Ok(()) } else { Err(trouble) })
            };
            let result = patiently(at_once, once).await;
            assert_eq!((tried.get(), result.is_ok()), (expected, succeeds_at <= expected), "{succeeds_at}");
        }
    }

    #[test]
    fn secrets_travel_in_the_clear_only_on_this_machine() {
        for (address, good) in [
            ("https://vault.example.com:8200", true),
            ("http://127.0.0.1:8200/x", true),
            ("http://localhost:8200", true),
            ("http://vault.example.com", false),
            ("http://169.254.169.254", false),
            ("ftp://127.0.0.1", false),
            ("https://u:p@vault.example.com", false),
            ("https://vault.example.com?x", false),
        ] {
            assert_eq!(client(&Url::parse(address).unwrap(), Vec::new()).is_ok(), good, "{address}");
        }
    }
}
