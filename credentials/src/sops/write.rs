//! Making a document: every value encrypted, to one recipient.

use super::cipher::{DataKey, KEY_BYTES};
use super::{METADATA, SopsError};
use aws_lc_rs::rand;
use proto::{Secret, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};
use std::collections::BTreeMap;

/// The release whose format this is.
const FORMAT_VERSION: &str = "3.11.0";
/// Names that end so are left in the clear. SOPS has such a rule always, and no name of a variable ends so.
const NOTHING_IN_THE_CLEAR: &str = "=";

/// A document that holds these variables, opened by the identity of an age recipient (`age1…`).
pub fn encrypt(variables: &BTreeMap<String, Secret>, recipient: &str) -> Result<String, SopsError> {
    let recipient: age::x25519::Recipient = recipient.trim().parse().map_err(|_| SopsError::Recipient)?;
    if variables.keys().any(|name| name == METADATA || name.ends_with(NOTHING_IN_THE_CLEAR)) {
        return Err(SopsError::Name);
    }
    let mut raw = [0; KEY_BYTES];
    rand::fill(&mut raw).map_err(|_| SopsError::Encryption)?;
    let key = DataKey::new(&raw).ok_or(SopsError::Encryption)?;
    let (mut document, mut hash) = (Map::new(), Sha512::new());
    for (name, value) in variables {
        hash.update(value.expose());
        document.insert(name.clone(), Value::String(key.encrypt(value.expose(), &format!("{name}:"))?));
    }
    let last_modified = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let metadata = json!({
        "age": [{
            "recipient": recipient.to_string(),
            "enc": age::encrypt_and_armor(&recipient, &raw).map_err(|_| SopsError::Encryption)?,
        }],
        "mac": key.encrypt(&hex::encode_upper(hash.finalize()), &last_modified)?,
        "lastmodified": last_modified,
        "unencrypted_suffix": NOTHING_IN_THE_CLEAR,
        "version": FORMAT_VERSION,
    });
    document.insert(METADATA.to_owned(), metadata);
    let text = serde_json::to_string_pretty(&Value::Object(document)).map_err(|_| SopsError::Encryption)?;
    Ok(text + "\n")
}
