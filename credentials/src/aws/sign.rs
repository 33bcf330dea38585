//! Signature Version 4 on a request that is about to be sent. The arithmetic is in `aws-sigv4`, a part of Amazon's SDK.

use super::Keys;
use crate::error::Cause;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign as signed,
};
use aws_sigv4::sign::v4::SigningParams;
use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use std::time::SystemTime;

/// For whom and when a request is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signing<'a> {
    pub keys: &'a Keys,
    pub region: &'a str,
    /// As signatures name it: `ssm`, `secretsmanager`, `s3`.
    pub service: &'a str,
    pub at: SystemTime,
}

/// Adds the headers that sign a request: its method, address, headers and body, which must be in memory.
pub fn sign(request: &mut Request, signing: &Signing<'_>) -> Result<(), Cause> {
    let refused = |what: &str| Cause::malformed(format!("the request cannot be signed: {what}"));
    let Keys { access_key_id, secret_access_key, session_token } = signing.keys;
    let session = session_token.as_ref().map(|token| token.expose().to_owned());
    let identity = Credentials::new(access_key_id, secret_access_key.expose(), session, None, "navvy").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(signing.region)
        .name(signing.service)
        .time(signing.at)
        .settings(settings(signing.service))
        .build()
        .map_err(|_| refused("something is missing"))?
        .into();
    let body = match request.body() {
        None => &[],
        Some(body) => body.as_bytes().ok_or_else(|| refused("its body is a stream"))?,
    };
    let mut headers = Vec::new();
    for (name, value) in request.headers() {
        headers.push((name.as_str(), value.to_str().map_err(|_| refused("a header is no text"))?));
    }
    let signable = SignableRequest::new(request.method().as_str(), request.url().as_str(), headers.into_iter(), SignableBody::Bytes(body))
        .map_err(|error| refused(&error.to_string()))?;
    let (instructions, _) = signed(signable, &params).map_err(|error| refused(&error.to_string()))?.into_parts();
    for (name, value) in instructions.headers() {
        let name = HeaderName::try_from(name).map_err(|_| refused("a header has no name"))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| refused("a key holds characters that no key has"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(())
}

/// S3 takes paths as they are sent and wants the digest of the body as a header; all others take paths encoded once more.
fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
