//! What a delivery's headers say about it: the event, and the id by which a repeat is known.

use crate::answers::Refusal;
use axum::http::HeaderMap;
use service::settings::ForgeKind;

/// Longest event and longest id.
const LONGEST: usize = 200;

/// The headers in which forges name an event. A request with one of them is a delivery, and no job of orders.
const EVENTS: [&str; 6] = ["x-github-event", "x-gitlab-event", "x-gitea-event", "x-forgejo-event", "x-gogs-event", "x-event-key"];

/// What the headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heading {
    /// Empty for a forge that says it in the body.
    pub(crate) event: String,
    /// Absent: the body has it, or is itself what a repeat is known by.
    pub(crate) delivery: Option<String>,
}

/// Whether a request is some forge's delivery.
pub(crate) fn is_delivery(headers: &HeaderMap) -> bool {
    EVENTS.iter().any(|name| headers.contains_key(*name))
}

/// The heading of a delivery of this kind.
pub(crate) fn heading(kind: ForgeKind, headers: &HeaderMap) -> Result<Heading, Refusal> {
    let (events, deliveries): (&[_], &[_]) = match kind {
        ForgeKind::Github => (&["x-github-event"], &["x-github-delivery"]),
        // A retry of GitLab has the same key; `x-gitlab-event-uuid` is shared by events that one caused another.
        ForgeKind::Gitlab => (&["x-gitlab-event"], &["webhook-id", "idempotency-key", "x-gitlab-event-uuid"]),
        ForgeKind::Gitea => (&["x-forgejo-event", "x-gitea-event"], &["x-forgejo-delivery", "x-gitea-delivery"]),
        ForgeKind::BitbucketCloud => (&["x-event-key"], &["x-request-uuid"]),
        ForgeKind::BitbucketServer => (&["x-event-key"], &["x-request-id"]),
        ForgeKind::AzureDevops => (&[], &[]),
    };
    let event = first(headers, events)?;
    match (event, events.first()) {
        (None, Some(name)) => Err(Refusal::field(*name, "is missing: a delivery says what it tells of")),
        (event, _) => Ok(Heading { event: event.unwrap_or_default().to_owned(), delivery: first(headers, deliveries)?.map(str::to_owned) }),
    }
}

/// The first of these headers that is there; each may be there once.
fn first<'a>(headers: &'a HeaderMap, names: &[&'static str]) -> Result<Option<&'a str>, Refusal> {
    let mut found = None;
    for name in names {
        let mut values = headers.get_all(*name).iter();
        let value = values.next();
        if values.next().is_some() {
            return Err(Refusal::field(*name, "is there more than once"));
        }
        let text = value.map(|value| value.to_str().ok().filter(|text| is_sound(text)));
        match text {
            Some(None) => return Err(Refusal::field(*name, format!("must be 1 to {LONGEST} visible ASCII characters"))),
            Some(Some(text)) => found = found.or(Some(text)),
            None => {}
        }
    }
    Ok(found)
}

fn is_sound(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn each_forge_has_headers_of_its_own() {
        for (kind, pairs, event, delivery) in [
            (ForgeKind::Github, vec![("x-github-event", "push"), ("x-github-delivery", "d")], "push", Some("d")),
            (ForgeKind::Github, vec![("x-github-event", "push")], "push", None),
            (ForgeKind::Gitlab, vec![("x-gitlab-event", "Push Hook"), ("x-gitlab-event-uuid", "u")], "Push Hook", Some("u")),
            (
                ForgeKind::Gitlab,
                vec![("x-gitlab-event", "Push Hook"), ("x-gitlab-event-uuid", "u"), ("webhook-id", "w")],
                "Push Hook",
                Some("w"),
            ),
            (ForgeKind::Gitea, vec![("x-gitea-event", "push"), ("x-forgejo-event", "push"), ("x-gitea-delivery", "d")], "push", Some("d")),
            (ForgeKind::BitbucketCloud, vec![("x-event-key", "repo:push"), ("x-request-uuid", "d")], "repo:push", Some("d")),
            (ForgeKind::BitbucketServer, vec![("x-event-key", "repo:refs_changed"), ("x-request-id", "d")], "repo:refs_changed", Some("d")),
            (ForgeKind::AzureDevops, vec![], "", None),
        ] {
            let expected = Heading { event: event.to_owned(), delivery: delivery.map(str::to_owned) };
            assert_eq!(heading(kind, &headers(&pairs)), Ok(expected), "{pairs:?}");
            assert_eq!(is_delivery(&headers(&pairs)), kind != ForgeKind::AzureDevops);
        }
    }

    #[test]
    fn w8_two_events_or_ids_are_ambiguous_and_an_event_must_be_there() {
        let long = "x".repeat(LONGEST + 1);
        for (pairs, field) in [
            (vec![], "x-github-event"),
            (vec![("x-github-event", "push"), ("x-github-event", "ping")], "x-github-event"),
            (vec![("x-github-event", "push"), ("x-github-delivery", "a"), ("x-github-delivery", "b")], "x-github-delivery"),
            (vec![("x-github-event", "push"), ("x-github-delivery", "")], "x-github-delivery"),
            (vec![("x-github-event", long.as_str())], "x-github-event"),
        ] {
            let refused = heading(ForgeKind::Github, &headers(&pairs)).unwrap_err();
            assert_eq!((refused.code().0, refused.named_field()), (400, Some(field)), "{pairs:?}");
        }
    }
}
