//! Amazon Web Services, as much as is needed: two calls that fetch a secret text and one that fetches an object, each
//! signed (Signature Version 4) by the code of Amazon's own SDK. The SDK's clients are not used: they are many times the
//! size of these three requests.

mod api;
mod keys;
mod object;
mod sign;

pub use keys::Keys;
pub use object::Download;
pub use sign::{Signing, sign};

use crate::access::{AwsAccess, AwsKeySource};
use crate::http::{Pause, client};
use reqwest::Client;
use url::Url;

/// One service at one address.
#[derive(Debug, Clone)]
struct Service {
    /// As signatures name it.
    name: &'static str,
    address: Url,
    client: Client,
}

impl Service {
    fn new(name: &'static str, region: &str, other: Option<&Url>) -> Result<Self, String> {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let usual = || Url::parse(&format!("https://{name}.{region}.{suffix}")).map_err(|_| format!("`{region}` is no region of AWS"));
        let address = other.cloned().map_or_else(usual, Ok)?;
        let client = client(&address, Vec::new())?;
        Ok(Self { name, address, client })
    }
}

/// AWS as a worker knows it.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    region: String,
    keys: AwsKeySource,
    environment: fn(&str) -> Option<String>,
    pause: Pause,
    ssm: Service,
    secrets_manager: Service,
    s3: Service,
}

impl Aws {
    pub(crate) fn new(access: &AwsAccess, environment: fn(&str) -> Option<String>, pause: Pause) -> Result<Self, String> {
        let region = &access.region;
        // It becomes part of a host's name.
        if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err("the region of AWS is missing or is none: write one such as eu-west-1".to_owned());
        }
        Ok(Self {
            region: region.clone(),
            keys: access.keys.clone(),
            environment,
            pause,
            ssm: Service::new("ssm", region, access.endpoints.ssm.as_ref())?,
            secrets_manager: Service::new("secretsmanager", region, access.endpoints.secrets_manager.as_ref())?,
            s3: Service::new("s3", region, access.endpoints.s3.as_ref())?,
        })
    }

    pub(crate) fn with_keys(self, keys: AwsKeySource) -> Self {
        Self { keys, ..self }
    }
}
