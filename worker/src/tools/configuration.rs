//! What a configuration itself says about the version it needs: the constraints in the files of one folder.
//!
//! A scanner, not a parser of the language: it knows comments, strings, heredocs and braces, and nothing else. What it
//! cannot make sense of it leaves to the tool, which checks the constraints again itself.
//!
//! terraform reads `required_version` in `terraform` blocks. So did tofu before 1.12, which since then takes the one in a
//! `.tf` file for terraform's and reads it in `.tofu` files only, and beside it `opentofu` in
//! `language { compatible_with { … } }` (<https://opentofu.org/docs/v1.12/language/settings/>).

use super::version::Constraints;
use proto::terraform::Tool;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

/// Longest file that is looked at, in bytes. What comes after is not seen here; the tool sees it.
const MAX_FILE: u64 = 1024 * 1024;
/// Most files of one folder that are looked at.
const MAX_FILES: usize = 2000;

/// Blocks, and the attribute in the innermost one.
type Place = (&'static [&'static str], &'static str);
const REQUIRED: Place = (&["terraform"], "required_version");
const COMPATIBLE: Place = (&["language", "compatible_with"], "opentofu");

/// A constraint and the file that says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Required {
    pub(super) constraint: String,
    pub(super) file: String,
    /// Only versions of tofu before 1.12 obey it.
    pub(super) by_old_tofu: bool,
}

/// Every constraint in a folder, in the order of the file names.
pub(super) fn required_versions(tool: Tool, dir: &Path) -> std::io::Result<Vec<Required>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(dir)?.take(MAX_FILES) {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Only plain files: a link could lead anywhere, a pipe would block.
        if is_configuration(tool, &name) && entry.file_type()?.is_file() {
            names.insert(name);
        }
    }
    let mut found = Vec::new();
    for name in names.iter().filter(|name| !replaced_by(name).is_some_and(|twin| names.contains(&twin))) {
        let mut text = Vec::new();
        std::fs::File::open(dir.join(name))?.take(MAX_FILE).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let old = tool == Tool::Tofu && !name.contains(".tofu");
        let places: &[(Place, bool)] = match tool {
            Tool::Terraform => &[(REQUIRED, false)],
            Tool::Tofu => &[(REQUIRED, old), (COMPATIBLE, false)],
        };
        for (place, by_old_tofu) in places.iter().copied() {
            let json = Path::new(name).extension().is_some_and(|ending| ending == "json");
            let constraints = if json { in_json(&text, place) } else { in_blocks(&text, place) };
            let required = |constraint| Required { constraint, file: name.clone(), by_old_tofu };
            found.extend(constraints.into_iter().map(required));
        }
    }
    Ok(found)
}

/// All of them as one constraint. An unreadable one is the tool's to refuse: it knows the place in the file.
pub(super) fn together(required: &[Required]) -> Constraints {
    let mut all = Constraints::default();
    for one in required {
        if let Ok(constraints) = one.constraint.parse() {
            if one.by_old_tofu { all.and_before_tofu_1_12(constraints) } else { all.and(constraints) }
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

/// The file for which tofu passes over a file.
fn replaced_by(name: &str) -> Option<String> {
    let twin = |ending: &str, tofu: &str| name.strip_suffix(ending).map(|stem| format!("{stem}{tofu}"));
    twin(".tf", ".tofu").or_else(|| twin(".tf.json", ".tofu.json"))
}

/// In the JSON form of the language a block may also be a list of blocks.
fn in_json(text: &str, (blocks, attribute): Place) -> Vec<String> {
    let Ok(document) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let mut at = vec![&document];
    for block in blocks {
        let below = at.into_iter().filter_map(|outer| outer.get(block));
        at = below.flat_map(|found| found.as_array().map_or_else(|| vec![found], |list| list.iter().collect())).collect();
    }
    at.iter().filter_map(|block| Some(block.get(attribute)?.as_str()?.to_owned())).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// A quoted string without its quotes, as it is written.
    Text(&'a str),
    Open,
    Close,
    Equals,
    Other,
}

/// In the usual form.
fn in_blocks(text: &str, (blocks, attribute): Place) -> Vec<String> {
    let (mut rest, mut inside) = (text, Vec::new());
    let mut last = [Token::Other, Token::Other];
    let mut found = Vec::new();
    while let Some((token, after)) = next_token(rest) {
        match token {
            // A word alone before the brace is a block without labels; anything else is none that is looked for.
            Token::Open => inside.push(match last {
                [before, Token::Word(name)] if before != Token::Equals => Some(name),
                _ => None,
            }),
            Token::Close => {
                inside.pop();
            }
            Token::Text(value) if last == [Token::Word(attribute), Token::Equals] => {
                if inside.iter().copied().eq(blocks.iter().map(|block| Some(*block))) {
                    found.push(value.to_owned());
                }
            }
            Token::Word(_) | Token::Text(_) | Token::Equals | Token::Other => {}
        }
        last = [last[1], token];
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
            ("terraform {\n  backend \"http\" {\n required_version = \"9\" }\n  required_version=\"~> 1.9\"\n}", vec!["~> 1.9"]),
            ("terraform {}\nterraform {\n required_version = \"1\"\n}\nterraform { required_version = \"2\" }", vec!["1", "2"]),
            ("# terraform { required_version = \"1\" }\n// terraform { required_version = \"1\" }", vec![]),
            ("/* terraform {\n required_version = \"1\" } */ terraform { required_version = \"2\" }", vec!["2"]),
            ("locals { a = \"terraform { required_version = \\\"1\\\" }\" }", vec![]),
            ("locals { a = <<-EOT\n terraform { required_version = \"1\" }\n EOT\n}\nterraform { required_version = \"2\" }", vec!["2"]),
            ("locals { a = \"${jsonencode({ x = \"}\" })}\" }\nterraform { required_version = \"2\" }", vec!["2"]),
            ("module \"x\" { required_version = \"1\" }", vec![]),
            ("terraform { x { } required_version = \"3\"", vec!["3"]),
            ("terraform { required_version = \"", vec![]),
            ("terraform \"x\" { required_version = \"1\" }", vec![]),
            ("/*", vec![]),
            ("\"ü", vec![]),
            (&format!("{}terraform {{ required_version = \"4\" }}", "#\n".repeat(100_000)), vec!["4"]),
        ] {
            assert_eq!(in_blocks(text, REQUIRED), expected, "{text}");
        }
        assert_eq!(in_json(r#"{"terraform": {"required_version": "1"}}"#, REQUIRED), ["1"]);
        assert_eq!(in_json(r#"{"terraform": [{"required_version": "1"}, {"required_version": "2"}]}"#, REQUIRED), ["1", "2"]);
        assert_eq!(in_json("{", REQUIRED), Vec::<String>::new());
    }

    #[test]
    fn any_text_is_scanned_to_its_end() {
        proptest::proptest!(|(text in "[\\PC\n]{0,60}(terraform|<<E|\"|\\$\\{|/\\*|\\{|\\})*[\\PC\n]{0,40}")| {
            let _ = in_blocks(&text, REQUIRED);
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
        assert_eq!(found(Tool::Tofu), "!= 1.7.0, < 2.0, >= 1.5");
    }

    #[test]
    fn tofu_has_places_of_its_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        write("versions.tf", "terraform { required_version = \">= 1.14\" }");
        write("versions.tofu", "language {\n  compatible_with {\n    opentofu = \">= 1.11\"\n  }\n}");
        write("more.tf", "terraform { required_version = \">= 1.13\" }");
        write("z.tf.json", r#"{"language": [{"compatible_with": {"opentofu": "< 3"}}]}"#);
        let found = required_versions(Tool::Tofu, dir.path()).expect("read");
        let found: Vec<_> = found.iter().map(|one| (one.constraint.as_str(), one.by_old_tofu)).collect();
        assert_eq!(found, [(">= 1.13", true), (">= 1.11", false), ("< 3", false)]);
        let terraform = required_versions(Tool::Terraform, dir.path()).expect("read");
        assert_eq!(together(&terraform).to_string(), ">= 1.13, >= 1.14");
    }
}
