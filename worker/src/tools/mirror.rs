//! A release mirror: which addresses a release has, and how its files are fetched.
//!
//! https only, to the mirror and to wherever it redirects; plain http only to and from a mirror on this machine. Every
//! file has a size limit. Whether to believe what came is not decided here (see `signature` and `release`).

use futures_util::StreamExt as _;
use proto::{address::is_loopback, terraform::Tool};
use reqwest::redirect::Policy;
use semver::Version;
use std::path::Path;
use std::time::Duration;
use url::Url;

const TERRAFORM_RELEASES: &str = "https://releases.hashicorp.com";
const TOFU_RELEASES: &str = "https://github.com/opentofu/opentofu/releases/download";

/// How long a connection may take to be made, and how long it may then be silent.
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 5;

/// The names of one release's files.
#[derive(Debug, Clone)]
pub(super) struct Release {
    folder: String,
    /// The archive, as it is also called in the sums.
    pub(super) archive: String,
    pub(super) sums: String,
    pub(super) signature: String,
}

impl Release {
    /// For this machine's system and processor.
    pub(super) fn new(tool: Tool, version: &Version) -> Self {
        let os = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
        let processor = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            other => other,
        };
        let sums = format!("{tool}_{version}_SHA256SUMS");
        let (folder, ending) = match tool {
            Tool::Terraform => (format!("terraform/{version}"), "sig"),
            Tool::Tofu => (format!("v{version}"), "gpgsig"),
        };
        Self { folder, archive: format!("{tool}_{version}_{os}_{processor}.zip"), signature: format!("{sums}.{ending}"), sums }
    }
}

/// One mirror and the way to it.
#[derive(Debug, Clone)]
pub(super) struct Mirror {
    address: String,
    client: reqwest::Client,
}

impl Mirror {
    /// `address` is the part before `/terraform/1.11.4/…` or `/v1.11.1/…`; absent means the maker's own.
    pub(super) fn new(tool: Tool, address: Option<&str>) -> Result<Self, String> {
        let address = address.unwrap_or(match tool {
            Tool::Terraform => TERRAFORM_RELEASES,
            Tool::Tofu => TOFU_RELEASES,
        });
        let url = Url::parse(address).map_err(|error| format!("the mirror's address `{address}` is not valid: {error}"))?;
        let local = is_loopback(&url);
        if url.scheme() != "https" && !(local && url.scheme() == "http") {
            return Err(format!("the mirror's address `{address}` must begin with https:// (http:// only on this machine)"));
        }
        let policy = Policy::custom(move |attempt| {
            let next = attempt.url();
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if next.scheme() == "https" || (local && next.scheme() == "http" && is_loopback(next)) {
                attempt.follow()
            } else {
                attempt.error("the mirror redirects to an address without https")
            }
        });
        let builder = reqwest::Client::builder().redirect(policy).connect_timeout(PATIENCE).read_timeout(PATIENCE);
        let builder = if local { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| format!("no HTTP client: {}", chain(&error)))?;
        Ok(Self { address: address.trim_end_matches('/').to_owned(), client })
    }

    /// A small file, held in memory.
    pub(super) async fn text(&self, release: &Release, name: &str, limit: u64) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        self.fetch(release, name, limit, &mut text).await?;
        Ok(text)
    }

    /// A large file, written to `path`, which must not be there yet.
    pub(super) async fn file(&self, release: &Release, name: &str, limit: u64, path: &Path) -> Result<(), String> {
        let unwritable = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
        let mut file = std::fs::File::create_new(path).map_err(unwritable)?;
        self.fetch(release, name, limit, &mut file).await?;
        file.sync_all().map_err(unwritable)
    }

    async fn fetch(&self, release: &Release, name: &str, limit: u64, out: &mut (impl std::io::Write + Send)) -> Result<(), String> {
        let url = format!("{}/{}/{name}", self.address, release.folder);
        let response = self.client.get(&url).send().await.map_err(|error| format!("{url}: {}", chain(&error)))?;
        if !response.status().is_success() {
            return Err(format!("{url} answered {}", response.status()));
        }
        let (mut chunks, mut total) = (response.bytes_stream(), 0_u64);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| format!("{url}: {}", chain(&error)))?;
            total += chunk.len() as u64;
            if total > limit {
                return Err(format!("{url} is larger than {limit} bytes"));
            }
            out.write_all(&chunk).map_err(|error| format!("cannot store {url}: {error}"))?;
        }
        Ok(())
    }
}

/// An error and what it came from: reqwest's own text stops at "error sending request".
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(one) = source {
        text = format!("{text}: {one}");
        source = one.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_their_makers_names() {
        let version = Version::new(1, 11, 4);
        let terraform = Release::new(Tool::Terraform, &version);
        assert_eq!(terraform.folder, "terraform/1.11.4");
        assert!(terraform.archive.starts_with("terraform_1.11.4_linux_"), "{}", terraform.archive);
        assert_eq!(terraform.signature, "terraform_1.11.4_SHA256SUMS.sig");
        let tofu = Release::new(Tool::Tofu, &version);
        assert_eq!((tofu.folder.as_str(), tofu.signature.as_str()), ("v1.11.4", "tofu_1.11.4_SHA256SUMS.gpgsig"));
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for (address, good) in [
            (None, true),
            (Some("https://mirror.example/x/"), true),
            (Some("http://127.0.0.1:8080"), true),
            (Some("http://[::1]:8080"), true),
            (Some("http://mirror.example"), false),
            (Some("http://127.0.0.1.example"), false),
            (Some("file:///srv"), false),
            (Some("mirror.example"), false),
        ] {
            assert_eq!(Mirror::new(Tool::Terraform, address).is_ok(), good, "{address:?}");
        }
    }
}
