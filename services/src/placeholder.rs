//! Placeholders in commands and in values of the mapping: `{service}` and the like. `{{` and `}}` stand for braces.

use proto::sync::{Environment, ServiceId};

/// What a text may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// An argument of the command that syncs a service.
    Command,
    /// A value of the mapping. Here neither `{task}` nor `{ref}`: a value that changes with every commit would deploy the
    /// service with every commit.
    Value,
}

/// What placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    pub environment: &'a Environment,
    /// `{service}` is its name in the project, `{project}` the project.
    pub service: &'a ServiceId,
    /// Such as `postgres.sync`.
    pub task: &'a str,
    /// What was asked for: a branch, a tag or a commit.
    pub reference: &'a str,
    /// The internal domain, where the worker has one.
    pub domain: Option<&'a str>,
}

/// Why a text cannot be filled in. Names the placeholder, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlaceholder {
    #[error("`{{{name}}}` is no placeholder: it may be one of {known}; for braces write {{{{ and }}}}")]
    Unknown { name: String, known: &'static str },
    #[error("a `{0}` stands alone: for the character itself write it twice")]
    Alone(char),
    #[error("`{{domain}}` has no value: the operator of the worker sets the internal domain")]
    NoDomain,
}

const IN_COMMANDS: &str = "{task}, {service}, {project}, {env}, {suffix}, {domain} and {ref}";
const IN_VALUES: &str = "{service}, {project}, {env}, {suffix} and {domain}";

#[derive(Clone, Copy)]
enum Name {
    Env,
    Suffix,
    Service,
    Project,
    Domain,
    Task,
    Ref,
}

enum Part<'a> {
    Text(&'a str),
    Named(Name),
}

/// The text with its placeholders replaced. What is filled in is not read again.
pub fn fill(text: &str, place: Place, values: &Values<'_>) -> Result<String, BadPlaceholder> {
    let mut filled = String::with_capacity(text.len());
    for part in parts(text, place)? {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Named(Name::Env) => filled.push_str(values.environment.as_str()),
            Part::Named(Name::Suffix) => filled.push_str(&values.environment.suffix()),
            Part::Named(Name::Service) => filled.push_str(values.service.name()),
            Part::Named(Name::Project) => filled.push_str(values.service.project()),
            Part::Named(Name::Domain) => filled.push_str(values.domain.ok_or(BadPlaceholder::NoDomain)?),
            Part::Named(Name::Task) => filled.push_str(values.task),
            Part::Named(Name::Ref) => filled.push_str(values.reference),
        }
    }
    Ok(filled)
}

/// Whether a text names nothing but what its place has.
pub fn check(text: &str, place: Place) -> Result<(), BadPlaceholder> {
    parts(text, place).map(|_| ())
}

fn parts(text: &str, place: Place) -> Result<Vec<Part<'_>>, BadPlaceholder> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        parts.push(Part::Text(before));
        rest = if from.starts_with("{{") || from.starts_with("}}") {
            parts.push(Part::Text(&from[..1]));
            &from[2..]
        } else if from.starts_with('}') {
            return Err(BadPlaceholder::Alone('}'));
        } else {
            let (name, after) = from[1..].split_once('}').ok_or(BadPlaceholder::Alone('{'))?;
            parts.push(Part::Named(named(name, place)?));
            after
        };
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

fn named(name: &str, place: Place) -> Result<Name, BadPlaceholder> {
    let known = match place {
        Place::Command => IN_COMMANDS,
        Place::Value => IN_VALUES,
    };
    match (name, place) {
        ("env", _) => Ok(Name::Env),
        ("suffix", _) => Ok(Name::Suffix),
        ("service", _) => Ok(Name::Service),
        ("project", _) => Ok(Name::Project),
        ("domain", _) => Ok(Name::Domain),
        ("task", Place::Command) => Ok(Name::Task),
        ("ref", Place::Command) => Ok(Name::Ref),
        (other, _) => Err(BadPlaceholder::Unknown { name: other.chars().take(40).flat_map(char::escape_debug).collect(), known }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(text: &str, place: Place, domain: Option<&str>) -> Result<String, String> {
        let environment = "staging".parse().unwrap();
        let service = "platform/postgres".parse().unwrap();
        let values = Values { environment: &environment, service: &service, task: "postgres.sync", reference: "{env}", domain };
        fill(text, place, &values).map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_replaced_once_and_unknown_ones_are_named() {
        let example = Some("example.com");
        for (text, place, domain, expected) in [
            ("/data/{project}/{service}{suffix}", Place::Value, None, Ok("/data/platform/postgres-staging")),
            ("{service}.{domain}", Place::Value, example, Ok("postgres.example.com")),
            ("{task}", Place::Command, None, Ok("postgres.sync")),
            // A reference that looks like a placeholder stays what it is.
            ("--ref={ref} --env={env}", Place::Command, None, Ok("--ref={env} --env=staging")),
            ("{{service}} }}{{", Place::Value, None, Ok("{service} }{")),
            ("", Place::Value, None, Ok("")),
            ("ü{env}ü", Place::Value, None, Ok("üstagingü")),
            ("{domain}", Place::Value, None, Err("`{domain}` has no value: the operator of the worker sets the internal domain")),
            ("{", Place::Value, None, Err("a `{` stands alone: for the character itself write it twice")),
            ("a}b", Place::Value, None, Err("a `}` stands alone: for the character itself write it twice")),
            (
                "${HOME}",
                Place::Value,
                None,
                Err(
                    "`{HOME}` is no placeholder: it may be one of {service}, {project}, {env}, {suffix} and {domain}; for braces write {{ and }}",
                ),
            ),
        ] {
            assert_eq!(filled(text, place, domain), expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
        for text in ["{task}", "{ref}"] {
            assert!(filled(text, Place::Value, None).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn doubled_braces_bring_any_text_through(text in "[{}a-cü$]{0,12}") {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(filled(&doubled, Place::Command, None), Ok(text.clone()));
            prop_assert_eq!(check(&text, Place::Value).is_ok(), filled(&text, Place::Value, Some("x")).is_ok());
        }
    }
}
