//! Parameters, secrets and objects of a stand-in for AWS that looks at every signature.

use crate::signature::{Signed, verify};
use crate::stand_in::{Asked, Said, StandIn, keeper};
use credentials::{Access, AwsAccess, AwsKeySource, AwsKeys, Cause, Endpoints, Keeper};
use proto::Secret;
use serde_json::{Value, json};

const SECRET: &str = "wJalr/hunter2";
const SESSION: &str = "session+hunter3/=";

fn keys(secret: &str) -> AwsKeys {
    AwsKeys { access_key_id: "AKIDWORKER".into(), secret_access_key: Secret::new(secret), session_token: Some(Secret::new(SESSION)) }
}

fn access(server: &StandIn, secret: &str) -> Access {
    let url = Some(server.url.clone());
    let endpoints = Endpoints { ssm: url.clone(), secrets_manager: url.clone(), s3: url };
    let keys = AwsKeySource::Given(keys(secret));
    Access { aws: Some(AwsAccess { region: "eu-west-1".into(), keys, endpoints }), ..Access::default() }
}

/// Answers as AWS would, to whoever signs with the right key.
fn amazon(asked: &Asked, _: usize) -> Said {
    if verify(asked, SECRET).is_err() || asked.header("x-amz-security-token") != Some(SESSION) {
        return (400, r#"{"__type":"InvalidSignatureException","message":"no"}"#.into());
    }
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let answer = match (asked.header("x-amz-target"), body["Name"].as_str().or(body["SecretId"].as_str())) {
        (Some("AmazonSSM.GetParameter"), Some(name)) => parameter(name).filter(|_| body["WithDecryption"] == true),
        (Some("secretsmanager.GetSecretValue"), Some(name)) => secret(name),
        _ => None,
    };
    match answer {
        Some(answer) => (200, answer.to_string()),
        None => (400, r#"{"__type":"com.amazonaws#ParameterNotFound","message":"hunter2"}"#.into()),
    }
}

fn parameter(name: &str) -> Option<Value> {
    let value = match name {
        "/app/db-password" => "hunter2",
        // {"Z":"first","A":"1"}
        "/app/packed" => "eyJaIjoiZmlyc3QiLCJBIjoiMSJ9",
        "/app/git-token" => "ghp_hunter2",
        _ => return None,
    };
    Some(json!({ "Parameter": { "Name": name, "Type": "SecureString", "Value": value, "Version": 1 } }))
}

fn secret(name: &str) -> Option<Value> {
    match name {
        "prod/db" => Some(json!({ "Name": name, "SecretString": r#"{"DB_USER":"u","DB_PORT":5432}"# })),
        "prod/plain" => Some(json!({ "Name": name, "SecretString": "text" })),
        "prod/bytes" => Some(json!({ "Name": name, "SecretBinary": "AAEC" })),
        _ => None,
    }
}

async fn fetched(keeper: &Keeper, location: &str) -> Result<Vec<(String, String)>, Cause> {
    let variables = keeper.fetch(&location.parse().expect("a location")).await.map_err(|error| {
        assert!(!error.to_string().contains("hunter"), "{error}");
        error.cause
    })?;
    Ok(variables.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect())
}

#[tokio::test]
async fn parameters_and_secrets_become_variables() {
    let server = StandIn::start(amazon).await;
    let keeper = keeper(access(&server, SECRET));
    for (location, expected) in [
        ("aws:::ssm:/app/db-password", &[("DB_PASSWORD", "hunter2")][..]),
        ("/app/db-password", &[("DB_PASSWORD", "hunter2")]),
        ("/app/packed", &[("A", "1"), ("Z", "first")]),
        ("aws:::secretd:prod/db", &[("DB_PORT", "5432"), ("DB_USER", "u")]),
        ("aws:::secretd:prod/plain", &[("PLAIN", "text")]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(fetched(&keeper, location).await, Ok(expected), "{location}");
    }
    let signed = verify(&server.asked()[0], SECRET).unwrap();
    let headers = ["content-type", "host", "x-amz-date", "x-amz-security-token", "x-amz-target"].map(str::to_owned).to_vec();
    assert_eq!(signed, Signed { key_id: "AKIDWORKER".into(), region: "eu-west-1".into(), service: "ssm".into(), headers });
    let mut touched = server.asked()[0].clone();
    touched.body.push(b' ');
    assert_eq!(verify(&touched, SECRET), Err("the signature is wrong".into()), "the stand-in really looks");
}

#[tokio::test]
async fn a_token_is_the_first_value_and_may_have_any_name() {
    let server = StandIn::start(amazon).await;
    let keeper = keeper(access(&server, SECRET));
    let token = async |location: &str| keeper.token(&location.parse().unwrap()).await.unwrap().expose().to_owned();
    assert_eq!(token("/app/packed").await, "first");
    assert_eq!(token("/app/git-token").await, "ghp_hunter2");
    // As a variable it would bend git.
    assert!(matches!(fetched(&keeper, "/app/git-token").await, Err(Cause::Malformed(_))));
}

#[tokio::test]
async fn causes_are_told_apart() {
    let server = StandIn::start(amazon).await;
    let right = keeper(access(&server, SECRET));
    assert!(matches!(fetched(&right, "/app/absent").await, Err(Cause::NotFound(_))));
    assert!(matches!(fetched(&right, "aws:::secretd:prod/bytes").await, Err(Cause::Malformed(_))));
    let wrong = keeper(access(&server, "hunter4"));
    assert!(matches!(fetched(&wrong, "/app/db-password").await, Err(Cause::Denied(_))));
    let given = wrong.with_aws_keys(keys(SECRET));
    assert!(fetched(&given, "/app/db-password").await.is_ok(), "an order's own keys are used in place of the worker's");
    let nobody = keeper(Access::default());
    for location in ["/app/db-password", "aws:::secretd:prod/db"] {
        assert!(matches!(fetched(&nobody, location).await, Err(Cause::Denied(_))));
    }
    assert!(matches!(nobody.with_aws_keys(keys(SECRET)).s3_get("bucket", "k", 1).await.unwrap_err().cause, Cause::Denied(_)));
}

#[tokio::test]
async fn a_busy_aws_is_asked_again_and_in_the_end_given_up() {
    let busy = [(400, r#"{"__type":"ThrottlingException"}"#), (503, ""), (429, ""), (500, "x")];
    let server = StandIn::start(move |asked, before| match busy.get(before) {
        Some((status, body)) => (*status, (*body).to_owned()),
        None => amazon(asked, before),
    })
    .await;
    assert!(fetched(&keeper(access(&server, SECRET)), "/app/db-password").await.is_ok());
    assert_eq!(server.asked().len(), 5);

    let server = StandIn::start(|_, _| (503, String::new())).await;
    assert!(matches!(fetched(&keeper(access(&server, SECRET)), "/app/db-password").await, Err(Cause::Unreachable(_))));
    assert_eq!(server.asked().len(), 5);
}

#[tokio::test]
async fn an_answer_is_bounded_and_a_redirect_not_followed() {
    // Without the bound this would be a good answer.
    let long = r#"{"Parameter":{"Value":"hunter2"}}"#.to_owned() + &" ".repeat(1 << 20);
    for (status, body) in [(200, long), (302, String::new()), (200, "{}".to_owned()), (200, "<html>hunter2".to_owned())] {
        let server = StandIn::start(move |_, _| (status, body.clone())).await;
        assert!(matches!(fetched(&keeper(access(&server, SECRET)), "/app/db-password").await, Err(Cause::Malformed(_))));
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn an_object_is_streamed_up_to_its_bound() {
    let server = StandIn::start(|asked, before| match (verify(asked, SECRET), asked.target.as_str()) {
        (Err(_), _) => (403, "<Error/>".into()),
        (Ok(_), _) if before == 0 => (503, "<Error><Code>SlowDown</Code></Error>".into()),
        (Ok(_), "/my-bucket/path/a%20b%2Bc.zip" | "/my-bucket/unannounced") => (200, "x".repeat(300_000)),
        (Ok(_), _) => (404, "<Error/>".into()),
    })
    .await;
    let keeper = keeper(access(&server, SECRET));
    let mut download = keeper.s3_get("my-bucket", "path/a b+c.zip", 300_000).await.unwrap();
    assert_eq!(download.announced_bytes(), Some(300_000));
    let mut bytes = 0;
    while let Some(chunk) = download.chunk().await.unwrap() {
        bytes += chunk.len();
    }
    assert_eq!(bytes, 300_000);
    assert_eq!(verify(&server.asked()[0], SECRET).unwrap().service, "s3");
    let too_large = keeper.s3_get("my-bucket", "path/a b+c.zip", 299_999).await.unwrap_err();
    assert_eq!(too_large.to_string(), "credential `s3://my-bucket/path/a b+c.zip`: malformed: the object is larger than 299999 bytes");
    let mut unannounced = keeper.s3_get("my-bucket", "unannounced", 299_999).await.unwrap();
    let end = loop {
        match unannounced.chunk().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert_eq!(end.unwrap_err().cause, too_large.cause);
    assert!(matches!(keeper.s3_get("my-bucket", "absent", 9).await.unwrap_err().cause, Cause::NotFound(_)));
    let stranger = keeper.with_aws_keys(keys("other"));
    assert!(matches!(stranger.s3_get("my-bucket", "absent", 9).await.unwrap_err().cause, Cause::Denied(_)));
}

#[test]
fn fetching_can_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    let keeper = keeper(Access::default());
    let location = "/a".parse().unwrap();
    is_send(keeper.fetch(&location));
    is_send(keeper.token(&location));
    is_send(keeper.s3_get("bucket", "key", 1));
}
