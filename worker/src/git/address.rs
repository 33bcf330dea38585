//! Which machine a git address really leads to, and whether it may be reached.
//!
//! The name is resolved once, every address is checked, and git is then pinned to the checked ones, so that a second
//! answer of the name server cannot lead elsewhere. Which host names are listed at all is `proto::git::AllowedHosts`.

use super::GitError;
use proto::git::{AllowedHosts, GitUrl, Scheme, is_inside};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const LOOKUP_LIMIT: Duration = Duration::from_secs(20);

/// A host with addresses that were checked.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
    /// Never empty.
    pub(super) addresses: Vec<IpAddr>,
    /// Whether the host is written as an address, so that there is no name to pin.
    pub(super) literal: bool,
}

impl Endpoint {
    /// Resolves and checks the host of an address.
    ///
    /// # Errors
    /// The host is not listed, not known, or leads to an address that may not be reached.
    pub(super) async fn check(url: &GitUrl, allowed: &AllowedHosts) -> Result<Self, GitError> {
        allowed.permits(url)?;
        let (host, port) = (url.host().to_owned(), url.port_or_default());
        let literal = host.parse::<IpAddr>().ok();
        let addresses = match literal {
            Some(address) => vec![address],
            None => lookup(&host, port).await?,
        };
        for &address in &addresses {
            if let Some(why) = refusal(&host, address) {
                return Err(GitError::AddressRefused { host, address, why });
            }
        }
        Ok(Self { host, port, addresses, literal: literal.is_some() })
    }

    /// The value of `http.curloptResolve` that ties the name to the checked addresses.
    pub(super) fn curl_pin(&self, scheme: Scheme) -> Option<String> {
        if self.literal || scheme == Scheme::Ssh {
            return None;
        }
        let addresses: Vec<String> = self
            .addresses
            .iter()
            .map(|address| match address {
                IpAddr::V4(v4) => v4.to_string(),
                IpAddr::V6(v6) => format!("[{v6}]"),
            })
            .collect();
        Some(format!("{}:{}:{}", self.host, self.port, addresses.join(",")))
    }
}

async fn lookup(host: &str, port: u16) -> Result<Vec<IpAddr>, GitError> {
    let unknown = |source| GitError::UnknownHost { host: host.to_owned(), source };
    let found = tokio::time::timeout(LOOKUP_LIMIT, tokio::net::lookup_host((host, port)))
        .await
        .map_err(|_| unknown(None))?
        .map_err(|source| unknown(Some(source)))?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|socket| socket.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(unknown(None));
    }
    Ok(addresses)
}

/// Why an address of a listed host may not be reached. A listed name may lead into a private network (that is what an
/// operator lists it for); to this machine only if the entry itself says so; to the metadata services never.
fn refusal(host: &str, address: IpAddr) -> Option<&'static str> {
    let plain = match carried_v4(address) {
        Carried::V4(v4) => IpAddr::V4(v4),
        Carried::Tunnel => return Some("an IPv6 tunnel address"),
        Carried::Nothing => address,
    };
    if let Some(why) = never(plain) {
        return Some(why);
    }
    let names_this_machine = host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok();
    if plain.is_loopback() && !names_this_machine {
        return Some("the worker's own machine");
    }
    // An IPv4 address inside the network, wrapped in IPv6, is a disguise: nobody lists a server that way.
    if plain != address && is_inside(plain) && !names_this_machine {
        return Some("a disguised address inside this network");
    }
    None
}

/// Addresses that are never a git server, listed or not.
fn never(address: IpAddr) -> Option<&'static str> {
    const METADATA: &str = "a cloud metadata service";
    const SPECIAL: &str = "not the address of a machine";
    match address {
        IpAddr::V4(v4) => match v4.octets() {
            [169, 254, ..] => Some("a link-local address (cloud metadata services live there)"),
            // Alibaba Cloud, Azure and Oracle Cloud keep theirs elsewhere.
            [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Some(METADATA),
            [0 | 224..=255, ..] => Some(SPECIAL),
            _ => None,
        },
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            if segments[0] & 0xffc0 == 0xfe80 {
                Some("a link-local address")
            } else if segments == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] || segments == [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] {
                Some(METADATA)
            } else if v6.is_unspecified() || v6.is_multicast() {
                Some(SPECIAL)
            } else {
                None
            }
        }
    }
}

enum Carried {
    Nothing,
    V4(Ipv4Addr),
    Tunnel,
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, or NAT64 (RFC 6052, RFC 8215). 6to4 and Teredo are tunnels.
fn carried_v4(address: IpAddr) -> Carried {
    let IpAddr::V6(v6) = address else {
        return Carried::Nothing;
    };
    let [first, second, third, .., high, low] = v6.segments();
    let tail = Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (first, second, third) {
        (0x64, 0xff9b, 0 | 1) => Carried::V4(tail),
        (0x2002, ..) | (0x2001, 0, _) => Carried::Tunnel,
        _ if v6.is_loopback() || v6.is_unspecified() => Carried::Nothing,
        _ => v6.to_ipv4().map_or(Carried::Nothing, Carried::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(host: &str, address: &str) -> bool {
        refusal(host, address.parse().expect("an address")).is_some()
    }

    #[test]
    fn metadata_and_special_addresses_are_refused_even_when_listed() {
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001:0:1::1",
            "fd00:ec2::254",
            "fe80::1",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(refused("git.example", address), "{address}");
            assert!(refused(address, address), "{address} listed by itself");
        }
    }

    #[test]
    fn a_name_may_lead_into_a_private_network_but_not_to_this_machine() {
        for address in ["10.0.0.5", "192.168.1.1", "100.64.0.1", "fd12::1", "93.184.216.34"] {
            assert!(!refused("git.example", address), "{address}");
        }
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::ffff:10.0.0.1"] {
            assert!(refused("git.example", address), "{address}");
        }
        assert!(!refused("127.0.0.1", "127.0.0.1"));
        assert!(!refused("localhost", "::1"));
    }

    #[tokio::test]
    async fn an_unlisted_host_is_not_even_looked_up() {
        let allowed = AllowedHosts::parse(["git.example"]).expect("a list");
        let url: GitUrl = "http://localhost:1/x".parse().expect("an address");
        let error = Endpoint::check(&url, &allowed).await.expect_err("refused");
        assert!(matches!(error, GitError::NotAllowed(_)), "{error}");
    }

    #[test]
    fn curl_is_tied_to_every_checked_address() {
        let endpoint = Endpoint {
            host: "git.example".into(),
            port: 443,
            addresses: vec!["10.0.0.1".parse().expect("v4"), "fd12::1".parse().expect("v6")],
            literal: false,
        };
        assert_eq!(endpoint.curl_pin(Scheme::Https).as_deref(), Some("git.example:443:10.0.0.1,[fd12::1]"));
        assert_eq!(endpoint.curl_pin(Scheme::Ssh), None);
    }
}
