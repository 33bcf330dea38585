//! What lies on the worker: nothing without a word of its operator.

use crate::stand_in::{keeper, private};
use credentials::{Access, Cause, CredentialError, Keeper, sops};
use proto::Secret;
use std::collections::BTreeMap;

const IDENTITY: &str = include_str!("../golden/identity.txt");
const RECIPIENT: &str = "age1td0s8cnnhvw35jhs8puztxxcw862f0xqgfffa5vmpef2z3xgh5usqf8npp";

fn environment(name: &str) -> Option<String> {
    matches!(name, "TOKEN" | "PRIVATE" | "LD_PRELOAD").then(|| format!("hunter of {name}"))
}

async fn fetched(keeper: &Keeper, location: &str) -> Result<Vec<(String, String)>, CredentialError> {
    let variables = keeper.fetch(&location.parse().expect("a location")).await;
    variables.map(|all| all.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect())
}

#[tokio::test]
async fn a_variable_of_the_worker_is_given_only_by_name() {
    let variables = ["TOKEN", "UNSET", "LD_PRELOAD"].map(str::to_owned).into();
    let open = keeper(Access { variables, environment, ..Access::default() });
    assert_eq!(fetched(&open, "env:::var:TOKEN").await, Ok(vec![("TOKEN".to_owned(), "hunter of TOKEN".to_owned())]));
    assert!(matches!(fetched(&open, "env:::var:PRIVATE").await.unwrap_err().cause, Cause::Denied(_)));
    assert!(matches!(fetched(&open, "env:::var:UNSET").await.unwrap_err().cause, Cause::NotFound(_)));
    assert!(matches!(fetched(&open, "env:::var:LD_PRELOAD").await.unwrap_err().cause, Cause::Malformed(_)));
    let closed = keeper(Access { environment, ..Access::default() });
    assert!(matches!(fetched(&closed, "env:::var:TOKEN").await.unwrap_err().cause, Cause::Denied(_)));
}

#[tokio::test]
async fn a_file_is_read_plain_or_encrypted_in_an_allowed_folder() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("{}/{name}", dir.path().display());
    std::fs::write(at("plain.json"), r#"{"Z":"hunter2","A":7}"#).unwrap();
    std::fs::write(at("nested.json"), r#"{"A":{"B":"hunter2"}}"#).unwrap();
    std::fs::write(at("broken.json"), r#"{"A":"hunter2""#).unwrap();
    let secrets = BTreeMap::from([("A".to_owned(), Secret::new("hunter2"))]);
    std::fs::write(at("ours.json"), sops::encrypt(&secrets, RECIPIENT).unwrap()).unwrap();
    let age_identities = Some(private(dir.path(), "identity", IDENTITY));
    let open = keeper(Access { folders: vec![dir.path().to_owned()], age_identities, ..Access::default() });

    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let plain = format!("file:::json:{}", at("plain.json"));
    assert_eq!(fetched(&open, &plain).await, Ok(vec![pair("A", "7"), pair("Z", "hunter2")]));
    assert_eq!(open.token(&plain.parse().unwrap()).await.unwrap().expose(), "hunter2");
    assert_eq!(fetched(&open, &format!("file:::sops:{}", at("ours.json"))).await, Ok(vec![pair("A", "hunter2")]));
    for bad in ["nested.json", "broken.json", "../x.json"] {
        let error = fetched(&open, &format!("file:::json:{}", at(bad))).await.unwrap_err();
        assert!(matches!(error.cause, Cause::Malformed(_)) && !error.to_string().contains("hunter"), "{error}");
    }
    assert!(matches!(fetched(&open, &format!("file:::sops:{}", at("plain.json"))).await.unwrap_err().cause, Cause::Malformed(_)));

    let keyless = keeper(Access { folders: vec![dir.path().to_owned()], ..Access::default() });
    assert!(matches!(fetched(&keyless, &format!("file:::sops:{}", at("ours.json"))).await.unwrap_err().cause, Cause::Denied(_)));
    assert!(matches!(fetched(&keeper(Access::default()), &plain).await.unwrap_err().cause, Cause::Denied(_)));
    assert!(Keeper::new(Access { folders: vec!["relative".into()], ..Access::default() }).is_err());
}
