//! `navvy keys`. A new key is data: it goes to stdout, once, and nowhere else.

use clap::ValueEnum as _;
use proto::Timestamp;
use serde_json::{Value, json};

use super::Session;
use super::lists::fetch;
use crate::api::{KeyList, Page};
use crate::args::{KeyScope, KeysVerb};
use crate::exit::Exit;
use crate::output::lists;
use crate::problem::CliError;

pub(super) async fn keys(session: &Session<'_>, verb: &KeysVerb) -> Result<Exit, CliError> {
    match verb {
        KeysVerb::Create { name, scope, expires_in_days } => create(session, name, scope, *expires_in_days).await?,
        KeysVerb::List => {
            if let Some(list) = fetch::<KeyList>(session, "v1/keys", &Page::default()).await? {
                session.out.line(&lists::keys(&list, Timestamp::now(), session.out.style()))?;
            }
        }
        KeysVerb::Revoke { id } => revoke(session, id).await?,
    }
    Ok(Exit::Ok)
}

async fn create(session: &Session<'_>, name: &str, scopes: &[KeyScope], days: Option<u32>) -> Result<(), CliError> {
    let words = scopes.iter().filter_map(KeyScope::to_possible_value).map(|value| value.get_name().to_owned());
    let mut body = json!({ "name": name, "scopes": words.collect::<Vec<_>>() });
    if let Some(days) = days {
        body["expires_in_days"] = json!(days);
    }
    let answer = session.client.post("v1/keys", &body).await?;
    if session.out.is_json() {
        return session.out.json(&answer);
    }
    let key = answer.get("key").and_then(Value::as_str).ok_or_else(|| session.client.strange("no key in the answer"))?;
    session.out.line(key)?;
    session.out.hint("this key is shown only now; keep it in a file of mode 0600 and use NAVVY_TOKEN_FILE");
    Ok(())
}

async fn revoke(session: &Session<'_>, id: &str) -> Result<(), CliError> {
    // The id becomes part of the address, so it may only be what ids are made of.
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Err(CliError::usage(format!("`{}` is no key id", id.escape_debug()), "`navvy keys list` shows the ids"));
    }
    session.client.delete(&format!("v1/keys/{id}")).await?;
    if session.out.is_json() { session.out.json(&json!({ "revoked": id })) } else { session.out.line(&format!("revoked {id}")) }
}
