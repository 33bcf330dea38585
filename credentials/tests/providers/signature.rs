//! Signature Version 4 computed again from what arrived, by the written specification and with none of the code that
//! signed: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use crate::stand_in::Asked;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// What the signature of a request says, if it is right under this key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) key_id: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) headers: Vec<String>,
}

/// Checks the signature; the error says what is wrong with it.
pub(crate) fn verify(asked: &Asked, secret: &str) -> Result<Signed, String> {
    let authorization = asked.header("authorization").ok_or("not signed")?;
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("another algorithm")?;
    let field = |name: &str| fields.split(", ").find_map(|field| field.strip_prefix(name)).ok_or(format!("no {name}"));
    let (scope, headers, signature) = (field("Credential=")?, field("SignedHeaders=")?, field("Signature=")?);
    let [key_id, day, region, service, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else { return Err("bad scope".into()) };
    let time = asked.header("x-amz-date").ok_or("no time")?;
    if !time.starts_with(day) {
        return Err("the day of the scope is not that of the request".into());
    }
    let payload = hex::encode(Sha256::digest(&asked.body));
    if service == "s3" && asked.header("x-amz-content-sha256") != Some(&payload) {
        return Err("the digest of the body is wrong or missing".into());
    }
    let canonical = canonical_request(asked, headers, &payload)?;
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{day}/{region}/{service}/aws4_request\n{}", hex::encode(Sha256::digest(canonical)));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, service, "aws4_request", &to_sign] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    if hex::encode(key) != signature {
        return Err("the signature is wrong".into());
    }
    let headers = headers.split(';').map(str::to_owned).collect();
    Ok(Signed { key_id: key_id.into(), region: region.into(), service: service.into(), headers })
}

fn canonical_request(asked: &Asked, signed_headers: &str, payload: &str) -> Result<String, String> {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    assert!(query.is_empty(), "none of our requests has a query");
    let mut headers = String::new();
    for name in signed_headers.split(';') {
        let value = asked.header(name).ok_or(format!("the signed header {name} did not arrive"))?;
        headers.extend([name, ":", value.trim(), "\n"]);
    }
    // Our services but S3 have no path, so that there is nothing to encode once more.
    Ok(format!("{}\n{path}\n{query}\n{headers}\n{signed_headers}\n{payload}", asked.method))
}
