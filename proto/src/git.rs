//! Where code comes from: addresses, references and commits that are safe to hand to git, and the list of hosts that may
//! be reached. Pure text rules; resolving names and checking addresses is the worker's part.

use crate::ids::shorten;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use url::Url;

/// Why an address, a reference or a host is refused. Shown to the user as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGit {
    #[error("`{0}` is not a git address: use https://HOST/PATH, http://HOST/PATH, ssh://[USER@]HOST/PATH or USER@HOST:PATH")]
    Url(String),
    #[error("the scheme `{0}` is not allowed: use https, http or ssh")]
    Scheme(String),
    #[error("the address carries a user or password: put credentials into git_auth")]
    Credentials,
    #[error("`{0}` is not a git reference: use a branch, a tag or a commit")]
    Ref(String),
    #[error("`{0}` is not a full commit id: 40 or 64 hexadecimal digits")]
    Commit(String),
    #[error("`{0}` is not HOST or HOST:PORT")]
    AllowedHost(String),
    #[error("the host `{0}` is not on the list of allowed git hosts: an operator adds it with git.allowed_hosts or --allow-git-host {0}")]
    HostNotAllowed(String),
    #[error("`{0}` is an address inside this network: an operator must list it by name in git.allowed_hosts or --allow-git-host")]
    PrivateHost(String),
}

/// How a git server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
    Ssh,
}

/// A git address without credentials in it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GitUrl {
    text: String,
    scheme: Scheme,
    user: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
}

impl GitUrl {
    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How the server is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host name or address, lower case, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, when the address names one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port that is connected to.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
            Scheme::Ssh => 22,
        })
    }

    /// The login of an ssh address.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The path on the server, starting with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// One spelling for all addresses of the same repository: the lock domain, and the first part of a lock key.
    /// `https://Git.example/Acme/Infra.git/` and `git@git.example:Acme/Infra` are the same repository.
    pub fn canonical(&self) -> String {
        // `%69nfra` and `//infra` lead a server to the same place as `infra`.
        let decoded = percent_decoded(&self.path);
        let path = decoded.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let path = path.strip_suffix(".git").unwrap_or(&path);
        let default = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
            Scheme::Ssh => 22,
        };
        match self.port {
            Some(port) if port != default => format!("{}:{port}/{path}", self.host),
            _ => format!("{}/{path}", self.host),
        }
    }
}

impl std::str::FromStr for GitUrl {
    type Err = BadGit;
    fn from_str(text: &str) -> Result<Self, BadGit> {
        let bad = || BadGit::Url(shorten(text));
        if text.len() > 2048 || text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') || text.starts_with('-') {
            return Err(bad());
        }
        // `ext::sh -c …` and friends: git's remote helpers run programs.
        if text.contains("::") && !text.contains("://[") {
            return Err(BadGit::Scheme(shorten(text.split("::").next().unwrap_or(text))));
        }
        if text.contains("://") { Self::from_full(text) } else { Self::from_scp(text).ok_or_else(bad) }
    }
}

impl GitUrl {
    fn from_full(text: &str) -> Result<Self, BadGit> {
        let bad = || BadGit::Url(shorten(text));
        let url = Url::parse(text).map_err(|_| bad())?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ssh" => Scheme::Ssh,
            other => return Err(BadGit::Scheme(shorten(other))),
        };
        if url.password().is_some() || (scheme != Scheme::Ssh && !url.username().is_empty()) {
            return Err(BadGit::Credentials);
        }
        let host = url.host_str().ok_or_else(bad)?.trim_matches(['[', ']']).to_ascii_lowercase();
        // WHATWG parsing leaves ssh hosts as they are; hold them to what a host name may be.
        if !is_host(&host) || url.query().is_some() || url.fragment().is_some() || url.path().trim_matches('/').is_empty() {
            return Err(bad());
        }
        let user = (!url.username().is_empty()).then(|| url.username().to_owned());
        if user.as_deref().is_some_and(|user| !is_login(user)) {
            return Err(bad());
        }
        Ok(Self { text: text.to_owned(), scheme, user, host, port: url.port(), path: url.path().to_owned() })
    }

    /// `user@host:path`, as ssh users write it.
    fn from_scp(text: &str) -> Option<Self> {
        let (login, path) = text.split_once(':')?;
        let (user, host) = login.split_once('@')?;
        let host = host.to_ascii_lowercase();
        let path = format!("/{}", path.trim_start_matches('/'));
        (is_login(user) && is_host(&host) && path.len() > 1).then(|| Self {
            text: text.to_owned(),
            scheme: Scheme::Ssh,
            user: Some(user.to_owned()),
            host,
            port: None,
            path,
        })
    }
}

/// The text behind `%XX`; what is no such thing stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 253
        && !host.starts_with(['-', '.'])
        && (host.parse::<IpAddr>().is_ok() || host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')))
}

fn is_login(user: &str) -> bool {
    !user.is_empty() && user.len() <= 64 && !user.starts_with('-') && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

impl fmt::Debug for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl TryFrom<String> for GitUrl {
    type Error = BadGit;
    fn try_from(text: String) -> Result<Self, BadGit> {
        text.parse()
    }
}

impl From<GitUrl> for String {
    fn from(url: GitUrl) -> Self {
        url.text
    }
}

/// A branch, a tag, a full reference name, or a full or short commit id, as a person wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GitRef(String);

impl GitRef {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The commit, when the text is a full commit id.
    pub fn full_commit(&self) -> Option<CommitId> {
        self.0.parse().ok()
    }

    /// Whether the text may be a shortened commit id: 7 to 39 hexadecimal digits.
    pub fn may_be_short_commit(&self) -> bool {
        (7..40).contains(&self.0.len()) && self.0.bytes().all(|b| b.is_ascii_hexdigit())
    }
}

impl std::str::FromStr for GitRef {
    type Err = BadGit;
    /// The rules of git-check-ref-format(1), and no leading `-`: a reference must never look like an option.
    fn from_str(text: &str) -> Result<Self, BadGit> {
        let bad_char = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
        let bad_part = |part: &str| part.is_empty() || part.starts_with(['.', '-']) || part.strip_suffix(".lock").is_some();
        let bad = text.is_empty()
            || text.len() > 512
            || text == "@"
            || text.ends_with('.')
            || text.contains("..")
            || text.contains("@{")
            || text.chars().any(bad_char)
            || text.split('/').any(bad_part);
        if bad { Err(BadGit::Ref(shorten(text))) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for GitRef {
    type Error = BadGit;
    fn try_from(text: String) -> Result<Self, BadGit> {
        text.parse()
    }
}

impl From<GitRef> for String {
    fn from(reference: GitRef) -> Self {
        reference.0
    }
}

/// A full commit id: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits. What every attempt uses.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

impl CommitId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for CommitId {
    type Err = BadGit;
    fn from_str(text: &str) -> Result<Self, BadGit> {
        if matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(BadGit::Commit(shorten(text)))
        }
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for CommitId {
    type Error = BadGit;
    fn try_from(text: String) -> Result<Self, BadGit> {
        text.parse()
    }
}

impl From<CommitId> for String {
    fn from(commit: CommitId) -> Self {
        commit.0
    }
}

/// The git hosts that may be reached. Empty means none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowedHosts(Vec<(String, Option<u16>)>);

impl AllowedHosts {
    /// From `HOST` (the scheme's default port) or `HOST:PORT` entries; IPv6 in brackets.
    pub fn parse<I: IntoIterator<Item = S>, S: AsRef<str>>(entries: I) -> Result<Self, BadGit> {
        entries.into_iter().map(|entry| Self::entry(entry.as_ref().trim())).collect::<Result<_, _>>().map(Self)
    }

    fn entry(text: &str) -> Result<(String, Option<u16>), BadGit> {
        let bad = || BadGit::AllowedHost(shorten(text));
        let lower = text.to_ascii_lowercase();
        if let Some(rest) = lower.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or_else(bad)?;
            let port = port.strip_prefix(':').map(|p| p.parse().map_err(|_| bad())).transpose()?;
            return if host.parse::<IpAddr>().is_ok() { Ok((host.to_owned(), port)) } else { Err(bad()) };
        }
        let (host, port) = match lower.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| bad())?)),
            None => (lower.as_str(), None),
        };
        if is_host(host) { Ok((host.to_owned(), port)) } else { Err(bad()) }
    }

    /// Whether the address's host and port are listed. An entry without a port stands for the scheme's default port.
    pub fn permits(&self, url: &GitUrl) -> Result<(), BadGit> {
        let port = url.port_or_default();
        let listed =
            self.0.iter().any(|(host, listed)| host == url.host() && listed.map_or(url.port().is_none() || is_default(url), |p| p == port));
        if listed {
            return Ok(());
        }
        // As it would be written in the list.
        let host = if url.host().contains(':') { format!("[{}]", url.host()) } else { url.host().to_owned() };
        let shown = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        if url.host().parse().is_ok_and(is_inside) || url.host() == "localhost" || url.host().ends_with(".localhost") {
            Err(BadGit::PrivateHost(shown))
        } else {
            Err(BadGit::HostNotAllowed(shown))
        }
    }
}

fn is_default(url: &GitUrl) -> bool {
    let default = match url.scheme() {
        Scheme::Http => 80,
        Scheme::Https => 443,
        Scheme::Ssh => 22,
    };
    url.port_or_default() == default
}

/// Whether an address is not a public one: loopback, private, link-local (the cloud metadata services), shared,
/// unspecified, multicast, documentation, and the IPv6 forms that carry such an IPv4 address.
pub fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4() {
                return is_inside(IpAddr::V4(v4));
            }
            let segments = v6.segments();
            let [.., g, h] = segments;
            let embedded = IpAddr::V4(std::net::Ipv4Addr::from((u32::from(g) << 16) | u32::from(h)));
            let nat64 = segments[0] == 0x64 && segments[1] == 0xff9b;
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || (segments[0] & 0xfe00) == 0xfc00
                || (segments[0] & 0xffc0) == 0xfe80
                || (nat64 && is_inside(embedded))
                || segments[0] == 0x2002
        }
    }
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
