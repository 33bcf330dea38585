//! Which arguments a run may add to init and plan. An allow-list: `-out`, `-state`, `-lock=false`, `-chdir`, `-plugin-dir`
//! and everything else that would override what Navvy relies on is refused by not being on it.

/// Why an argument is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentRefused {
    #[error("a quote is not closed")]
    UnclosedQuote,
    #[error("holds a NUL byte")]
    Nul,
    #[error("`{0}` is not an option: only options are allowed here")]
    NotAnOption(String),
    #[error("the option `{flag}` may not be used: {reason}")]
    Forbidden { flag: String, reason: &'static str },
    #[error("the option `{flag}` is not known here; allowed are {allowed}")]
    Unknown { flag: String, allowed: String },
    #[error("the option `{0}` needs a value")]
    ValueMissing(String),
    #[error("the value of the option `{flag}` is not valid: {reason}")]
    BadValue { flag: String, reason: &'static str },
    #[error("more than 200 arguments")]
    TooMany,
}

#[derive(Clone, Copy)]
enum Takes {
    /// `-flag`, `-flag=true`, `-flag=false`.
    Switch,
    /// `-flag=value` or `-flag value`.
    Text,
    Number,
    /// `30s`, `5m`.
    Duration,
    /// Only this value.
    Only(&'static str),
    /// `KEY=VALUE`, never a file name.
    KeyValue,
}

const INIT: &[(&str, Takes)] = &[
    ("upgrade", Takes::Switch),
    ("reconfigure", Takes::Switch),
    ("get", Takes::Switch),
    ("no-color", Takes::Switch),
    ("compact-warnings", Takes::Switch),
    ("lockfile", Takes::Only("readonly")),
    ("lock-timeout", Takes::Duration),
    ("backend-config", Takes::KeyValue),
];

const PLAN: &[(&str, Takes)] = &[
    ("compact-warnings", Takes::Switch),
    ("concise", Takes::Switch),
    ("no-color", Takes::Switch),
    ("refresh", Takes::Switch),
    ("refresh-only", Takes::Switch),
    ("show-sensitive", Takes::Only("false")),
    ("parallelism", Takes::Number),
    ("lock-timeout", Takes::Duration),
    ("target", Takes::Text),
    ("exclude", Takes::Text),
    ("replace", Takes::Text),
    ("var", Takes::KeyValue),
];

const FORBIDDEN: &[(&str, &str)] = &[
    ("var-file", "name the file in tfvars_files"),
    ("destroy", "set the field destroy"),
    ("out", "Navvy keeps the plan itself"),
    ("input", "nobody is there to answer"),
    ("auto-approve", "set the field auto_approve"),
    ("chdir", "set the field path"),
    ("lock", "the state must be locked"),
    ("state", "the state belongs to the backend"),
    ("state-out", "the state belongs to the backend"),
    ("backup", "the state belongs to the backend"),
    ("plugin-dir", "providers come from where the operator says"),
    ("backend", "the state belongs to the backend"),
    ("force-copy", "a state is not moved by a job"),
    ("migrate-state", "a state is not moved by a job"),
    ("from-module", "the code comes from git_url"),
    ("json", "Navvy reads the plan itself"),
    ("json-into", "Navvy reads the plan itself"),
    ("detailed-exitcode", "Navvy reads the exit code"),
    ("generate-config-out", "it writes into the checkout"),
];

const MAX_ARGUMENTS: usize = 200;

/// The arguments of `init_flags`, one element each, in the form `-flag` or `-flag=value`.
pub fn init_arguments(flags: &str) -> Result<Vec<String>, ArgumentRefused> {
    parse(flags, INIT)
}

/// The arguments of `plan_flags`, one element each, in the form `-flag` or `-flag=value`.
pub fn plan_arguments(flags: &str) -> Result<Vec<String>, ArgumentRefused> {
    parse(flags, PLAN)
}

fn parse(flags: &str, allowed: &[(&str, Takes)]) -> Result<Vec<String>, ArgumentRefused> {
    if flags.contains('\0') {
        return Err(ArgumentRefused::Nul);
    }
    // The rules of a shell's quoting without a shell: `$(x)` and `;` are letters like any other.
    let words = shell_words::split(flags).map_err(|_| ArgumentRefused::UnclosedQuote)?;
    let mut words = words.into_iter();
    let mut arguments = Vec::new();
    while let Some(word) = words.next() {
        if arguments.len() == MAX_ARGUMENTS {
            return Err(ArgumentRefused::TooMany);
        }
        arguments.push(argument(&word, &mut words, allowed)?);
    }
    Ok(arguments)
}

fn argument(word: &str, rest: &mut impl Iterator<Item = String>, allowed: &[(&str, Takes)]) -> Result<String, ArgumentRefused> {
    // One dash or two, as terraform takes both.
    let body = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|body| !body.is_empty() && !body.starts_with('-'));
    let Some(body) = body else { return Err(ArgumentRefused::NotAnOption(shown(word))) };
    let (name, value) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (body, None),
    };
    let flag = format!("-{}", shown(name));
    if let Some((_, reason)) = FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == name) {
        return Err(ArgumentRefused::Forbidden { flag, reason });
    }
    let Some((_, takes)) = allowed.iter().find(|(known, _)| *known == name) else {
        let allowed = allowed.iter().map(|(known, _)| format!("-{known}")).collect::<Vec<_>>().join(" ");
        return Err(ArgumentRefused::Unknown { flag, allowed });
    };
    if let Takes::Switch = takes {
        return match value.as_deref() {
            None => Ok(flag),
            Some(value @ ("true" | "false")) => Ok(format!("{flag}={value}")),
            Some(_) => Err(ArgumentRefused::BadValue { flag, reason: "true or false" }),
        };
    }
    let value = value.or_else(|| rest.next()).ok_or_else(|| ArgumentRefused::ValueMissing(flag.clone()))?;
    check_value(*takes, &value).map_err(|reason| ArgumentRefused::BadValue { flag: flag.clone(), reason })?;
    Ok(format!("{flag}={value}"))
}

fn check_value(takes: Takes, value: &str) -> Result<(), &'static str> {
    let good = match takes {
        Takes::Switch => true,
        Takes::Text => !value.is_empty(),
        Takes::Number => value.parse::<u16>().is_ok_and(|n| (1..=256).contains(&n)),
        Takes::Duration => value
            .strip_suffix(['s', 'm'])
            .is_some_and(|number| number.len() <= 4 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())),
        Takes::Only(only) => value == only,
        Takes::KeyValue => value
            .split_once('=')
            .is_some_and(|(key, _)| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))),
    };
    if good {
        return Ok(());
    }
    Err(match takes {
        Takes::Switch => "true or false",
        Takes::Text => "must not be empty",
        Takes::Number => "a whole number from 1 to 256",
        Takes::Duration => "seconds or minutes, such as 30s or 5m",
        Takes::Only(_) => "only one value is allowed for it",
        Takes::KeyValue => "must read KEY=VALUE; file names are not allowed",
    })
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_arguments_come_out_in_one_form() {
        for (flags, expected) in [
            ("", vec![]),
            ("-upgrade -backend-config=bucket=my-tfstate", vec!["-upgrade", "-backend-config=bucket=my-tfstate"]),
            ("--upgrade=false", vec!["-upgrade=false"]),
            ("-backend-config 'key=a b'", vec!["-backend-config=key=a b"]),
            ("-backend-config=\"key=\"", vec!["-backend-config=key="]),
        ] {
            assert_eq!(init_arguments(flags).expect(flags), expected);
        }
        assert_eq!(
            plan_arguments("-compact-warnings -parallelism=10 -target 'aws_x.y[\"ü\"]' -var 'x=$(touch foo)'").expect("valid"),
            ["-compact-warnings", "-parallelism=10", "-target=aws_x.y[\"ü\"]", "-var=x=$(touch foo)"]
        );
    }

    #[test]
    fn what_overrides_navvy_is_refused_in_both_dash_forms() {
        for flag in [
            "-chdir=/",
            "-out=x",
            "-lock=false",
            "-state=x",
            "-plugin-dir=x",
            "-backend=false",
            "-json",
            "-destroy",
            "-input=true",
            "-var-file=/proc/self/environ",
            "-migrate-state",
            "-auto-approve",
            "-wat",
        ] {
            for dashes in [flag.to_owned(), format!("-{flag}")] {
                assert!(init_arguments(&dashes).is_err(), "{dashes}");
                assert!(plan_arguments(&dashes).is_err(), "{dashes}");
            }
        }
    }

    #[test]
    fn an_option_cannot_hide_behind_another_ones_value() {
        // `-target` takes the next word as its value, as terraform does, so nothing is smuggled in.
        assert_eq!(plan_arguments("-target -lock=false").expect("value"), ["-target=-lock=false"]);
        for bad in [
            "-target",
            "x",
            "-",
            "--",
            "---x",
            "; rm",
            "-backend-config=/etc/x",
            "-parallelism=0",
            "-parallelism=1e9",
            "-lock-timeout=forever",
            "'-upgrade",
            "-upgrade=maybe",
        ] {
            assert!(plan_arguments(bad).is_err() && init_arguments(bad).is_err(), "{bad}");
        }
    }
}
