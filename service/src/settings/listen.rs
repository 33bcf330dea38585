//! An address to listen on: `IP:PORT`, or `localhost:PORT` for the loopback.
//!
//! Other host names are refused: which interface a name stands for is decided by DNS, and a service that must stay
//! on loopback may not depend on that.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A socket address to listen on. Derefs to [`SocketAddr`]. Port 0 lets the system choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(SocketAddr);

/// Why a text is no [`Listen`] address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no address to listen on: write IP:PORT, such as \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::]:8080\"")]
pub struct ListenError(String);

impl Listen {
    /// 127.0.0.1 at `port`.
    pub const fn loopback(port: u16) -> Self {
        Self(SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// True when nobody outside this machine can connect.
    pub fn is_loopback(&self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

impl Deref for Listen {
    type Target = SocketAddr;

    fn deref(&self) -> &SocketAddr {
        &self.0
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let refused = || ListenError(text.to_owned());
        if let Some(port) = text.strip_prefix("localhost:") {
            return port.parse().map(Self::loopback).map_err(|_| refused());
        }
        text.parse().map(Self).map_err(|_| refused())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_loopback_is_told_apart() {
        let table = [
            ("127.0.0.1:8080", Some(true)),
            ("localhost:0", Some(true)),
            ("[::1]:9", Some(true)),
            ("[::ffff:127.0.0.1]:80", Some(true)),
            ("0.0.0.0:8080", Some(false)),
            ("[::]:8080", Some(false)),
            ("192.168.1.4:8080", Some(false)),
            (":8080", None),
            ("8080", None),
            ("localhost", None),
            ("example.com:80", None),
            ("127.0.0.1:99999", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Listen>().ok().map(|l| l.is_loopback()), expected, "{text}");
        }
    }
}
