//! The rules of notifications. What files hold is looked at by the gateway, which reads them.

use std::collections::BTreeSet;

use super::{Findings, address};
use crate::settings::tree::{NOTIFY_EVENTS, Notify, NotifyFormat, Settings, event_matches};

pub(super) fn notify(settings: &Settings, found: &mut Findings) {
    let mut ids = BTreeSet::new();
    for (n, hook) in settings.notify.iter().enumerate() {
        let key = |name: &str| format!("notify[{n}].{name}");
        let name = ("the name is part of a NATS key", "use 1 to 63 lower-case letters, digits, - and _");
        found.require(address::is_name(&hook.id, false), &key("id"), format!("{:?} is no name", hook.id), name);
        let unique = hook.id.is_empty() || ids.insert(hook.id.as_str());
        let rest = ("what was told is kept under the id", "give each one an id of its own");
        found.require(unique, &key("id"), format!("{:?} is there twice", hook.id), rest);
        addressed(hook, &key, found);
        signed(hook, &key, found);
        chosen(hook, &key, settings, found);
    }
}

fn addressed(hook: &Notify, key: &impl Fn(&str) -> String, found: &mut Findings) {
    let rest = ("nobody, or two, would be told", "set either url or url_file");
    found.require(hook.url.is_some() != hook.url_file.is_some(), &key("url"), "must be given in one of two ways", rest);
    let fault = hook.url.as_ref().and_then(|url| address::guarded_url(url.expose()).err());
    found.url(&key("url"), fault, "write https://host/path; http:// only to this machine");
}

fn signed(hook: &Notify, key: &impl Fn(&str) -> String, found: &mut Findings) {
    match hook.format {
        NotifyFormat::Cloudevents => {
            let rest = ("its receiver could not tell who sent an event", "set it; make a secret with: openssl rand -hex 32");
            found.require(hook.secret_file.is_some(), &key("secret_file"), "is missing", rest);
        }
        NotifyFormat::Slack | NotifyFormat::Discord => {
            let rest = ("this chat takes no signatures", "leave it out");
            found.require(hook.secret_file.is_none(), &key("secret_file"), "is set", rest);
        }
        NotifyFormat::Feishu => {}
    }
}

fn chosen(hook: &Notify, key: &impl Fn(&str) -> String, settings: &Settings, found: &mut Findings) {
    let rest = ("nothing would ever be told", "name at least one, such as [\"sync.failed\"]");
    found.require(!hook.events.is_empty(), &key("events"), "is empty", rest);
    for pattern in &hook.events {
        let rest = ("it would never be told", "configuration.md lists the events; * stands for any part");
        let some = NOTIFY_EVENTS.iter().any(|event| event_matches(pattern, event));
        found.require(some, &key("events"), format!("{pattern:?} means no event"), rest);
    }
    for id in &hook.sources {
        let rest = ("it would never be told of", "name the id of a [[sources]]");
        let known = settings.sources.iter().any(|source| source.id == *id);
        found.require(known, &key("sources"), format!("{id:?} is no source"), rest);
    }
    for name in &hook.environments {
        super::syncs::environment(&key("environments"), name, found);
    }
}
