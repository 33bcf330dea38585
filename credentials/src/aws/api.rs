//! The two calls that fetch a secret text, in Amazon's JSON protocol 1.1.

use super::sign::{Signing, sign};
use super::{Aws, Service, keys};
use crate::document::Node;
use crate::error::Cause;
use crate::http::{Trouble, ask, patiently};
use crate::variables::{Variables, of_parameter, of_secret};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use std::time::SystemTime;

impl Aws {
    /// A parameter of Systems Manager, decrypted.
    pub(crate) async fn parameter(&self, path: &str) -> Result<Variables, Cause> {
        let answer = self.call(&self.ssm, "AmazonSSM.GetParameter", &json!({ "Name": path, "WithDecryption": true })).await?;
        let value = answer.get("Parameter").and_then(|parameter| parameter.get("Value")).and_then(Node::text);
        Ok(of_parameter(path, value.ok_or_else(|| Cause::malformed("the answer of AWS has no Parameter.Value"))?))
    }

    /// The current version of a secret of Secrets Manager.
    pub(crate) async fn secret(&self, path: &str) -> Result<Variables, Cause> {
        let answer = self.call(&self.secrets_manager, "secretsmanager.GetSecretValue", &json!({ "SecretId": path })).await?;
        let value = answer.get("SecretString").and_then(Node::text);
        Ok(of_secret(path, value.ok_or_else(|| Cause::malformed("the secret holds bytes: only SecretString is read"))?))
    }

    async fn call(&self, service: &Service, target: &str, body: &Value) -> Result<Node, Cause> {
        let answer = patiently(self.pause, || self.call_once(service, target, body)).await?;
        Node::parse(&answer).map_err(|text| Cause::malformed(format!("the answer of AWS is {text}")))
    }

    async fn call_once(&self, service: &Service, target: &str, body: &Value) -> Result<Vec<u8>, Trouble> {
        let request = service.client.post(service.address.clone()).header("x-amz-target", target).body(body.to_string());
        let request = request.header(CONTENT_TYPE, "application/x-amz-json-1.1").build();
        let mut request = request.map_err(|_| Trouble::Final(Cause::malformed("the request cannot be made")))?;
        let keys = keys::load(&self.keys, self.environment).map_err(Trouble::Final)?;
        // Signed anew for each try: a signature is good for some minutes only.
        let signing = Signing { keys: &keys, region: &self.region, service: service.name, at: SystemTime::now() };
        sign(&mut request, &signing).map_err(Trouble::Final)?;
        let answer = ask(reqwest::RequestBuilder::from_parts(service.client.clone(), request)).await?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(trouble(&kind(&answer.body), answer.status.as_u16())) }
    }
}

/// The kind of error that AWS names: `ParameterNotFound` of `com.amazonaws.ssm#ParameterNotFound`.
fn kind(body: &[u8]) -> String {
    let document = Node::parse(body).ok();
    let text = document.as_ref().and_then(|document| document.get("__type").or_else(|| document.get("code"))).and_then(Node::text);
    let name = text.unwrap_or_default().rsplit('#').next().unwrap_or_default();
    name.chars().take_while(char::is_ascii_alphanumeric).take(64).collect()
}

fn trouble(kind: &str, status: u16) -> Trouble {
    match (kind, status) {
        ("ThrottlingException" | "TooManyRequestsException" | "RequestLimitExceeded" | "ProvisionedThroughputExceededException", _) => {
            Trouble::Passing(Cause::Unreachable(format!("AWS is busy ({kind}) again and again; try later")))
        }
        ("ParameterNotFound" | "ParameterVersionNotFound" | "ResourceNotFoundException", _) => {
            Trouble::Final(Cause::NotFound("AWS has nothing of that name in this account and region".to_owned()))
        }
        (
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "DecryptionFailure"
            | "InvalidKeyId",
            _,
        )
        | (_, 401 | 403) => {
            Trouble::Final(Cause::denied(format!("AWS refuses the keys in use ({kind}): check them, their policy and the clock")))
        }
        ("", _) => Trouble::Final(Cause::malformed(format!("AWS answered {status}"))),
        _ => Trouble::Final(Cause::malformed(format!("AWS refuses the request ({kind}): check the spelling of the location"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_aws_are_known_by_their_kind() {
        for (body, status, expected) in [
            (r#"{"__type":"ParameterNotFound"}"#, 400, "final not found"),
            (r#"{"__type":"com.amazonaws.x#ResourceNotFoundException","Message":"m"}"#, 400, "final not found"),
            (r#"{"__type":"AccessDeniedException:http://x"}"#, 400, "final denied"),
            ("<html>", 403, "final denied"),
            (r#"{"__type":"ThrottlingException"}"#, 400, "passing unreachable"),
            (r#"{"__type":"ValidationException"}"#, 400, "final malformed"),
            ("<html>", 404, "final malformed"),
        ] {
            let (how, cause) = match trouble(&kind(body.as_bytes()), status) {
                Trouble::Final(cause) => ("final", cause),
                Trouble::Passing(cause) => ("passing", cause),
            };
            assert!(format!("{how} {cause}").starts_with(expected), "{body}: {how} {cause}");
        }
    }
}
