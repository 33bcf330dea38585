//! Where the end of a run is told: an address that whoever submitted the run gave. It may be its own permission (a presigned
//! URL), so it travels and stands sealed, with a key that only gateways have.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bus::{BlobKey, SealError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use proto::Secret;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use url::Url;

/// Longest address, in bytes. Presigned ones have a few hundred.
const MAX_BYTES: usize = 4096;

/// How the end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    /// A signed webhook.
    Post,
    /// The done marker, put to an address that is its own permission.
    Put,
}

/// A valid callback.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Callback {
    pub(crate) method: Method,
    pub(crate) url: Url,
}

/// Why an address is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadCallback {
    #[error("is no address of at most {MAX_BYTES} bytes, such as https://host/path")]
    NoAddress,
    #[error("must be https; http is for loopback addresses only")]
    NotHttps,
    #[error("must not hold a user name or password")]
    Credentials,
    #[error("leads to `{0}`, which is not among the hosts that the operator allows (gateway.callback_hosts)")]
    HostNotAllowed(String),
}

impl Callback {
    /// The callback of an address, if it may be called. `hosts` are `host` or `host:port`, exact; none means no callbacks.
    pub(crate) fn parse(method: Method, address: &str, hosts: &[String]) -> Result<Self, BadCallback> {
        if address.len() > MAX_BYTES {
            return Err(BadCallback::NoAddress);
        }
        let url = Url::parse(address).map_err(|_| BadCallback::NoAddress)?;
        let host = url.host_str().ok_or(BadCallback::NoAddress)?.to_ascii_lowercase();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadCallback::Credentials);
        }
        let loopback = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(BadCallback::NotHttps),
            _ => return Err(BadCallback::NoAddress),
        }
        let with_port = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        if !hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&with_port)) {
            return Err(BadCallback::HostNotAllowed(with_port));
        }
        Ok(Self { method, url })
    }

    /// Whether it may still be called: an operator may have changed the list meanwhile.
    pub(crate) fn is_allowed(&self, hosts: &[String]) -> bool {
        Self::parse(self.method, self.url.as_str(), hosts).is_ok()
    }

    /// Where to, without what could be a secret.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callback({:?} {})", self.method, self.host())
    }
}

/// Seals callbacks, and opens them again, here or in another gateway of the same administrator's token.
pub(crate) struct Sealer {
    key: Secret,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

const KEY_OF_WHAT: &[u8] = b"navvy callbacks v1";

impl Sealer {
    /// From what only gateways know.
    pub(crate) fn new(secret: &Secret) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
        mac.update(KEY_OF_WHAT);
        Self { key: Secret::new(hex::encode(mac.finalize().into_bytes())) }
    }

    /// The sealed text.
    pub(crate) fn seal(&self, callback: &Callback) -> Result<String, SealError> {
        let plain = serde_json::to_vec(callback).map_err(|_| SealError::Failed)?;
        Ok(STANDARD.encode(BlobKey::from_hex(&self.key)?.seal("callback", &plain)?))
    }

    /// The callback in a sealed text.
    pub(crate) fn open(&self, sealed: &str) -> Result<Callback, SealError> {
        let sealed = STANDARD.decode(sealed).map_err(|_| SealError::Failed)?;
        let plain = BlobKey::from_hex(&self.key)?.open("callback", &sealed)?;
        serde_json::from_slice(&plain).map_err(|_| SealError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_the_operator_allows_are_called() {
        let hosts = ["hooks.example".to_owned(), "localhost:9000".to_owned(), "ci.example:8443".to_owned()];
        for (address, expected) in [
            ("https://hooks.example/x?sig=1", None),
            ("https://HOOKS.example:443/x", None),
            ("https://ci.example:8443/", None),
            ("http://localhost:9000/x", None),
            ("http://hooks.example/x", Some(BadCallback::NotHttps)),
            ("https://ci.example/", Some(BadCallback::HostNotAllowed("ci.example".to_owned()))),
            ("https://hooks.example.evil.example/", Some(BadCallback::HostNotAllowed("hooks.example.evil.example".to_owned()))),
            ("https://hooks.example:444/", Some(BadCallback::HostNotAllowed("hooks.example:444".to_owned()))),
            ("https://169.254.169.254/latest", Some(BadCallback::HostNotAllowed("169.254.169.254".to_owned()))),
            ("https://a:b@hooks.example/", Some(BadCallback::Credentials)),
            ("https://hooks.example@evil.example/", Some(BadCallback::Credentials)),
            ("file:///etc/passwd", Some(BadCallback::NoAddress)),
            ("gopher://hooks.example/", Some(BadCallback::NoAddress)),
            ("hooks.example", Some(BadCallback::NoAddress)),
            ("", Some(BadCallback::NoAddress)),
        ] {
            assert_eq!(Callback::parse(Method::Post, address, &hosts).err(), expected, "{address}");
        }
        assert!(Callback::parse(Method::Post, "https://hooks.example/", &[]).is_err(), "none are allowed by default");
    }

    #[test]
    fn a_sealed_callback_shows_nothing_and_is_opened_by_gateways_of_the_same_secret_only() {
        let callback = Callback { method: Method::Put, url: Url::parse("https://s3.example/done?X-Signature=canary").unwrap() };
        let sealer = Sealer::new(&Secret::new("a"));
        let sealed = sealer.seal(&callback).unwrap();
        assert!(!sealed.contains("canary") && !format!("{callback:?}").contains("canary"));
        assert_eq!(sealer.open(&sealed).unwrap(), callback);
        assert!(Sealer::new(&Secret::new("b")).open(&sealed).is_err());
        for bad in ["", "%", "AAAA"] {
            assert!(sealer.open(bad).is_err(), "{bad}");
        }
    }
}
