//! What a configuration itself says about the version it needs: every `required_version` in the `terraform` blocks of one
//! folder.
//!
//! A scanner, not a parser of the language: it knows comments, strings, heredocs and braces, and nothing else. What it
//! cannot make sense of it leaves to the tool, which checks `required_version` again itself.

use super::version::Constraints;
use proto::terraform::Tool;
use std::io::Read as _;
use std::path::Path;

/// Longest file that is looked at, in bytes. What comes after is not seen here; the tool sees it.
const MAX_FILE: u64 = 1024 * 1024;
/// Most files of one folder that are looked at.
const MAX_FILES: usize = 2000;

/// A constraint and the file that says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Required {
    pub(super) constraint: String,
    pub(super) file: String,
}

/// Every `required_version` of a folder, in the order of the file names.
pub(super) fn required_versions(tool: Tool, dir: &Path) -> std::io::Result<Vec<Required>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)?.take(MAX_FILES) {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Only plain files: a link could lead anywhere, a pipe would block.
        if is_configuration(tool, &name) && entry.file_type()?.is_file() {
            names.push(name);
        }
    }
    names.sort();
    let mut found = Vec::new();
    for name in names {
        let mut text = Vec::new();
        std::fs::File::open(dir.join(&name))?.take(MAX_FILE).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let constraints = if Path::new(&name).extension().is_some_and(|ending| ending == "json") {
            in_json(&text)
        } else {
            in_blocks(&text)
        };
        found.extend(constraints.into_iter().map(|constraint| Required { constraint, file: name.clone() }));
    }
    Ok(found)
}

/// All of them as one constraint. An unreadable one is the tool's to refuse: it knows the place in the file.
pub(super) fn together(required: &[Required]) -> Constraints {
    let mut all = Constraints::default();
    for one in required {
        if let Ok(constraints) = one.constraint.parse() {
            all.and(constraints);
        }
    }
    all
}

fn is_configuration(tool: Tool, name: &str) -> bool {
    let endings: &[&str] = match tool {
        Tool::Terraform => &[".tf", ".tf.json"],
        Tool::Tofu => &[".tf", ".tf.json", ".tofu", ".tofu.json"],
    };
    !name.starts_with('.') && !name.ends_with('~') && endings.iter().any(|ending| name.ends_with(ending))
}

/// `{"terraform": {"required_version": "…"}}`, where a block may also be a list of blocks.
fn in_json(text: &str) -> Vec<String> {
    let Ok(document) = serde_json::from_str::<serde_json::Value>(text) else { return Vec::new() };
    let blocks = match document.get("terraform") {
        Some(serde_json::Value::Array(blocks)) => blocks.clone(),
        Some(block) => vec![block.clone()],
        None => Vec::new(),
    };
    blocks.iter().filter_map(|block| Some(block.get("required_version")?.as_str()?.to_owned())).collect()
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// A quoted string without its quotes, as it is written.
    Text(&'a str),
    Open,
    Close,
    Equals,
    Other,
}

/// `terraform { required_version = "…" }` at the top level.
fn in_blocks(text: &str) -> Vec<String> {
    let (mut rest, mut depth, mut in_terraform) = (text, 0_usize, false);
    let mut last: [Token<'_>; 2] = [Token::Other, Token::Other];
    let mut found = Vec::new();
    while let Some((token, after)) = next_token(rest) {
        match &token {
            Token::Open => {
                in_terraform = in_terraform || (depth == 0 && last[1] == Token::Word("terraform"));
                depth += 1;
            }
            Token::Close => {
                depth = depth.saturating_sub(1);
                in_terraform = in_terraform && depth > 0;
            }
            Token::Text(value)
                if in_terraform && depth == 1 && last == [Token::Word("required_version"), Token::Equals] =>
            {
                found.push((*value).to_owned());
            }
            Token::Word(_) | Token::Text(_) | Token::Equals | Token::Other => {}
        }
        let [_, newest] = last;
        last = [newest, token];
        rest = after;
    }
    found
}

/// The next token and what comes after it. Blanks, comments and heredocs are passed over.
fn next_token(text: &str) -> Option<(Token<'_>, &str)> {
    let text = after_comments(text);
    let first = text.chars().next()?;
    if text.starts_with("<<") {
        return Some((Token::Other, after_heredoc(text)));
    }
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if is_word(first) {
        let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
        return Some((Token::Word(&text[..end]), &text[end..]));
    }
    let rest = &text[first.len_utf8()..];
    Some(match first {
        '"' => quoted(rest),
        '{' => (Token::Open, rest),
        '}' => (Token::Close, rest),
        '=' => (Token::Equals, rest),
        _ => (Token::Other, rest),
    })
}

/// What comes after blanks and comments. A comment that is not closed goes on to the end.
fn after_comments(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        if text.starts_with('#') || text.starts_with("//") {
            text = text.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = text.strip_prefix("/*") {
            text = comment.split_once("*/").map_or("", |(_, after)| after);
        } else {
            return text;
        }
    }
}

/// The string that begins behind a quote. Strings inside `${…}` have quotes of their own.
fn quoted(text: &str) -> (Token<'_>, &str) {
    let bytes = text.as_bytes();
    let (mut at, mut nested) = (0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' if nested == 0 => return (Token::Text(&text[..at]), &text[at + 1..]),
            b'{' if nested > 0 || (at > 0 && matches!(bytes[at - 1], b'$' | b'%')) => nested += 1,
            b'}' => nested = nested.saturating_sub(1),
            b'\n' if nested == 0 => break,
            _ => {}
        }
        at += 1;
    }
    // Not closed on its line: no string. The newline is ASCII, so the cut is between characters.
    (Token::Other, text.get(at..).unwrap_or_default())
}

/// What comes after `<<WORD … WORD`.
fn after_heredoc(text: &str) -> &str {
    let mut lines = text.split_inclusive('\n');
    let opening = lines.next().unwrap_or_default();
    let marker = opening.trim_start_matches('<').trim_start_matches('-').trim();
    let mut passed = opening.len();
    for line in lines {
        passed += line.len();
        if line.trim() == marker {
            break;
        }
    }
    &text[passed..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_found_where_the_tool_would_find_them() {
        for (text, expected) in [
            ("terraform { required_version = \">= 1.5\" }", vec![">= 1.5"]),
            (
                "terraform {\n  backend \"http\" {\n required_version = \"9\" }\n  required_version=\"~> 1.9\"\n}",
                vec!["~> 1.9"],
            ),
            (
                "terraform {}\nterraform {\n required_version = \"1\"\n}\nterraform { required_version = \"2\" }",
                vec!["1", "2"],
            ),
            ("# terraform { required_version = \"1\" }\n// terraform { required_version = \"1\" }", vec![]),
            ("/* terraform {\n required_version = \"1\" } */ terraform { required_version = \"2\" }", vec!["2"]),
            ("locals { a = \"terraform { required_version = \\\"1\\\" }\" }", vec![]),
            (
                "locals { a = <<-EOT\n terraform { required_version = \"1\" }\n EOT\n}\nterraform { required_version = \"2\" }",
                vec!["2"],
            ),
            ("locals { a = \"${jsonencode({ x = \"}\" })}\" }\nterraform { required_version = \"2\" }", vec!["2"]),
            ("module \"x\" { required_version = \"1\" }", vec![]),
            ("terraform { x { } required_version = \"3\"", vec!["3"]),
            ("terraform { required_version = \"", vec![]),
            ("terraform \"x\" { required_version = \"1\" }", vec![]),
            ("/*", vec![]),
            ("\"ü", vec![]),
            (&format!("{}terraform {{ required_version = \"4\" }}", "#\n".repeat(100_000)), vec!["4"]),
        ] {
            assert_eq!(in_blocks(text), expected, "{text}");
        }
        assert_eq!(in_json(r#"{"terraform": {"required_version": "1"}}"#), ["1"]);
        assert_eq!(in_json(r#"{"terraform": [{"required_version": "1"}, {"required_version": "2"}]}"#), ["1", "2"]);
        assert_eq!(in_json("{"), Vec::<String>::new());
    }

    #[test]
    fn any_text_is_scanned_to_its_end() {
        proptest::proptest!(|(text in "[\\PC\n]{0,60}(terraform|<<E|\"|\\$\\{|/\\*|\\{|\\})*[\\PC\n]{0,40}")| {
            let _ = in_blocks(&text);
        });
    }

    #[test]
    fn all_files_of_a_folder_count_and_links_do_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        write("main.tf", "terraform { required_version = \">= 1.5\" }");
        write("a.tf.json", r#"{"terraform": {"required_version": "< 2.0"}}"#);
        write("only.tofu", "terraform { required_version = \"!= 1.7.0\" }");
        write(".hidden.tf", "terraform { required_version = \"= 0.1.0\" }");
        write("broken.tf", "terraform { required_version = \"latest\" }");
        std::os::unix::fs::symlink("main.tf", dir.path().join("link.tf")).expect("linked");
        let found = |tool| together(&required_versions(tool, dir.path()).expect("read")).to_string();
        assert_eq!(found(Tool::Terraform), "< 2.0, >= 1.5");
        assert_eq!(found(Tool::Tofu), "< 2.0, >= 1.5, != 1.7.0");
    }
}
