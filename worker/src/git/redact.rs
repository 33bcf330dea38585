//! Takes credentials and terminal control out of a line of git's output.
//!
//! The job's log is masked elsewhere with every secret of the run; this stage knows only the secrets that it gave to git
//! itself, so that no caller has to remember.

use proto::Secret;

/// Knows what must not be seen.
#[derive(Clone, Default)]
pub(super) struct Redactor {
    hidden: Vec<Secret>,
}

impl Redactor {
    /// Hides each secret as it is, percent-encoded and in base64 (alone, and after `username:` as in a basic login).
    pub(super) fn new(username: &str, secret: &str) -> Self {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let mut forms = [
            secret.to_owned(),
            encoded.replace('+', "%20"),
            encoded,
            STANDARD.encode(secret),
            STANDARD.encode(format!("{username}:{secret}")),
        ];
        // The longest first: it may hold a shorter one.
        forms.sort_unstable_by_key(|form| std::cmp::Reverse(form.len()));
        // Shorter texts would blot out ordinary words without hiding anything worth it.
        let hidden = forms.into_iter().filter(|form| form.len() >= 4).map(Secret::new).collect();
        Self { hidden }
    }

    /// The line as it may be shown.
    pub(super) fn clean(&self, line: &str) -> String {
        let mut text = without_control(line);
        for secret in &self.hidden {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "***");
            }
        }
        without_userinfo(&text)
    }
}

/// Drops ANSI sequences and every other control character: a server's messages end up on a terminal.
fn without_control(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            if chars.next_if_eq(&'[').is_some() {
                while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {}
            }
        } else if c == '\t' || !c.is_control() {
            text.push(c);
        }
    }
    text
}

/// `https://user:pass@host/` becomes `https://***@host/`.
fn without_userinfo(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        text.push_str(before);
        text.push_str("://");
        let end = after.find(|c: char| c == '/' || c == '\'' || c == '"' || c.is_whitespace()).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                text.push_str("***@");
                text.push_str(host);
            }
            None => text.push_str(authority),
        }
        rest = tail;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_userinfo_are_hidden_in_every_form() {
        let redactor = Redactor::new("ci", "p@ss word/1");
        for (line, shown) in [
            ("x p@ss word/1 y", "x *** y"),
            ("q=p%40ss%20word%2F1", "q=***"),
            ("q=p%40ss+word%2F1", "q=***"),
            ("Basic Y2k6cEBzcyB3b3JkLzE=", "Basic ***"),
            ("at 'https://a:b@h/x' and http://c@h:1/", "at 'https://***@h/x' and http://***@h:1/"),
            ("\u{1b}[31mred\u{1b}[0m\u{7}", "red"),
            ("git@host:path stays", "git@host:path stays"),
        ] {
            assert_eq!(redactor.clean(line), shown);
        }
    }
}
