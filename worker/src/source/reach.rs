//! Which machine an archive's address leads to, and whether it may be reached.
//!
//! The host is on the caller's list or nothing happens. Its name is resolved once, every address is checked, and the
//! request is tied to the checked ones, so that a second answer of the name server cannot lead elsewhere.

use super::SourceError;
use proto::git::{AllowedHosts, GitUrl, is_inside};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use url::{Host, Url};

const LOOKUP_LIMIT: Duration = Duration::from_secs(20);

/// A host with the addresses that were checked.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Absent: the host is written as an address.
    pub(super) name: Option<String>,
    pub(super) addresses: Vec<SocketAddr>,
}

/// Resolves and checks the host of an address.
pub(super) async fn check(url: &Url, allowed: &AllowedHosts) -> Result<Endpoint, SourceError> {
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Err(SourceError::Location { why: "the address names no host" });
    };
    listed(url, &host, allowed)?;
    let shown = host.to_string();
    let (name, found) = match host {
        Host::Ipv4(v4) => (None, vec![SocketAddr::new(v4.into(), port)]),
        Host::Ipv6(v6) => (None, vec![SocketAddr::new(v6.into(), port)]),
        Host::Domain(name) => (Some(name.to_owned()), lookup(name, port).await?),
    };
    if let Some(refused) = found.iter().find(|address| !may_be_reached(name.as_deref(), address.ip())) {
        return Err(SourceError::AddressRefused { host: shown, address: refused.ip() });
    }
    Ok(Endpoint { name, addresses: found })
}

/// The list is the one for git servers, in its own words: a host, or a host and a port.
fn listed(url: &Url, host: &Host<&str>, allowed: &AllowedHosts) -> Result<(), SourceError> {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let shown = format!("{host}{port}");
    let plain = format!("{}://{shown}/archive", url.scheme());
    let listed = plain.parse::<GitUrl>().is_ok_and(|url| allowed.permits(&url).is_ok());
    if listed { Ok(()) } else { Err(SourceError::HostNotListed { host: shown }) }
}

async fn lookup(name: &str, port: u16) -> Result<Vec<SocketAddr>, SourceError> {
    let unknown = |source| SourceError::UnknownHost { host: name.to_owned(), source };
    let found = tokio::time::timeout(LOOKUP_LIMIT, tokio::net::lookup_host((name, port))).await;
    let found: Vec<_> = found.map_err(|_| unknown(None))?.map_err(|source| unknown(Some(source)))?.collect();
    if found.is_empty() { Err(unknown(None)) } else { Ok(found) }
}

/// Public addresses may be reached, and private ones, which is what an operator lists a name for; this machine only when
/// the list says it. Everything else inside (metadata services above all) never, listed or not.
fn may_be_reached(name: Option<&str>, address: IpAddr) -> bool {
    if is_metadata(address) {
        return false;
    }
    let names_this_machine = name.is_none_or(|name| name == "localhost" || name.ends_with(".localhost"));
    match address {
        _ if !is_inside(address) => true,
        _ if address.is_loopback() => names_this_machine,
        IpAddr::V4(v4) => v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..]),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// Metadata services outside of the link-local addresses, and tunnels that could lead to one.
fn is_metadata(address: IpAddr) -> bool {
    let known = |v4: Ipv4Addr| matches!(v4.octets(), [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192]);
    match address {
        IpAddr::V4(v4) => known(v4),
        IpAddr::V6(v6) => match v6.segments() {
            [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => true,
            [0x2002, ..] | [0x2001, 0, ..] => true,
            [0x64, 0xff9b, .., high, low] => known(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
            _ => v6.to_ipv4().is_some_and(known),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_reached_only_where_that_was_meant() {
        for (name, address, expected) in [
            (Some("files.example"), "93.184.216.34", true),
            (Some("files.example"), "2606:2800:220:1::1", true),
            (Some("files.example"), "10.0.0.5", true),
            (Some("files.example"), "100.64.0.1", true),
            (Some("files.example"), "fd12::1", true),
            (Some("files.example"), "64:ff9b::5db8:d822", true),
            (Some("files.example"), "127.0.0.1", false),
            (Some("files.example"), "::1", false),
            (Some("files.example"), "::ffff:127.0.0.1", false),
            (Some("files.example"), "::ffff:10.0.0.1", false),
            (Some("localhost"), "127.0.0.1", true),
            (Some("x.localhost"), "::1", true),
            (Some("localhost.example"), "127.0.0.1", false),
            (None, "127.0.0.1", true),
            (None, "10.0.0.5", true),
        ] {
            assert_eq!(may_be_reached(name, address.parse().unwrap()), expected, "{name:?} {address}");
        }
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::a83f:8110",
            "2002:a9fe:a9fe::1",
            "2001:0:1::1",
            "fd00:ec2::254",
            "fe80::1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(!may_be_reached(Some("files.example"), address.parse().unwrap()), "{address}");
            assert!(!may_be_reached(None, address.parse().unwrap()), "{address} listed by itself");
        }
    }

    #[tokio::test]
    async fn only_listed_hosts_and_ports_are_looked_up() {
        let allowed = AllowedHosts::parse(["files.example", "127.0.0.1:8080", "[::1]:8080", "169.254.169.254"]).unwrap();
        for (url, good) in [
            ("http://127.0.0.1:8080/a.zip", true),
            ("http://[::1]:8080/a.zip?x=y", true),
            ("http://127.1:8080/a.zip", true),
            ("http://2130706433:8080/a.zip", true),
            ("http://127.0.0.1/a.zip", false),
            ("https://127.0.0.1:8081/a.zip", false),
            ("https://files.example:444/a.zip", false),
            ("https://other.example/a.zip", false),
        ] {
            let checked = check(&url.parse().unwrap(), &allowed).await;
            assert!(if good { checked.is_ok() } else { matches!(checked, Err(SourceError::HostNotListed { .. })) }, "{url}: {checked:?}");
        }
        let metadata = check(&"http://169.254.169.254/latest".parse().unwrap(), &allowed).await;
        assert!(matches!(metadata, Err(SourceError::AddressRefused { .. })), "{metadata:?}");
    }
}
