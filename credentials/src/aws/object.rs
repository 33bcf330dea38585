//! One object of S3, as a stream that never brings more than it may.

use super::sign::{Signing, sign};
use super::{Aws, keys};
use crate::error::{Cause, CredentialError};
use crate::http::{Trouble, patiently, send, unreachable};
use bytes::Bytes;
use reqwest::{Response, StatusCode};
use std::time::SystemTime;
use url::Url;

/// An object that is being downloaded.
#[derive(Debug)]
pub struct Download {
    location: String,
    response: Response,
    /// How many bytes may still come.
    left: u64,
    max_bytes: u64,
}

impl Download {
    /// The next part, or nothing at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, CredentialError> {
        let chunk = self.response.chunk().await.map_err(|error| unreachable(error).at(&self.location))?;
        let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        self.left = self.left.checked_sub(bytes).ok_or_else(|| too_large(self.max_bytes).at(&self.location))?;
        Ok(chunk)
    }

    /// The size that was announced, in bytes.
    pub fn announced_bytes(&self) -> Option<u64> {
        self.response.content_length()
    }
}

impl Aws {
    pub(crate) async fn get_object(&self, bucket: &str, key: &str, max_bytes: u64) -> Result<Download, Cause> {
        let url = object_url(&self.s3.address, bucket, key)?;
        let response = patiently(self.pause, || self.get_object_once(&url)).await?;
        if response.content_length().is_some_and(|bytes| bytes > max_bytes) {
            return Err(too_large(max_bytes));
        }
        Ok(Download { location: format!("s3://{bucket}/{key}"), response, left: max_bytes, max_bytes })
    }

    async fn get_object_once(&self, url: &Url) -> Result<Response, Trouble> {
        let request = self.s3.client.get(url.clone()).build();
        let mut request = request.map_err(|_| Trouble::Final(Cause::malformed("the request cannot be made")))?;
        let keys = keys::load(&self.keys, self.environment).map_err(Trouble::Final)?;
        let signing = Signing { keys: &keys, region: &self.region, service: self.s3.name, at: SystemTime::now() };
        sign(&mut request, &signing).map_err(Trouble::Final)?;
        let response = send(reqwest::RequestBuilder::from_parts(self.s3.client.clone(), request)).await?;
        Err(Trouble::Final(match response.status() {
            StatusCode::OK => return Ok(response),
            StatusCode::NOT_FOUND => Cause::NotFound("there is no such bucket or object".to_owned()),
            // Also for what does not exist, when the keys may not list the bucket.
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
                Cause::denied("S3 refuses the keys in use, or there is no such object: check name, policy and the clock")
            }
            status => Cause::malformed(format!("S3 answered {status}: check bucket and region")),
        }))
    }
}

fn too_large(max_bytes: u64) -> Cause {
    Cause::malformed(format!("the object is larger than {max_bytes} bytes"))
}

/// The address of an object, the bucket as the first part of the path.
fn object_url(address: &Url, bucket: &str, key: &str) -> Result<Url, Cause> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(plain) || bucket.contains("..") {
        return Err(Cause::malformed("a bucket has 3 to 63 lower-case letters, digits, `-` and `.`"));
    }
    // Such parts would be taken out of the address, and another object asked for.
    if key.is_empty() || key.len() > 1024 || key.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(Cause::malformed("a key has 1 to 1024 bytes and no parts `.` or `..`"));
    }
    let text = format!("{}/{bucket}/{}", address.as_str().trim_end_matches('/'), encoded(key));
    Url::parse(&text).map_err(|_| Cause::malformed("the key makes no address"))
}

/// Percent-encoded as signatures want it: everything but letters, digits and `-._~/`.
fn encoded(key: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a string takes everything");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_one_address_and_tricks_have_none() {
        let address = Url::parse("https://s3.eu-west-1.amazonaws.com").unwrap();
        let url = |bucket, key| object_url(&address, bucket, key).map(String::from).ok();
        assert_eq!(url("my-bucket", "a/b c+ü%.zip").unwrap(), "https://s3.eu-west-1.amazonaws.com/my-bucket/a/b%20c%2B%C3%BC%25.zip");
        for (bucket, key) in
            [("b", "k"), ("Bucket", "k"), ("a/b", "k"), ("a..b", "k"), ("abc", ""), ("abc", "a/../b"), ("abc", "."), ("a?b", "k")]
        {
            assert_eq!(url(bucket, key), None, "{bucket} {key}");
        }
        assert_eq!(url("abc", "?x#y").unwrap(), "https://s3.eu-west-1.amazonaws.com/abc/%3Fx%23y");
        assert_eq!(url("abc", "%2e%2e/x").unwrap(), "https://s3.eu-west-1.amazonaws.com/abc/%252e%252e/x");
    }
}
