//! How much of a listener one client, and all together, may use.
//!
//! A client is an IPv4 address or an IPv6 /64 (the smallest block a network hands out, so one machine has them all).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::settings::Gateway;

/// The limits of one listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a client may take to send a request's head, and may idle between two requests.
    pub header_timeout: Duration,
    /// Most header lines of a request.
    pub headers: usize,
    /// Most bytes of a request's head.
    pub header_bytes: usize,
    /// Most open connections.
    pub connections: usize,
    /// Most open connections of one client.
    pub connections_per_ip: usize,
    /// Addresses exempt from `connections_per_ip`: reverse proxies.
    pub exempt: Vec<IpAddr>,
    /// Loopback is exempt from `connections_per_ip` as well.
    pub exempt_loopback: bool,
    /// After the stop: how long requests in hand may go on.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            headers: 100,
            header_bytes: 32 * 1024,
            connections: 4_096,
            connections_per_ip: 64,
            exempt: Vec::new(),
            exempt_loopback: true,
            drain: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// The limits of the `gateway` section. Proxies that are no IP address are left out: `Settings::check` refuses them.
    pub fn of_gateway(gateway: &Gateway) -> Self {
        Self {
            connections: gateway.connections_max as usize,
            connections_per_ip: gateway.connections_per_ip as usize,
            exempt: gateway.trusted_proxies.iter().filter_map(|ip| ip.parse().ok()).collect(),
            ..Self::default()
        }
    }

    /// Limits of a metrics and health listener, which few machines ask seldom.
    pub fn of_ops() -> Self {
        Self { connections: 64, connections_per_ip: 16, drain: Duration::from_secs(2), ..Self::default() }
    }
}

/// Counts the open connections of each client.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    most: usize,
    exempt: Arc<[IpAddr]>,
    exempt_loopback: bool,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place among those of its client; free again on drop.
#[derive(Debug)]
pub(super) struct Place {
    client: Option<IpAddr>,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Clients {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            most: limits.connections_per_ip,
            exempt: limits.exempt.iter().map(IpAddr::to_canonical).collect(),
            exempt_loopback: limits.exempt_loopback,
            open: Arc::default(),
        }
    }

    /// A place for one more connection from `ip`, if there is one.
    pub(super) fn enter(&self, ip: IpAddr) -> Option<Place> {
        let ip = ip.to_canonical();
        let open = Arc::clone(&self.open);
        if (self.exempt_loopback && ip.is_loopback()) || self.exempt.contains(&ip) {
            return Some(Place { client: None, open });
        }
        let client = client_of(ip);
        {
            let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(client).or_default();
            if *count >= self.most {
                return None;
            }
            *count += 1;
        }
        Some(Place { client: Some(client), open })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&client);
            }
        }
    }
}

/// The address that stands for a client: itself, or the /64 of an IPv6 address, of which one client has as many as it likes.
pub fn client_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn each_client_has_its_own_places() {
        let limits = Limits { connections_per_ip: 2, exempt: vec![ip("10.0.0.9")], ..Limits::default() };
        let clients = Clients::new(&limits);
        let table = [
            ("10.0.0.1", true),
            ("10.0.0.1", true),
            ("10.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("10.0.0.2", true),
            ("2001:db8::1", true),
            ("2001:db8::2", true),
            ("2001:db8::ffff:3", false),
            ("2001:db8:0:1::3", true),
            ("127.0.0.1", true),
            ("127.0.0.1", true),
            ("127.0.0.1", true),
            ("10.0.0.9", true),
            ("10.0.0.9", true),
            ("::ffff:10.0.0.9", true),
        ];
        let places: Vec<_> = table.iter().map(|(address, _)| clients.enter(ip(address))).collect();
        for (place, (address, expected)) in places.iter().zip(table) {
            assert_eq!(place.is_some(), expected, "{address}");
        }
        drop(places);
        assert!(clients.open.lock().unwrap().is_empty(), "nothing is remembered of clients that left");
        assert!(clients.enter(ip("10.0.0.1")).is_some());
    }
}
