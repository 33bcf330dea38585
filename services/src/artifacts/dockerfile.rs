//! What the instructions of a Dockerfile take out of the build context.

/// A path in the build context, or a glob of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// By `COPY` or `ADD`.
    Copied(String),
    /// By `RUN --mount=type=bind`, while it runs.
    Mounted(String),
}

/// The sources, in the order of the file.
pub(super) fn sources(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for instruction in instructions(text) {
        let Some((word, rest)) = instruction.trim_start().split_once(char::is_whitespace) else { continue };
        match word.to_ascii_uppercase().as_str() {
            "COPY" | "ADD" => sources.extend(copied(rest).into_iter().map(Source::Copied)),
            "RUN" => {
                let flags = rest.split_whitespace().map_while(|flag| flag.strip_prefix("--"));
                sources.extend(flags.filter_map(mounted).map(Source::Mounted));
            }
            _ => {}
        }
    }
    sources
}

/// Instructions with their continued lines; without comments and without the texts of heredocs.
fn instructions(text: &str) -> Vec<String> {
    let escape =
        if text.lines().take_while(|line| line.starts_with('#')).any(|line| line.replace(' ', "").eq_ignore_ascii_case("#escape=`")) {
            '`'
        } else {
            '\\'
        };
    let (mut instructions, mut current) = (Vec::new(), String::new());
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut at = 0;
    while let Some(line) = lines.get(at).copied() {
        at += 1;
        if line.trim_start().starts_with('#') || (line.is_empty() && !current.is_empty()) {
            continue;
        }
        if let Some(part) = line.strip_suffix(escape) {
            current += part;
            current.push(' ');
            continue;
        }
        current += line;
        for end in heredocs(&current) {
            // What only looks like a heredoc has no end, and takes no line away.
            at += lines[at..].iter().position(|line| line.trim_start_matches('\t') == end).map_or(0, |lines| lines + 1);
        }
        instructions.push(std::mem::take(&mut current));
    }
    instructions.push(current);
    instructions
}

/// The words that end the heredocs of an instruction.
fn heredocs(instruction: &str) -> Vec<String> {
    let word = instruction.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if !matches!(word.as_str(), "COPY" | "ADD" | "RUN") {
        return Vec::new();
    }
    let end = |part: &str| {
        let (_, name) = part.split_once("<<")?;
        let name = name.trim_start_matches('-').trim_matches(['"', '\'']);
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        is_name.then(|| name.to_owned())
    };
    instruction.split_whitespace().filter_map(end).collect()
}

fn copied(rest: &str) -> Vec<String> {
    let mut rest = rest.trim();
    while rest.starts_with("--") {
        let (flag, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if flag.starts_with("--from=") {
            return Vec::new();
        }
        rest = after.trim_start();
    }
    let mut words: Vec<String> = if rest.starts_with('[') {
        serde_json::from_str(rest).unwrap_or_default()
    } else {
        rest.split_whitespace().map(str::to_owned).collect()
    };
    // The last is where it goes.
    words.pop();
    words.retain(|word| !word.contains("://") && !word.starts_with("git@") && !word.starts_with("<<"));
    words
}

/// The source of `mount=type=bind,source=x`, unless it comes from another image.
fn mounted(flag: &str) -> Option<String> {
    let fields: Vec<(&str, &str)> =
        flag.strip_prefix("mount=")?.split(',').map(|field| field.split_once('=').unwrap_or((field, ""))).collect();
    let field = |names: &[&str]| fields.iter().find(|(name, _)| names.contains(name)).map(|(_, value)| *value);
    if field(&["type"]).is_some_and(|kind| kind != "bind") || field(&["from"]).is_some() {
        return None;
    }
    Some(field(&["source", "src"]).unwrap_or(".").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_instructions_take() {
        let copied = |list: &[&str]| list.iter().map(|&text| Source::Copied(text.to_owned())).collect::<Vec<_>>();
        for (text, expected) in [
            ("FROM x\nCOPY a b/ /dest\nadd --chown=1:1 c /d\n", copied(&["a", "b/", "c"])),
            ("COPY --from=build /out /in\n", copied(&[])),
            ("COPY [\"with space\", \"b\", \"/dest/\"]\n", copied(&["with space", "b"])),
            ("ADD https://x.example/a.tgz git@x:y.git local /d\n", copied(&["local"])),
            ("COPY a \\\n  # why\n\n  b \\\n  /dest\nCOPY c /d", copied(&["a", "b", "c"])),
            ("# escape=`\nCOPY a `\n b /d\n", copied(&["a", "b"])),
            ("COPY <<EOF <<\"TWO\" /d\nCOPY no /d\nEOF\nCOPY no /d\nTWO\nCOPY yes /d\n", copied(&["yes"])),
            ("RUN <<-E cat\nCOPY no /d\n\tE\nCOPY yes /d\n", copied(&["yes"])),
            ("RUN echo \"a <<b\"\nCOPY a /d\n", copied(&["a"])),
            ("RUN echo $((1<<2))\nCOPY a /d\n", copied(&["a"])),
            ("# COPY no /d\nCOPYX no /d\nENV COPY=no\n", copied(&[])),
            ("COPY onlydest\nCOPY\nCOPY [broken\n", copied(&[])),
        ] {
            assert_eq!(sources(text), expected, "{text}");
        }
        let text = "RUN --mount=type=cache,target=/c --mount=type=bind,source=req.txt,target=/r --mount=target=/all --mount=type=bind,from=x,source=y z --mount=no";
        assert_eq!(sources(text), [Source::Mounted("req.txt".to_owned()), Source::Mounted(".".to_owned())]);
    }
}
