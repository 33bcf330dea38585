//! Which byte strings betray a secret: the value itself and the ways in which tools write it.
//!
//! Two sets. *Exact* forms are looked for as they are. *Folded* forms are looked for with blanks and terraform's
//! box character taken out of the text, so that a long value is found after somebody wrapped it.
//! Plain tokens (letters and digits) have few distinct forms: the sets remove the doubles.

use std::collections::BTreeSet;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::SHORTEST;

/// A line of a secret of several lines is masked alone from this length on, in bytes.
const SHORTEST_LINE: usize = 8;
/// Folded forms ignore word borders, so they must be long enough not to meet ordinary prose.
const SHORTEST_FOLDED: usize = 16;
/// No wrapper in use breaks lines before this column (terraform's box: 78, base64: 76, PEM: 64).
const NARROWEST_WRAP: usize = 40;

/// Adds every form of `secret` that is searched for in the text as it is.
pub(super) fn exact(secret: &[u8], into: &mut BTreeSet<Vec<u8>>) {
    let body = secret.trim_ascii();
    let shown = printable(body);
    let mut forms = BTreeSet::new();
    for text in [body, shown.as_bytes()] {
        escapes(text, &mut forms);
    }
    for bytes in [secret, body] {
        encodings(bytes, &mut forms);
    }
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    if lines.len() > 1 {
        for line in lines.iter().filter(|line| line.len() >= SHORTEST_LINE) {
            escapes(line.as_bytes(), &mut forms);
        }
    }
    into.extend(forms.into_iter().filter(|form| form.len() >= SHORTEST));
}

/// Adds the forms of `secret` that are searched for in the text without blanks.
pub(super) fn folded(secret: &[u8], into: &mut BTreeSet<Vec<u8>>) {
    let body = secret.trim_ascii();
    let tight = without_blanks(body);
    let mut add = |form: Vec<u8>| {
        if form.len() >= SHORTEST_FOLDED {
            into.insert(form);
        }
    };
    if tight.len() < body.len() || tight.len() >= NARROWEST_WRAP {
        add(tight);
    }
    let mut encoded = BTreeSet::new();
    encodings(secret, &mut encoded);
    encodings(body, &mut encoded);
    encoded.into_iter().filter(|form| form.len() >= NARROWEST_WRAP).for_each(add);
}

fn without_blanks(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r' | '│')).collect::<String>().into_bytes()
}

/// What the value looks like once the terminal filter has been over it: `\n` line ends, no control characters,
/// U+FFFD for what is not UTF-8.
fn printable(body: &[u8]) -> String {
    String::from_utf8_lossy(body).replace("\r\n", "\n").chars().filter(|c| matches!(c, '\n' | '\t' | '\r') || !c.is_control()).collect()
}

/// The value, and the value inside a string literal of some language.
fn escapes(text: &[u8], into: &mut BTreeSet<Vec<u8>>) {
    into.insert(text.to_vec());
    percent(text, into);
    let lossy = String::from_utf8_lossy(text);
    for style in [Json::PLAIN, Json::GO, Json::PYTHON, Json::PHP] {
        let once = style.escape(&lossy);
        into.insert(Json::PLAIN.escape(&once).into_bytes());
        into.insert(once.into_bytes());
    }
    let hcl = Json::PLAIN.escape(&lossy).replace("${", "$${").replace("%{", "%%{");
    into.insert(hcl.into_bytes());
    into.insert(lossy.replace('\'', r"'\''").into_bytes());
    into.insert(lossy.replace('\'', r#"'"'"'"#).into_bytes());
    into.insert(backslashed(&lossy, |c| matches!(c, '$' | '`' | '"' | '\\')));
    into.insert(backslashed(&lossy, |c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./:@%+=,\n".contains(c)));
}

/// Base64 and hex. Of base64 only the characters that are the same whatever stands around the secret.
fn encodings(bytes: &[u8], into: &mut BTreeSet<Vec<u8>>) {
    for ahead in 0..3 {
        let mut padded = vec![0; ahead];
        padded.extend_from_slice(bytes);
        let (from, to) = ((8 * ahead).div_ceil(6), 8 * padded.len() / 6);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded).into_bytes();
            if let Some(core) = text.get(from..to).filter(|core| core.len() >= SHORTEST) {
                into.insert(core.to_vec());
            }
        }
    }
    into.insert(hex::encode(bytes).into_bytes());
    into.insert(hex::encode_upper(bytes).into_bytes());
}

/// Percent-encoding as RFC 3986, browsers, Go's path and HTML forms do it, in both cases of hex digits.
fn percent(text: &[u8], into: &mut BTreeSet<Vec<u8>>) {
    for (kept, space) in [("-._~", "%20"), ("-_.!~*'()", "%20"), ("-_.~$&+:=@", "%20"), ("-_.*", "+"), ("-_.~", "+")] {
        let (mut upper, mut lower) = (String::new(), String::new());
        for &byte in text {
            let c = char::from(byte);
            if byte.is_ascii_alphanumeric() || (byte.is_ascii() && kept.contains(c)) {
                upper.push(c);
                lower.push(c);
            } else if byte == b' ' {
                upper.push_str(space);
                lower.push_str(space);
            } else {
                write!(upper, "%{byte:02X}").expect("a String takes every write");
                write!(lower, "%{byte:02x}").expect("a String takes every write");
            }
        }
        into.insert(upper.into_bytes());
        into.insert(lower.into_bytes());
    }
}

fn backslashed(text: &str, special: impl Fn(char) -> bool) -> Vec<u8> {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out.into_bytes()
}

/// How a JSON writer spells characters that it need not escape.
struct Json {
    html: bool,
    ascii: bool,
    slash: bool,
}

impl Json {
    const PLAIN: Self = Self { html: false, ascii: false, slash: false };
    /// `encoding/json`, and so terraform: `<`, `>`, `&` as `\u003c` …
    const GO: Self = Self { html: true, ascii: false, slash: false };
    /// `json.dumps`, and so ansible.
    const PYTHON: Self = Self { html: false, ascii: true, slash: false };
    const PHP: Self = Self { html: false, ascii: true, slash: true };

    fn escape(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '/' if self.slash => out.push_str("\\/"),
                c if c < ' ' || (self.html && "<>&\u{2028}\u{2029}".contains(c)) || (self.ascii && !c.is_ascii()) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}").expect("a String takes every write");
                    }
                }
                c => out.push(c),
            }
        }
        out
    }
}
