//! Reading terraform's errors: the boxes it draws around them, what kind of trouble they speak of, and what to do.
//!
//! Only for people: which way a job goes on is decided by exit codes and files. The one exception, an out-of-date plan,
//! is a way in which a job *fails*, and whoever can forge that text writes the configuration that is applied anyway.

use super::step::Step;
use proto::message::Failure;

/// Longest text of an error in a report, in bytes.
const MAX_TEXT: usize = 2048;
/// How many last lines stand for an error that has no box.
const LAST_LINES: usize = 12;

/// What a command said went wrong. Masked, without colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// The first error's box, and as many of the others as fit.
    pub(super) text: String,
    /// The whole text in one line, in which wrapped phrases can be found.
    flat: String,
}

/// A phrase, the kind it stands for, and what to do.
struct Trouble {
    phrases: &'static [&'static str],
    kind: &'static str,
    next_action: &'static str,
}

const STALE: &[&str] = &[
    "Saved plan is stale",
    "Saved plan does not match the given state",
    "plan file was created with a different set of external dependency selections",
    "plan file was created by",
];

/// The first that fits counts: the more special ones come first.
const TROUBLES: &[Trouble] = &[
    Trouble {
        phrases: STALE,
        kind: "plan_stale",
        next_action: "The world changed after the plan was made. Start a new run: it makes a new plan.",
    },
    Trouble {
        phrases: &["Error acquiring the state lock"],
        kind: "state_locked",
        next_action: "Somebody else works on this state. Wait until that has ended and run again. Only if nothing works on it any more: `force-unlock` with the lock's id.",
    },
    Trouble {
        phrases: &["No value for required variable"],
        kind: "missing_variable",
        next_action: "Give the variable in env_vars (TF_VAR_<name>) or in a file named in tfvars_files.",
    },
    Trouble {
        phrases: &["Unsupported Terraform Core version", "Unsupported OpenTofu Core version", "is not compatible with OpenTofu"],
        kind: "tool_version",
        next_action: "Ask for a version that `required_version` takes with tool_version.",
    },
    Trouble {
        phrases: &[
            "No valid credential sources found",
            "remote state endpoint requires auth",
            "remote state endpoint invalid auth",
            "Required token could not be found",
            "unable to build authorizer for Resource Manager API",
            "could not find default credentials",
            "ExpiredToken",
            "InvalidClientTokenId",
            "AuthorizationFailure",
            "AccessDenied",
            "StatusCode: 403",
            "StatusCode: 401",
        ],
        kind: "backend_auth",
        next_action: "Check the credentials of the state's backend or of the cloud in env_vars and backend_config: are they there, valid, and allowed to do this?",
    },
    Trouble {
        phrases: &[
            "Failed to query available provider packages",
            "Failed to install provider",
            "Failed to download module",
            "Could not download module",
        ],
        kind: "download",
        next_action: "Check the provider's or module's name and version, and whether the worker reaches its registry.",
    },
    Trouble {
        phrases: &[
            "Backend initialization required",
            "Backend configuration changed",
            "Error configuring the backend",
            "Invalid backend configuration argument",
        ],
        kind: "backend",
        next_action: "Check the backend block and backend_config.",
    },
    Trouble {
        phrases: &["Workspaces not supported", "workspaces not supported"],
        kind: "workspace",
        next_action: "This backend has only the workspace `default`: leave the field workspace out.",
    },
];

/// Reads the end of a command's output.
pub(super) fn read(tail: &[u8], mask: impl Fn(&str) -> String) -> Diagnosis {
    let plain = without_codes(&String::from_utf8_lossy(tail));
    let boxes = error_boxes(&plain);
    let text = if boxes.is_empty() { last_lines(&plain) } else { boxes.join("\n\n") };
    let masked = mask(&text);
    // terraform wraps its lines, perhaps in the middle of a secret that has blanks in it.
    let flat = mask(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    let wrapped = masked.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = if wrapped == flat { masked } else { flat.clone() };
    Diagnosis { text: cut(&text), flat }
}

impl Diagnosis {
    /// As the failure of a step that ended with exit code `code`.
    pub(super) fn failure(&self, step: Step, tool: &str, code: i32) -> Failure {
        let why = if self.text.is_empty() { format!("{tool} ended with exit code {code} and said nothing") } else { self.text.clone() };
        match TROUBLES.iter().find(|trouble| self.speaks_of(trouble.phrases)) {
            Some(trouble) => step.failure(Some(trouble.kind), &why, trouble.next_action),
            None => step.failure(None, &why, "Read the log: it names the file and the line."),
        }
    }

    /// Whether one of the phrases occurs.
    pub(super) fn speaks_of(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.flat.contains(phrase))
    }

    /// The id of the state lock that an error names: the holder's where both are named.
    pub(super) fn lock_id(&self) -> Option<String> {
        let after = |word: &str| self.flat.split_once(word).map(|(_, rest)| rest.trim_start());
        let rest = after("already locked: ID=").or_else(|| after("Lock Info: ID:")).or_else(|| after("ID: "))?;
        let id: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.')).take(200).collect();
        (!id.is_empty()).then_some(id)
    }
}

/// The content of every box that begins with `Error:`, in order, without the frame.
fn error_boxes(plain: &str) -> Vec<String> {
    let mut boxes = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in plain.lines().map(str::trim_end) {
        match (line.trim_start().chars().next(), &mut open) {
            (Some('╷'), _) => open = Some(Vec::new()),
            (Some('│'), Some(lines)) => {
                let line = line.trim_start().trim_start_matches('│');
                lines.push(line.strip_prefix(' ').unwrap_or(line));
            }
            (Some('╵'), Some(lines)) => {
                let text = lines.join("\n").trim().to_owned();
                if let Some(text) = text.strip_prefix("Error:") {
                    boxes.push(text.trim_start().to_owned());
                }
                open = None;
            }
            _ => {}
        }
    }
    boxes
}

fn last_lines(plain: &str) -> String {
    let lines: Vec<&str> = plain.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n").trim().trim_start_matches("Error: ").to_owned()
}

/// A terminal's text without its control codes.
fn without_codes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' if chars.peek() == Some(&'[') => {
                chars.next();
                // Parameters, then one letter.
                while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            }
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

/// The front of a text, at most [`MAX_TEXT`] bytes.
fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let mut end = MAX_TEXT - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKED: &str = "\x1b[31m╷\x1b[0m\x1b[0m\r\n\x1b[31m│\x1b[0m \x1b[0m\x1b[1m\x1b[31mError: \x1b[0m\x1b[0m\x1b[1mError acquiring the state lock\x1b[0m\r\n\
        \x1b[31m│\x1b[0m \x1b[0m\r\n\x1b[31m│\x1b[0m \x1b[0mError message: HTTP remote state already locked: ID=1234-abcd\r\n\
        \x1b[31m│\x1b[0m \x1b[0mLock Info:\r\n\x1b[31m│\x1b[0m \x1b[0m  ID:        1c12915d-49cd\r\n\x1b[31m╵\x1b[0m\x1b[0m\r\n";

    fn plain(text: &str) -> Diagnosis {
        read(text.as_bytes(), str::to_owned)
    }

    #[test]
    fn an_error_box_becomes_plain_text_and_a_kind() {
        let found = plain(&format!("Planning...\n╷\n│ Warning: old\n╵\n{LOCKED}"));
        assert!(found.text.starts_with("Error acquiring the state lock\n\nError message: HTTP"), "{}", found.text);
        assert!(!found.text.contains(['│', '\x1b']) && !found.text.contains("Warning"));
        assert_eq!(found.lock_id().as_deref(), Some("1234-abcd"));
        let failure = found.failure(Step::Plan, "terraform", 1);
        assert_eq!((failure.kind.as_str(), failure.phase.as_str()), ("state_locked", "plan"));
        assert!(failure.message.starts_with("Plan failed: Error acquiring"), "{}", failure.message);
    }

    #[test]
    fn an_error_without_a_box_is_the_last_lines() {
        let found = plain("Initializing\n\nworkspaces not supported\n");
        assert_eq!(found.text, "Initializing\nworkspaces not supported");
        assert_eq!(found.failure(Step::Init, "terraform", 1).kind, "workspace");
        assert_eq!(plain("").failure(Step::Init, "tofu", 2).message, "Init failed: tofu ended with exit code 2 and said nothing");
        assert_eq!(plain("boom").failure(Step::Apply, "tofu", 1).kind, "apply");
    }

    #[test]
    fn a_phrase_is_found_across_wrapped_lines() {
        let found = plain("╷\n│ Error: HTTP remote state endpoint requires\n│ auth\n╵\n");
        assert_eq!(found.failure(Step::Init, "terraform", 1).kind, "backend_auth");
    }

    #[test]
    fn a_secret_is_masked_even_where_it_was_wrapped() {
        let mask = |text: &str| text.replace("open sesame", "***");
        let found = read("╷\n│ Error: bad password open\n│ sesame\n╵\n".as_bytes(), mask);
        assert_eq!(found.text, "bad password ***");
        let found = read("╷\n│ Error: open sesame\n│ again\n╵\n".as_bytes(), mask);
        assert_eq!(found.text, "***\nagain");
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        let text = plain(&format!("╷\n│ Error: {}\n╵\n", "ü".repeat(5000))).text;
        assert!(text.len() <= MAX_TEXT && text.ends_with('…'));
    }

    #[test]
    fn any_output_can_be_read() {
        proptest::proptest!(|(text in "(\x1b\\[[0-9;]{0,4}m?|╷|│ |╵|Error: |\n|\r|\\PC){0,60}")| {
            let found = plain(&text);
            proptest::prop_assert!(found.text.len() <= MAX_TEXT);
            let _ = found.lock_id();
        });
    }
}
