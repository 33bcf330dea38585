//! What an address says by itself, before anybody asks a resolver.

use url::{Host, Url};

/// Whether an address is on this machine: the only place plain http is for. Other names are not looked up, so a name that
/// happens to lead here is none of it.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_a_loopback_address_or_its_one_name() {
        for (address, expected) in [
            ("http://127.0.0.1:8080/x", true),
            ("http://127.8.8.8/", true),
            ("http://[::1]:1/", true),
            ("https://LOCALHOST/", true),
            ("http://localhost.example/", false),
            ("http://127.0.0.1.example/", false),
            ("http://[::ffff:127.0.0.1]/", false),
            ("http://10.0.0.1/", false),
            ("data:x", false),
        ] {
            assert_eq!(is_loopback(&address.parse().expect("an address")), expected, "{address}");
        }
    }
}
