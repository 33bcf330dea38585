//! The syntax of addresses in settings: URLs, browser origins, git hosts, names.
//!
//! Pure text rules. Whether a host exists or may be reached is decided where it is used.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::Uri;

/// What is wrong with a URL, in words that never quote it whole (it may hold a password).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UrlFault {
    /// No scheme of the list, no host, or no URL at all.
    Shape,
    /// `user:password@` inside.
    Credentials,
    /// Plain `http://` to another machine.
    Plain,
}

/// Checks a URL with one of `schemes` and without credentials.
pub(super) fn url(text: &str, schemes: &[&str]) -> Result<Uri, UrlFault> {
    let uri: Uri = text.parse().map_err(|_| UrlFault::Shape)?;
    let authority = uri.authority().ok_or(UrlFault::Shape)?;
    if authority.as_str().contains('@') {
        return Err(UrlFault::Credentials);
    }
    let known = uri.scheme_str().is_some_and(|scheme| schemes.contains(&scheme));
    if known && !authority.host().is_empty() { Ok(uri) } else { Err(UrlFault::Shape) }
}

/// A URL over which secrets or programs travel: https, or http to this machine only.
pub(super) fn guarded_url(text: &str) -> Result<(), UrlFault> {
    let uri = url(text, &["https", "http"])?;
    let plain = uri.scheme_str() == Some("http");
    if plain && !uri.host().is_some_and(is_loopback_host) { Err(UrlFault::Plain) } else { Ok(()) }
}

fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// True for an exact browser origin as browsers send it: `scheme://host[:port]`, lower case, nothing after it.
pub(super) fn is_origin(text: &str) -> bool {
    let Ok(uri) = url(text, &["https", "http"]) else {
        return false;
    };
    let exact = uri.scheme_str().zip(uri.authority()).map(|(scheme, authority)| format!("{scheme}://{authority}"));
    exact.as_deref() == Some(text) && uri.authority().is_some_and(|a| is_host_and_port(a.as_str()))
}

/// True for `host` or `host:port`; the host is a lower-case DNS name, an IPv4 address or an IPv6 address in brackets.
pub(super) fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let port_fits = port.is_none_or(|p| !p.starts_with(['0', '+']) && p.parse::<u16>().is_ok());
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    port_fits && bracketed.map_or_else(|| is_dns_name(host), |ip| ip.parse::<Ipv6Addr>().is_ok())
}

fn is_dns_name(host: &str) -> bool {
    let label = |l: &str| {
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=63).contains(&l.len()) && l.bytes().all(inside) && !l.starts_with('-') && !l.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// True for 1 to 63 letters, digits, `-` and `_`, beginning with a letter or digit: safe in a NATS subject and key.
pub(super) fn is_name(text: &str, upper_case: bool) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || (upper_case && b.is_ascii_uppercase());
    (1..=63).contains(&text.len()) && text.bytes().next().is_some_and(plain) && text.bytes().all(|b| plain(b) || b == b'-' || b == b'_')
}

/// True for a name that a variable of the environment can have in a shell.
pub(super) fn is_variable(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit()) && !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// True for an exact version such as `1.9.8` or `1.10.0-rc1`.
pub(super) fn is_version(text: &str) -> bool {
    let (numbers, pre) = text.split_once('-').map_or((text, None), |(n, p)| (n, Some(p)));
    let parts: Vec<_> = numbers.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
        && pre.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_apart() {
        let table = [
            ("https://a.example", Ok(())),
            ("https://a.example:8443/x?y", Ok(())),
            ("http://localhost:9", Ok(())),
            ("http://127.0.0.1:9/x", Ok(())),
            ("http://[::1]:9", Ok(())),
            ("http://a.example", Err(UrlFault::Plain)),
            ("http://127.0.0.1.evil.example", Err(UrlFault::Plain)),
            ("https://u:p@a.example", Err(UrlFault::Credentials)),
            ("https://u@a.example", Err(UrlFault::Credentials)),
            ("ftp://a.example", Err(UrlFault::Shape)),
            ("a.example", Err(UrlFault::Shape)),
            ("https://", Err(UrlFault::Shape)),
            ("", Err(UrlFault::Shape)),
        ];
        for (text, expected) in table {
            assert_eq!(guarded_url(text), expected, "{text}");
        }
    }

    #[test]
    fn hosts_are_exact() {
        let good = ["github.com", "a", "a.b-c.d:22", "127.0.0.1:8443", "[::1]", "[fd00::1]:65535"];
        let bad = [
            "",
            ":22",
            "a:",
            "a:0",
            "a:022",
            "a:+22",
            "a:65536",
            "a:b",
            "-a.b",
            "a-.b",
            "a..b",
            "A.b",
            "a b",
            "a/b",
            "u@a",
            "*.a",
            "[::1",
            "::1",
            "[x]",
            "a_b",
            "https://a",
        ];
        for text in good {
            assert!(is_host_and_port(text), "{text}");
        }
        for text in bad {
            assert!(!is_host_and_port(text), "{text}");
        }
    }

    #[test]
    fn origins_are_exact() {
        let good = ["https://a.example", "http://localhost:5173", "https://[::1]:8443"];
        let bad = ["*", "null", "https://a.example/", "https://A.example", "https://a.example#x", "a.example", "https://u@a"];
        for text in good {
            assert!(is_origin(text), "{text}");
        }
        for text in bad {
            assert!(!is_origin(text), "{text}");
        }
    }

    #[test]
    fn versions_are_exact() {
        for (text, expected) in
            [("1.9.8", true), ("1.10.0-rc1", true), ("1.9", false), ("v1.9.8", false), ("1.9.x", false), ("1.9.8-", false)]
        {
            assert_eq!(is_version(text), expected, "{text}");
        }
    }
}
