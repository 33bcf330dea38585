//! HashiCorp Vault and OpenBao: version 2 of the key-value engine, by its HTTP API. The first segment of a path is the
//! mount, `#field` picks one entry.

use crate::access::{VaultAccess, VaultLogin};
use crate::document::Node;
use crate::error::Cause;
use crate::http::{Answer, Pause, ask, client, patiently};
use crate::session::{Origin, Session};
use crate::variables::{Variables, of_object, shown};
use proto::Secret;
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use std::path::Path;
use std::time::Duration;
use url::Url;

/// One Vault.
#[derive(Debug)]
pub(crate) struct Vault {
    access: VaultAccess,
    client: Client,
    pause: Pause,
    session: Session,
}

impl Vault {
    pub(crate) fn new(access: &VaultAccess, pause: Pause) -> Result<Self, String> {
        let trusted = access.ca_file.as_deref().map(certificates).transpose()?.unwrap_or_default();
        let client = client(&access.address, trusted)?;
        Ok(Self { access: access.clone(), client, pause, session: Session::default() })
    }

    /// The entries of a secret, or the one that is picked.
    pub(crate) async fn read(&self, path: &str) -> Result<Variables, Cause> {
        let (path, field) = path.split_once('#').map_or((path, None), |(path, field)| (path, Some(field)));
        let answer = self.get(&self.data_url(path)?).await?;
        let document = Node::parse(&answer.body).map_err(|text| Cause::malformed(format!("Vault's answer is {text}")))?;
        let entries = document.get("data").and_then(|data| data.get("data"));
        let entries = entries.ok_or_else(|| Cause::malformed("Vault's answer has no data.data: is the mount of version 2?"))?;
        match field {
            None => of_object(entries),
            Some(field) => {
                let value = entries.get(field).ok_or_else(|| Cause::NotFound(format!("the secret has no entry `{}`", shown(field))))?;
                of_object(&Node::Branch(vec![(field.to_owned(), value.clone())]))
            }
        }
    }

    async fn get(&self, url: &Url) -> Result<Answer, Cause> {
        understood(self.authorised(|| self.client.get(url.clone())).await?)
    }

    /// Asks with a token. A no to the path is told apart from a no to the token: only a token that has ended is worth a login,
    /// and one login is enough. Every other answer is the caller's.
    pub(crate) async fn authorised(&self, request: impl Fn() -> RequestBuilder) -> Result<Answer, Cause> {
        let (token, origin) = self.token().await?;
        let answer = self.ask_with(&token, &request).await?;
        if answer.status != StatusCode::FORBIDDEN {
            return Ok(answer);
        }
        match origin {
            Origin::Login => return Err(not_allowed()),
            Origin::Kept | Origin::File if self.is_alive(&token).await? => return Err(not_allowed()),
            Origin::File => return Ok(answer),
            Origin::Kept => self.forget(&token).await,
        }
        let (token, _) = self.token().await?;
        let answer = self.ask_with(&token, &request).await?;
        if answer.status == StatusCode::FORBIDDEN { Err(not_allowed()) } else { Ok(answer) }
    }

    pub(crate) async fn ask_with(&self, token: &Secret, request: &impl Fn() -> RequestBuilder) -> Result<Answer, Cause> {
        self.ask(|| self.request(request()).header("X-Vault-Token", token.expose())).await
    }

    pub(crate) fn request(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header("X-Vault-Request", "true");
        match &self.access.namespace {
            Some(namespace) => request.header("X-Vault-Namespace", namespace),
            None => request,
        }
    }

    pub(crate) async fn ask(&self, request: impl Fn() -> RequestBuilder) -> Result<Answer, Cause> {
        patiently(self.pause, || ask(request())).await
    }

    /// Where the entries of a secret are read and written.
    pub(crate) fn data_url(&self, path: &str) -> Result<Url, Cause> {
        let segments: Vec<&str> = path.split('/').collect();
        if segments.len() < 2 || segments.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return Err(Cause::malformed("write <mount>/<path>, without empty parts, `.` and `..`"));
        }
        Ok(self.url([&["v1", segments[0], "data"], &segments[1..]].concat().as_slice()))
    }

    pub(crate) fn login_with(&self) -> &VaultLogin {
        &self.access.login
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) async fn wait(&self, time: Duration) {
        (self.pause)(time).await;
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.access.address.clone();
        url.path_segments_mut().expect("an address with a host has a path").pop_if_empty().extend(segments);
        url
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let bad = |why: String| format!("the certificates of Vault in {} are unusable: {why}", path.display());
    let text = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&text).map_err(|error| bad(error.to_string()))?;
    if found.is_empty() { Err(bad("there is none in it".to_owned())) } else { Ok(found) }
}

/// A token that fits into a header.
pub(crate) fn usable(token: Secret) -> Result<Secret, Cause> {
    let fits = !token.is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(token) } else { Err(Cause::denied("the token for Vault is empty, or holds characters that no token has")) }
}

/// The token is good, and the path is not for it.
fn not_allowed() -> Cause {
    Cause::denied("the policies of this worker's token, which is good, do not allow the path: let a policy allow it, or correct the path")
}

pub(crate) fn understood(answer: Answer) -> Result<Answer, Cause> {
    match answer.status {
        StatusCode::OK => Ok(answer),
        StatusCode::NOT_FOUND => Err(Cause::NotFound("Vault has nothing there, or its latest version is deleted".to_owned())),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
            Err(Cause::denied("Vault refuses this worker's token: it is wrong or has ended; see to it that its file holds a good one"))
        }
        status => Err(Cause::malformed(format!("Vault answered {status}"))),
    }
}
