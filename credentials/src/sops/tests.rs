//! Documents that a released `sops` made, documents that somebody changed, and our own. That the program opens ours is
//! tested with the program (`tests/sops_program.rs`).

use super::*;
use crate::document::Node;
use proptest::prelude::*;
use std::collections::BTreeMap;

const MADE_BY_SOPS: &str = include_str!("../../tests/golden/sops-3.13.3.json");
const WITH_SUFFIX: &str = include_str!("../../tests/golden/sops-3.13.3-suffix.json");
const IDENTITY: &str = include_str!("../../tests/golden/identity.txt");
const RECIPIENT: &str = "age1td0s8cnnhvw35jhs8puztxxcw862f0xqgfffa5vmpef2z3xgh5usqf8npp";

fn identities() -> Identities {
    Identities::parse(&Secret::new(IDENTITY)).unwrap()
}

fn generated() -> String {
    use age::secrecy::ExposeSecret as _;
    age::x25519::Identity::generate().to_string().expose_secret().to_owned()
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, Secret> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect()
}

#[test]
fn a_document_of_the_program_opens_in_its_own_order() {
    let expected = [
        ("ZEBRA", "last letter, first line"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("EMPTY", ""),
        ("PORT", "5432"),
        ("RATIO", "1.5"),
        ("HUGE", "1000000000000000000000"),
        ("ON", "true"),
        ("OFF", "false"),
        ("NOTE_unencrypted", "seen by all"),
        ("TEXT", "ü\n\"<>&"),
    ];
    assert_eq!(decrypt(MADE_BY_SOPS.as_bytes(), &identities()).unwrap(), variables(&expected));
    let Node::Branch(entries) = decrypt_node(MADE_BY_SOPS.as_bytes(), &identities()).unwrap() else { panic!("an object") };
    assert_eq!(entries[0].0, "ZEBRA", "the first value is the first that was written");
}

#[test]
fn a_rule_by_suffix_and_its_mac_are_followed() {
    let node = decrypt_node(WITH_SUFFIX.as_bytes(), &identities()).unwrap();
    let expected = br#"{"A_SECRET":"hidden","B":"clear","L":["x",{"C_SECRET":"deep"}]}"#;
    assert!(node == Node::parse(expected).unwrap());
    // What is in the clear is not under this kind of MAC.
    assert!(decrypt_node(WITH_SUFFIX.replace(r#""clear""#, r#""other""#).as_bytes(), &identities()).is_ok());
}

#[test]
fn whatever_is_changed_is_found() {
    let swapped = {
        let value = |name: &str| Node::parse(MADE_BY_SOPS.as_bytes()).unwrap().get(name).unwrap().text().unwrap().to_owned();
        let (a, b) = (value("ZEBRA"), value("TEXT"));
        MADE_BY_SOPS.replace(&a, "§").replace(&b, &a).replace('§', &b)
    };
    let removed = {
        let start = MADE_BY_SOPS.find("\t\"PORT\"").unwrap();
        let end = start + MADE_BY_SOPS[start..].find('\n').unwrap();
        format!("{}{}", &MADE_BY_SOPS[..start], &MADE_BY_SOPS[end..])
    };
    for (what, document) in [
        ("a clear value", MADE_BY_SOPS.replace("seen by all", "seen by none")),
        ("two values swapped", swapped),
        ("a value removed", removed),
        ("a clear value added", MADE_BY_SOPS.replace(r#""EMPTY": """#, r#""EMPTY": "", "MORE_unencrypted": "x""#)),
        ("a name", MADE_BY_SOPS.replace("ZEBRA", "PATH_TO")),
        ("the time", MADE_BY_SOPS.replace("T00:", "T01:")),
    ] {
        assert_ne!(document, MADE_BY_SOPS, "{what}");
        let error = decrypt(document.as_bytes(), &identities()).unwrap_err();
        assert!(matches!(error, SopsError::Tampered(_)), "{what}: {error}");
        assert!(!error.to_string().contains("AKIA"), "{error}");
    }
}

#[test]
fn ours_opens_again_and_shows_no_value() {
    let ours = variables(&[("A", "hunter2"), ("B", ""), ("C_unencrypted", "hunter3"), ("Z", "ü\n\"")]);
    let document = encrypt(&ours, RECIPIENT).unwrap();
    assert!(!document.contains("hunter"));
    assert_eq!(decrypt(document.as_bytes(), &identities()).unwrap(), ours);
    assert_ne!(encrypt(&ours, RECIPIENT).unwrap(), document, "keys and nonces are new each time");
    let stranger = Identities::parse(&Secret::new(generated())).unwrap();
    assert_eq!(decrypt(document.as_bytes(), &stranger), Err(SopsError::NotForUs));
    assert_eq!(encrypt(&variables(&[("sops", "x")]), RECIPIENT), Err(SopsError::Name));
    assert_eq!(encrypt(&ours, "age1nonsense"), Err(SopsError::Recipient));
    assert_eq!(encrypt(&ours, IDENTITY), Err(SopsError::Recipient));
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let with = |entry: &str| MADE_BY_SOPS.replace(r#""unencrypted_suffix": "_unencrypted""#, entry);
    for entry in [r#""encrypted_regex": "^A""#, r#""unencrypted_regex": "x""#, r#""shamir_threshold": 2"#, r#""key_groups": [{}]"#] {
        let refused = decrypt(with(entry).as_bytes(), &identities()).unwrap_err();
        assert!(matches!(&refused, SopsError::Unsupported(name) if entry.contains(name.as_str())), "{entry}: {refused}");
    }
    assert!(decrypt(with(r#""encrypted_regex": "", "kms": null"#).as_bytes(), &identities()).is_ok(), "what says nothing does no harm");
    for bad in ["{}", "[]", "null", r#"{"sops":{}}"#, r#"{"sops":null,"A":"x"}"#, "x"] {
        assert!(matches!(decrypt(bad.as_bytes(), &identities()), Err(SopsError::Shape(_))), "{bad}");
    }
    assert_eq!(Identities::parse(&Secret::new("# x\n\nhunter2")).unwrap_err(), SopsError::Identity(3));
    assert_eq!(format!("{:?}", identities()), "Identities(1)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_text_comes_back(values in prop::collection::btree_map("[A-Za-z_][A-Za-z0-9_]{0,8}", any::<String>(), 0..6)) {
        let ours: BTreeMap<String, Secret> =
            values.into_iter().filter(|(name, _)| name != METADATA).map(|(name, value)| (name, Secret::new(value))).collect();
        let document = encrypt(&ours, RECIPIENT).unwrap();
        prop_assert_eq!(decrypt(document.as_bytes(), &identities()).unwrap(), ours);
    }
}
