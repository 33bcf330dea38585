//! Reads how a service is synced: `command`, or `compose` or `dokploy` with their fields.

use crate::{
    hash,
    mapping::BOOTSTRAP,
    placeholder::{self, Place},
    yaml::{Fields, Kind, Node, Problems},
};
use proto::{
    path::RepoPath,
    sync::{ComposeTarget, DataFolder, DokployTarget, Domain, EnsuredSecret, Executor, Native},
};
use std::{collections::BTreeMap, str::FromStr};

pub(super) const VARIABLE_RULE: &str = "a variable is called by letters, digits and _, not starting with a digit, at most 256";
const RULE: &str = "executor must be `command`, `compose` or `dokploy`, or `compose:` or `dokploy:` with its fields";
const NATIVE: [&str; 4] = ["file", "env", "data", "secret"];
const MOST_ENV: usize = 200;
const MOST_VALUE: usize = 4096;
/// Who owns the files of most images, as the replaced service had it.
const USUAL_OWNER: u32 = 999;
const USUAL_MODE: &str = "755";
/// Compose projects of two environments must not share a name.
const USUAL_PROJECT: &str = "{project}-{service}{suffix}";

/// The executor, and whether it names its compose file.
pub(super) fn read(problems: &mut Problems, node: &Node) -> Option<(Executor, bool)> {
    let nothing = Node { place: node.place, kind: Kind::Map(Vec::new()) };
    match (node.text(), node.entries()) {
        (Some("command"), _) => Some((Executor::Command, false)),
        (Some("compose"), _) => compose(problems, &nothing),
        (Some("dokploy"), _) => dokploy(problems, &nothing),
        (None, [(key, fields)]) if key.name == "compose" => compose(problems, fields),
        (None, [(key, fields)]) if key.name == "dokploy" => dokploy(problems, fields),
        (Some(_) | None, _) => {
            problems.add(node.place, RULE);
            None
        }
    }
}

fn compose(problems: &mut Problems, node: &Node) -> Option<(Executor, bool)> {
    let fields = problems.fields(node, "compose", &[&NATIVE[..], &["host", "project"]].concat());
    let (native, names_file) = native(problems, &fields)?;
    let host = fields.get("host").and_then(|node| {
        let host = problems.text(node, "host", 260)?;
        if proto::git::AllowedHosts::parse([host]).is_err() {
            problems.add(node.place, "host must be HOST or HOST:PORT");
        }
        Some(host.to_owned())
    });
    let project = fields.get("project").map_or(Some(USUAL_PROJECT), |node| own(problems, node, "project", 128))?.to_owned();
    Some((Executor::Compose(ComposeTarget { native, host, project }), names_file))
}

fn dokploy(problems: &mut Problems, node: &Node) -> Option<(Executor, bool)> {
    let fields = problems.fields(node, "dokploy", &[&NATIVE[..], &["project", "name", "domain"]].concat());
    let (native, names_file) = native(problems, &fields)?;
    let mut named = |field: &str| fields.get(field).and_then(|node| problems.text(node, field, 128)).map(str::to_owned);
    let (project, name) = (named("project"), named("name"));
    if let Some(node) = fields.get("project").filter(|_| project.as_deref().is_some_and(|project| project.eq_ignore_ascii_case(BOOTSTRAP)))
    {
        problems.add(node.place, "project must not be the bootstrap: the runner would deploy itself");
    }
    let domain = fields.get("domain").and_then(|node| domain(problems, node));
    Some((Executor::Dokploy(DokployTarget { native, project, name, domain }), names_file))
}

fn native(problems: &mut Problems, fields: &Fields<'_>) -> Option<(Native, bool)> {
    let file = fields.get("file").map(|node| problems.parsed::<RepoPath>(node, "file"));
    let names_file = file.is_some();
    let file = match file {
        Some(file) => file?,
        None => RepoPath::from_str("compose.yaml").ok()?,
    };
    let env = fields.get("env").map(|node| env(problems, node)).unwrap_or_default();
    let data = fields.get("data").and_then(|node| data(problems, node));
    let secret = fields.get("secret").and_then(|node| secret(problems, node));
    Some((Native { file, env, data, secret }, names_file))
}

fn env(problems: &mut Problems, node: &Node) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for (key, node) in problems.map(node, "env", MOST_ENV) {
        if !is_variable(&key.name) {
            problems.add(key.place, VARIABLE_RULE);
        } else if key.name == hash::VARIABLE {
            problems.add(key.place, format!("{} is the service's identity, which Navvy writes: remove it", hash::VARIABLE));
        }
        let value = match &node.kind {
            Kind::Int(number) => number.to_string(),
            Kind::Bool(value) => value.to_string(),
            Kind::Text(text) => text.clone(),
            Kind::Null | Kind::Float(_) | Kind::List(_) | Kind::Map(_) => {
                problems.add(node.place, "a value of env must be a text: put it in quotes");
                continue;
            }
        };
        if value.len() > MOST_VALUE || value.contains('\0') {
            problems.add(node.place, format!("a value of env has {MOST_VALUE} bytes at most, and no NUL"));
        } else if let Err(error) = placeholder::check(&value, Place::Value) {
            problems.add(node.place, error.to_string());
        }
        env.insert(key.name.clone(), value);
    }
    env
}

fn data(problems: &mut Problems, node: &Node) -> Option<DataFolder> {
    let fields = problems.fields(node, "data", &["path", "uid", "gid", "mode"]);
    let path = required(problems, &fields, "data", "path")?;
    let text = own(problems, path, "path", 512)?;
    if !text.starts_with('/') || text.trim_start_matches('/').split('/').any(|part| matches!(part, "" | "." | "..")) {
        problems.add(path.place, "path must be absolute, without empty parts, `.` and `..`");
    }
    let mut owner = |field: &str| {
        fields.get(field).map_or(Some(USUAL_OWNER), |node| Some(problems.number(node, field, 0..=i64::from(u32::MAX - 1))? as u32))
    };
    let (uid, gid) = (owner("uid")?, owner("gid")?);
    let mode = match fields.get("mode") {
        None => USUAL_MODE.to_owned(),
        Some(Node { kind: Kind::Int(number), .. }) if is_mode(&number.to_string()) => number.to_string(),
        Some(Node { kind: Kind::Text(text), .. }) if is_mode(text) => text.trim_start_matches('0').to_owned(),
        Some(node) => {
            problems.add(node.place, "mode must be three octal digits, such as 755; special bits are not set");
            return None;
        }
    };
    Some(DataFolder { path: text.to_owned(), uid, gid, mode })
}

/// `755` or `0755`; the owner can use it in any case.
fn is_mode(text: &str) -> bool {
    let digits = if text.len() == 4 { text.strip_prefix('0').unwrap_or(text) } else { text };
    digits.len() == 3 && digits.starts_with(['4', '5', '6', '7']) && digits.bytes().all(|b| (b'0'..=b'7').contains(&b))
}

fn secret(problems: &mut Problems, node: &Node) -> Option<EnsuredSecret> {
    let fields = problems.fields(node, "secret", &["path", "keys"]);
    let path = required(problems, &fields, "secret", "path")?;
    let text = own(problems, path, "path", 512)?;
    if text.starts_with('/') || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        problems.add(path.place, "path is relative to Vault's mount, without empty parts, `.` and `..`, such as {project}/{env}/{service}");
    }
    let keys = required(problems, &fields, "secret", "keys")?;
    let nodes = problems.list(keys, "keys", MOST_ENV);
    if nodes.is_empty() {
        problems.add(keys.place, "keys must name at least one key that the secret has");
    }
    let keys = nodes.iter().filter_map(|node| problems.text(node, "keys", 256)).map(str::to_owned).collect();
    Some(EnsuredSecret { path: text.to_owned(), keys })
}

fn domain(problems: &mut Problems, node: &Node) -> Option<Domain> {
    let fields = problems.fields(node, "domain", &["subdomain", "service", "port"]);
    let subdomain = required(problems, &fields, "domain", "subdomain")?;
    let text = problems.text(subdomain, "subdomain", 63)?;
    let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !letters || text.starts_with('-') || text.ends_with('-') {
        problems.add(subdomain.place, "subdomain is one part of a host name: a-z, 0-9 and `-`");
    }
    let service = required(problems, &fields, "domain", "service")?;
    let service = problems.text(service, "service", 128)?.to_owned();
    let port = required(problems, &fields, "domain", "port")?;
    let port = problems.number(port, "port", 1..=65535)? as u16;
    Some(Domain { subdomain: text.to_owned(), service, port })
}

fn required<'a>(problems: &mut Problems, fields: &Fields<'a>, what: &str, field: &str) -> Option<&'a Node> {
    let node = fields.get(field);
    if node.is_none() {
        problems.add(fields.place, format!("{what} needs `{field}`"));
    }
    node
}

/// A text that names something outside of the repository. It has to name the service and the environment by their placeholders:
/// a service that could name anything could be put in the place of another one, of production, or of the bootstrap.
fn own<'a>(problems: &mut Problems, node: &'a Node, what: &str, most: usize) -> Option<&'a str> {
    let text = filled(problems, node, what, most)?;
    let says = |placeholder: &str| text.contains(placeholder);
    if says("{project}") && says("{service}") && (says("{env}") || says("{suffix}")) {
        return Some(text);
    }
    problems.add(node.place, format!("{what} must hold {{project}}, {{service}}, and {{env}} or {{suffix}}: it is the service's own"));
    None
}

/// A text whose placeholders are known.
fn filled<'a>(problems: &mut Problems, node: &'a Node, what: &str, most: usize) -> Option<&'a str> {
    let text = problems.text(node, what, most)?;
    placeholder::check(text, Place::Value).map_err(|error| problems.add(node.place, format!("{what}: {error}"))).ok()?;
    Some(text)
}

pub(super) fn is_variable(name: &str) -> bool {
    (1..=256).contains(&name.len())
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
