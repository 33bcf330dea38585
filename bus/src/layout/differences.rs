//! How a stream or a consumer that is there differs from what it must be, field by field. Only what Navvy says anything
//! about is compared: limits, placement and descriptions are the operator's.

use async_nats::jetstream::consumer;
use async_nats::jetstream::stream::Config;
use std::fmt::Debug;

/// One difference, as a person should read it.
fn differs<T: PartialEq + Debug>(out: &mut Vec<String>, field: &str, found: &T, wanted: &T) {
    if found != wanted {
        out.push(format!("{field} is {found:?}, must be {wanted:?}"));
    }
}

/// Differences between a stream and what it must be.
pub(crate) fn of_stream(found: &Config, wanted: &Config) -> Vec<String> {
    let mut out = Vec::new();
    differs(&mut out, "subjects", &found.subjects, &wanted.subjects);
    differs(&mut out, "retention", &found.retention, &wanted.retention);
    differs(&mut out, "storage", &found.storage, &wanted.storage);
    differs(&mut out, "replicas", &found.num_replicas, &wanted.num_replicas);
    differs(&mut out, "max_age", &found.max_age, &wanted.max_age);
    differs(&mut out, "max_msgs_per_subject", &found.max_messages_per_subject, &wanted.max_messages_per_subject);
    differs(&mut out, "max_consumers", &found.max_consumers, &wanted.max_consumers);
    differs(&mut out, "discard", &found.discard, &wanted.discard);
    differs(&mut out, "allow_rollup_hdrs", &found.allow_rollup, &wanted.allow_rollup);
    differs(&mut out, "deny_delete", &found.deny_delete, &wanted.deny_delete);
    differs(&mut out, "deny_purge", &found.deny_purge, &wanted.deny_purge);
    differs(&mut out, "allow_direct", &found.allow_direct, &wanted.allow_direct);
    differs(&mut out, "allow_atomic", &found.allow_atomic_publish, &wanted.allow_atomic_publish);
    differs(&mut out, "allow_msg_ttl", &found.allow_message_ttl, &wanted.allow_message_ttl);
    differs(&mut out, "subject_delete_marker_ttl", &found.subject_delete_marker_ttl, &wanted.subject_delete_marker_ttl);
    differs(&mut out, "republish", &found.republish, &wanted.republish);
    // Not said means: whatever the server takes for it.
    if !wanted.duplicate_window.is_zero() {
        differs(&mut out, "duplicate_window", &found.duplicate_window, &wanted.duplicate_window);
    }
    out
}

/// What is there, with everything Navvy says about it put in place; the operator's own settings stay.
pub(crate) fn corrected(found: &Config, wanted: &Config) -> Config {
    let mut made = found.clone();
    made.subjects.clone_from(&wanted.subjects);
    made.retention = wanted.retention;
    made.storage = wanted.storage;
    made.num_replicas = wanted.num_replicas;
    made.max_age = wanted.max_age;
    made.max_messages_per_subject = wanted.max_messages_per_subject;
    made.max_consumers = wanted.max_consumers;
    made.discard = wanted.discard;
    made.allow_rollup = wanted.allow_rollup;
    made.deny_delete = wanted.deny_delete;
    made.deny_purge = wanted.deny_purge;
    made.allow_direct = wanted.allow_direct;
    made.allow_atomic_publish = wanted.allow_atomic_publish;
    made.allow_message_ttl = wanted.allow_message_ttl;
    made.subject_delete_marker_ttl = wanted.subject_delete_marker_ttl;
    made.republish.clone_from(&wanted.republish);
    if !wanted.duplicate_window.is_zero() {
        made.duplicate_window = wanted.duplicate_window;
    }
    made
}

/// Differences between a consumer and what it must be.
pub(crate) fn of_consumer(found: &consumer::Config, wanted: &consumer::Config) -> Vec<String> {
    let mut out = Vec::new();
    differs(&mut out, "filter_subject", &found.filter_subject, &wanted.filter_subject);
    differs(&mut out, "ack_policy", &found.ack_policy, &wanted.ack_policy);
    differs(&mut out, "ack_wait", &found.ack_wait, &wanted.ack_wait);
    differs(&mut out, "max_deliver", &found.max_deliver, &wanted.max_deliver);
    differs(&mut out, "max_ack_pending", &found.max_ack_pending, &wanted.max_ack_pending);
    differs(&mut out, "max_waiting", &found.max_waiting, &wanted.max_waiting);
    differs(&mut out, "deliver_subject", &found.deliver_subject, &wanted.deliver_subject);
    out
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_corrected_no_longer_differs() {
        let wanted = Layout { replicas: 3, ..Layout::default() }.wanted();
        let strange =
            Config { max_bytes: 7, max_age: Duration::from_secs(1), duplicate_window: Duration::from_secs(1), ..Config::default() };
        for want in wanted {
            let made = corrected(&strange, &want.config);
            assert_eq!(of_stream(&made, &want.config), Vec::<String>::new(), "{}", want.config.name);
            assert_eq!(made.max_bytes, 7, "the operator's limit stays");
            assert_ne!(of_stream(&strange, &want.config), Vec::<String>::new());
        }
    }
}
