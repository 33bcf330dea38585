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
    // The last entry is the one that our own proxy added; those before it are the client's word.
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?.rsplit(',').next()?;
    last.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical()).or(Some(peer))
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
        ] {
            let mut extensions = Extensions::new();
            extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
            let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), HeaderValue::from_static(forwarded))]);
            assert_eq!(client_ip(&extensions, &headers, &[proxy]), Some(expected.parse().unwrap()), "{peer} {forwarded}");
        }
        assert_eq!(client_ip(&Extensions::new(), &HeaderMap::new(), &[]), None);
    }
}
