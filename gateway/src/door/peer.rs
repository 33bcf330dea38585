//! Which address a request comes from: the connection's, or what a trusted proxy says.

use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap},
};
use std::net::{IpAddr, SocketAddr};

/// The client's address; `None` where there is no connection (tests without a socket).
pub(crate) fn client_ip(extensions: &Extensions, headers: &HeaderMap, trusted_proxies: &[IpAddr]) -> Option<IpAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    let peer = peer.ip().to_canonical();
    if !trusted_proxies.contains(&peer) {
        return Some(peer);
    }
    // Without a good one all clients of the proxy count as one, which is bounded; not as nobody, who is not.
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    Some(forwarded.and_then(|value| last_of(value.as_bytes())).unwrap_or(peer))
}

/// The last entry is the one that our own proxy added; those before it are the client's word, and may be any bytes. Some proxies
/// add the port.
fn last_of(value: &[u8]) -> Option<IpAddr> {
    let last = std::str::from_utf8(value.rsplit(|byte| *byte == b',').next()?).ok()?.trim();
    let with_port = || last.parse::<SocketAddr>().ok().map(|address| address.ip());
    last.parse().ok().or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_a_trusted_proxy_may_say_who_its_client_is() {
        let proxy: IpAddr = "10.0.0.9".parse().unwrap();
        for (peer, forwarded, expected) in [
            ("192.0.2.1", "203.0.113.7", "192.0.2.1"),
            ("10.0.0.9", "203.0.113.7", "203.0.113.7"),
            ("10.0.0.9", "1.1.1.1, 203.0.113.7", "203.0.113.7"),
            ("10.0.0.9", "nonsense", "10.0.0.9"),
            ("10.0.0.9", "203.0.113.7, nonsense", "10.0.0.9"),
            ("10.0.0.9", "203.0.113.9:4711", "203.0.113.9"),
            ("10.0.0.9", "1.1.1.1, [2001:db8::1]:4711", "2001:db8::1"),
            ("10.0.0.9", "\u{e4}, 203.0.113.7", "203.0.113.7"),
        ] {
            let mut extensions = Extensions::new();
            extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
            let headers =
                HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), HeaderValue::from_bytes(forwarded.as_bytes()).unwrap())]);
            assert_eq!(client_ip(&extensions, &headers, &[proxy]), Some(expected.parse().unwrap()), "{peer} {forwarded}");
        }
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(proxy, 1)));
        assert_eq!(client_ip(&extensions, &HeaderMap::new(), &[proxy]), Some(proxy), "a proxy that does not say");
        assert_eq!(client_ip(&Extensions::new(), &HeaderMap::new(), &[]), None);
    }
}
