//! One request to a callback. What comes back is read no further than its status.

use super::callback::{Callback, Method};
use reqwest::{Client, StatusCode, header, redirect};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Received: any 2xx.
    Done,
    /// Tried again later.
    Later(String),
    /// The receiver wants no more of this (410), or what it says will not change.
    Never(String),
}

/// A client that follows nobody's directions but the address's: no redirects, no proxy of the environment.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("navvy/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Sends a body with these headers.
pub(crate) async fn send(client: &Client, callback: &Callback, headers: &[(&str, String)], content: &str, body: Vec<u8>) -> Delivery {
    let request = match callback.method {
        Method::Post => client.post(callback.url.clone()),
        Method::Put => client.put(callback.url.clone()),
    };
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    match request.header(header::CONTENT_TYPE, content).body(body).send().await {
        Ok(answer) => judge(answer.status()),
        // Without the address: it may be its own permission.
        Err(error) => Delivery::Later(error.without_url().to_string()),
    }
}

fn judge(status: StatusCode) -> Delivery {
    let told = format!("it answered {status}");
    match status {
        status if status.is_success() => Delivery::Done,
        StatusCode::GONE => Delivery::Never(told),
        status if status.is_redirection() => Delivery::Never(format!("{told}; redirects are not followed")),
        // A request that is refused now may be let in later: keys are rotated, services come up.
        _ => Delivery::Later(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_judged_by_its_status() {
        for (status, expected) in
            [(200, "done"), (201, "done"), (204, "done"), (301, "never"), (410, "never"), (400, "later"), (429, "later"), (503, "later")]
        {
            let found = match judge(StatusCode::from_u16(status).unwrap()) {
                Delivery::Done => "done",
                Delivery::Later(_) => "later",
                Delivery::Never(_) => "never",
            };
            assert_eq!(found, expected, "{status}");
        }
    }
}
