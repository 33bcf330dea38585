//! How each receiver wants it: escaped for it, so that nothing in a text of others mentions, links or formats anything.

use super::{super::event::signature, message::Said};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use proto::Secret;
use serde_json::{Value, json};
use service::settings::NotifyFormat;
use sha2::Sha256;

/// Discord refuses longer texts, in characters.
const LONGEST_DISCORD: usize = 2000;
/// So do the others, at far more.
const LONGEST: usize = 8000;

/// What is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) content: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// What signs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signing<'a> {
    pub(super) id: &'a str,
    pub(super) secret: Option<&'a Secret>,
    pub(super) at: Timestamp,
}

/// An event for programs without a secret: its receiver could not tell who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no secret to sign it with")]
pub(super) struct Unsigned;

pub(super) fn body(format: NotifyFormat, said: &Said, signing: &Signing<'_>) -> Result<Body, Unsigned> {
    match format {
        NotifyFormat::Cloudevents => cloudevents(said, signing),
        NotifyFormat::Slack => {
            Ok(chat(&json!({ "text": text(said, slack, LONGEST), "mrkdwn": false, "unfurl_links": false, "unfurl_media": false })))
        }
        NotifyFormat::Discord => Ok(chat(&json!({ "content": text(said, discord, LONGEST_DISCORD), "allowed_mentions": { "parse": [] } }))),
        NotifyFormat::Feishu => Ok(feishu(said, signing)),
    }
}

fn chat(body: &Value) -> Body {
    Body { headers: Vec::new(), content: "application/json; charset=utf-8", bytes: body.to_string().into_bytes() }
}

fn cloudevents(said: &Said, signing: &Signing<'_>) -> Result<Body, Unsigned> {
    let Signing { id, secret, at } = *signing;
    let secret = secret.ok_or(Unsigned)?;
    let event = json!({
        "specversion": "1.0",
        "id": id,
        // It must not be empty.
        "source": if said.source.is_empty() { "navvy" } else { &said.source },
        "type": format!("navvy.{}", said.event),
        "subject": said.data.run_id,
        "time": said.at.unwrap_or(at),
        "datacontenttype": "application/json",
        "data": said.data,
    });
    let bytes = event.to_string().into_bytes();
    let headers = vec![
        ("webhook-signature", signature(secret, id, at, &bytes)),
        ("webhook-timestamp", at.as_second().to_string()),
        ("webhook-id", id.to_owned()),
    ];
    Ok(Body { headers, content: "application/cloudevents+json; charset=utf-8", bytes })
}

/// A bot that checks signatures wants HMAC-SHA256 over nothing, keyed with time and secret.
fn feishu(said: &Said, signing: &Signing<'_>) -> Body {
    let mut body = json!({ "msg_type": "text", "content": { "text": text(said, feishu_text, LONGEST) } });
    if let Some(secret) = signing.secret {
        let timestamp = signing.at.as_second().to_string();
        let key = format!("{timestamp}\n{}", secret.expose());
        let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
        body["sign"] = json!(STANDARD.encode(mac.finalize().into_bytes()));
        body["timestamp"] = json!(timestamp);
    }
    chat(&body)
}

/// The lines, each escaped, and the link, as long as they fit: a line is left out rather than cut in the middle of an escape.
fn text(said: &Said, escape: fn(&str) -> String, longest: usize) -> String {
    let link = said.link.clone().unwrap_or_default();
    let mut left = longest.saturating_sub(link.chars().count() + 1);
    let mut text = String::new();
    for line in said.lines.iter().map(|line| escape(line)) {
        let length = line.chars().count() + 1;
        if length > left {
            break;
        }
        left -= length;
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str(&link);
    text.trim_end().to_owned()
}

/// Slack looks at three characters; without `<` there is no mention and no link under another name. Formatting is off besides.
fn slack(line: &str) -> String {
    line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Discord reads Markdown; a backslash takes the meaning of any sign away. Mentions are off besides. An address is shown as
/// text, because its colon is escaped.
fn discord(line: &str) -> String {
    let is_sign =
        |c: char| matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '<' | '#' | '[' | ']' | '(' | ')' | '@' | ':' | '-' | '.');
    line.chars().flat_map(|c| is_sign(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Feishu looks for tags such as `<at user_id="all">` in plain texts, and knows no escape.
fn feishu_text(line: &str) -> String {
    line.replace('<', "＜").replace('>', "＞")
}
