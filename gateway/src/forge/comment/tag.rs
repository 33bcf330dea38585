//! The last line of a comment, by which it is known: `###<search tag>### #<run> #<flow id>`.
//!
//! Tools of others look for this line, so that it is never escaped. What could make it more than one line, or call somebody, is
//! replaced before: on writing and on searching alike.

use proto::RunId;

/// Whose comment it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    tag: String,
    marks: Vec<String>,
}

/// Longest tag and longest flow id in the line, in characters.
const MAX_WORD: usize = 512;

impl Identity {
    /// Of the comment about a run.
    pub fn new(search_tag: &str, run: &RunId, flow_id: &str) -> Self {
        Self { tag: word(search_tag), marks: vec![run.to_string(), word(flow_id)] }
    }

    /// The line, without an end.
    pub fn line(&self) -> String {
        format!("###{}### #{}", self.tag, self.marks.join(" #"))
    }

    /// Whether a comment is this one: its last line that is not empty begins with the tag and has every mark.
    pub fn is_on(&self, body: &str) -> bool {
        let Some(last) = body.lines().rev().find(|line| !line.trim().is_empty()) else { return false };
        let rest = last.strip_prefix("###").and_then(|rest| rest.strip_prefix(self.tag.as_str())).and_then(|rest| rest.strip_prefix("###"));
        rest.is_some_and(|rest| {
            let there: Vec<&str> = rest.split_whitespace().filter_map(|mark| mark.strip_prefix('#')).collect();
            self.marks.iter().all(|mark| there.contains(&mark.as_str()))
        })
    }
}

/// The text as one word. `@` stays inside of an address, where it calls nobody.
fn word(text: &str) -> String {
    let mut previous = ' ';
    let keep = |c: char| {
        let address = c == '@' && previous.is_ascii_alphanumeric();
        let kept = if address || c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '+' | '=') { c } else { '_' };
        previous = kept;
        kept
    };
    text.chars().take(MAX_WORD).map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::ShardNo;

    fn run() -> RunId {
        RunId::from_repeatable(&["tag"], ShardNo(0))
    }

    fn identity() -> Identity {
        Identity::new("a1b2c3d4", &run(), "ada:0011aabb-exec")
    }

    #[test]
    fn the_line_is_that_of_the_replaced_engine() {
        assert_eq!(identity().line(), format!("###a1b2c3d4### #{} #ada:0011aabb-exec", run()));
    }

    #[test]
    fn only_the_last_line_with_every_mark_counts() {
        let line = identity().line();
        for mine in [
            line.clone(),
            format!("x\n\n{line}"),
            format!("x\r\n{line}\r\n\r\n  \n"),
            format!("###a1b2c3d4###\t#more  #ada:0011aabb-exec #{}", run()),
        ] {
            assert!(identity().is_on(&mine), "{mine:?}");
        }
        for other in [
            String::new(),
            "\n".to_owned(),
            format!("{line}\nand a word of thanks"),
            format!("> {line}"),
            format!(" {line}"),
            line.replace("a1b2c3d4", "a1b2c3d5"),
            line.replace("exec", "execution"),
            line.replace(&run().to_string(), &run().to_string()[..8]),
            format!("###a1b2c3d4### #{}", run()),
            line.replace("### #", "## #"),
        ] {
            assert!(!identity().is_on(&other), "{other:?}");
        }
    }

    #[test]
    fn no_word_breaks_the_line_or_calls_somebody() {
        for hostile in ["x\ny", "x y", "@admin", "x @admin", "<b>", "x`y", "[a](b)", "#12", "x###", "\u{2028}", "*x*"] {
            let identity = Identity::new(hostile, &run(), hostile);
            let line = identity.line();
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(!line.contains(['@', '<', '`', '[', '(', '*', '\u{2028}']), "{line}");
            assert_eq!(line.matches(' ').count(), 2, "{line}");
            assert!(identity.is_on(&format!("text\n\n{line}\n")), "{line}");
        }
        assert!(Identity::new("t", &run(), "ada@example.com:0-exec").line().ends_with("#ada@example.com:0-exec"));
    }
}
