//! Against signatures that Amazon published: of its test suite for signers, of the guide to IAM and of the guide to S3.

use super::*;
use proto::Secret;
use reqwest::Method;
use std::time::Duration;
use url::Url;

/// 2015-08-30T12:36:00Z, of the test suite and the IAM guide.
const SUITE: u64 = 1_440_938_160;
/// 2013-05-24T00:00:00Z, of the S3 guide.
const S3_GUIDE: u64 = 1_369_353_600;

fn authorization(keys: &Keys, (service, at): (&str, u64), method: Method, url: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut request = Request::new(method, Url::parse(url).unwrap());
    for (name, value) in headers {
        request.headers_mut().insert(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    if !body.is_empty() {
        *request.body_mut() = Some(body.to_owned().into());
    }
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
    sign(&mut request, &Signing { keys, region: "us-east-1", service, at }).unwrap();
    request.headers()["authorization"].to_str().unwrap().to_owned()
}

fn keys(id: &str, key: &str, session: Option<&str>) -> Keys {
    Keys { access_key_id: id.to_owned(), secret_access_key: Secret::new(key), session_token: session.map(Secret::new) }
}

#[test]
fn signatures_are_the_published_ones() {
    let suite = keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None);
    let of_suite = |method, url: &str, headers: &[(&str, &str)], body: &str| {
        authorization(&suite, ("service", SUITE), method, url, headers, body).rsplit_once("Signature=").unwrap().1.to_owned()
    };
    let vanilla = of_suite(Method::GET, "https://example.amazonaws.com/", &[], "");
    assert_eq!(vanilla, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "get-vanilla");
    let post = of_suite(Method::POST, "https://example.amazonaws.com/", &[], "");
    assert_eq!(post, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", "post-vanilla");
    let ordered = of_suite(Method::GET, "https://example.amazonaws.com/?Param2=value2&Param1=value1", &[], "");
    assert_eq!(ordered, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500", "get-vanilla-query-order-key-case");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let form = of_suite(Method::POST, "https://example.amazonaws.com/", &form, "Param1=value1");
    assert_eq!(form, "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a", "post-x-www-form-urlencoded");
}

#[test]
fn the_guides_examples_are_signed_as_printed() {
    let iam = keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None);
    let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let users = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08";
    assert_eq!(
        authorization(&iam, ("iam", SUITE), Method::GET, users, &headers, ""),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, \
         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
    let s3 = keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None);
    let object = "https://examplebucket.s3.amazonaws.com/test.txt";
    assert_eq!(
        authorization(&s3, ("s3", S3_GUIDE), Method::GET, object, &[("range", "bytes=0-9")], ""),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
         Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    );
}

#[test]
fn what_signs_is_not_shown_and_unusable_keys_are_refused() {
    let mut request = Request::new(Method::GET, Url::parse("https://example.amazonaws.com/").unwrap());
    let session = keys("AKIDEXAMPLE", "hunter2", Some("hunter3"));
    let at = SystemTime::UNIX_EPOCH;
    sign(&mut request, &Signing { keys: &session, region: "us-east-1", service: "ssm", at }).unwrap();
    assert_eq!(request.headers()["x-amz-security-token"], "hunter3");
    assert!(!format!("{request:?} {session:?}").contains("hunter"), "{request:?}");
    let broken = keys("AKID\nEXAMPLE", "hunter2", None);
    let refused = sign(&mut request, &Signing { keys: &broken, region: "us-east-1", service: "ssm", at }).unwrap_err();
    assert!(matches!(&refused, Cause::Malformed(text) if !text.contains("hunter")), "{refused}");
}
