//! What must be so of a run of orders in the end, whatever died on the way.
//!
//! 1. An attempt is permitted once; of an order, the commands have the last word once, and are begun once at most.
//! 2. An order begins only after what it needs: after its end, or, where it need not succeed, after its beginning.
//! 3. What was unknown is never queued again.
//! 4. A run that is over has no order that is not, ended once, and as its orders did.
//! 5. The end view counts what its pages show, and its pages show what was done.

use super::graph::{Node, name_of};
use crate::store::Logged;
use proto::view::{JobView, RunView};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that can be seen of one run from outside.
#[derive(Debug)]
pub struct Seen<'a> {
    pub nodes: &'a [Node],
    pub log: &'a Logged,
    /// Name and `begin` or `end`, in order.
    pub effects: &'a [(String, String)],
    pub view: &'a RunView,
    pub jobs: &'a [JobView],
}

/// Everything that is not as it must be.
pub fn violations(seen: &Seen<'_>) -> Vec<String> {
    let mut found = words(seen.log);
    found.extend(once(seen.effects));
    found.extend(counted(seen));
    if seen.jobs.len() != seen.nodes.len() {
        found.push(format!("{} orders were asked for, and {} are shown", seen.nodes.len(), seen.jobs.len()));
        return found;
    }
    for (no, node) in seen.nodes.iter().enumerate() {
        let name = name_of(no, node);
        found.extend(order(seen, no, node, &name).into_iter().map(|what| format!("order {name}: {what}")));
    }
    found.extend(ending(seen));
    found
}

/// What may be in the log only once, and what may not come after what.
pub(crate) fn words(log: &Logged) -> Vec<String> {
    let mut found = Vec::new();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    let mut over = false;
    for event in &log.events {
        let (job, attempt) = (event["job"].to_string(), event["attempt"].to_string());
        if over {
            found.push(format!("decided after its end: {event}"));
        }
        match event["event"].as_str().unwrap_or_default() {
            "accepted" => *times.entry("accepted".to_owned()).or_default() += 1,
            "permitted" => *times.entry(format!("permit of job {job} attempt {attempt}")).or_default() += 1,
            "effects_started" => *times.entry(format!("last word of job {job}")).or_default() += 1,
            "job_unknown" => {
                unknown.insert(job);
            }
            "job_queued" if unknown.contains(&job) => found.push(format!("job {job} was unknown and is queued again")),
            "run_ended" => over = true,
            _ => {}
        }
    }
    found.extend(times.into_iter().filter(|(_, times)| *times > 1).map(|(what, times)| format!("{what}: {times} times")));
    if !over {
        found.push("it has not ended".to_owned());
    }
    found
}

fn once(effects: &[(String, String)]) -> Vec<String> {
    let mut times: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (name, what) in effects {
        *times.entry((name, what)).or_default() += 1;
    }
    let twice = times.into_iter().filter(|(_, times)| *times > 1);
    twice.map(|((name, what), times)| format!("order {name}: `{what}` was done {times} times")).collect()
}

/// One order: what was done against what was allowed, what had to come first, and what is said of it.
fn order(seen: &Seen<'_>, no: usize, node: &Node, name: &str) -> Vec<String> {
    let place = |name: &str, what: &str| seen.effects.iter().position(|effect| effect.0 == name && effect.1 == what);
    let (begun, ended) = (place(name, "begin"), place(name, "end"));
    let had_word = seen.log.of("effects_started").any(|event| event["job"] == no);
    let mut found = Vec::new();
    if begun.is_some() && !had_word {
        found.push("begun without the last word".to_owned());
    }
    for need in node.needs {
        let first = if node.optional { place(need, "begin") } else { place(need, "end") };
        // An optional order comes after what was never begun, too.
        let in_order = begun.is_none_or(|begun| first.map_or(node.optional, |first| first < begun));
        if !in_order {
            found.push(format!("begun before what it needs: {need}"));
        }
    }
    let status = seen.jobs[no].status.as_str();
    let fits = match status {
        "succeeded" => begun.is_some() && ended.is_some() && !node.fails,
        // By itself, or because one that it needs did not succeed.
        "failed" => ended.is_none() && (node.fails || begun.is_none()),
        "timed_out" => had_word,
        _ => false,
    };
    if !fits {
        found.push(format!("shown as {status}, and was begun: {}, ended: {}", begun.is_some(), ended.is_some()));
    }
    found
}

/// The counts of the view against its pages.
fn counted(seen: &Seen<'_>) -> Vec<String> {
    let Some(counts) = seen.view.orders else { return vec!["its view counts no orders".to_owned()] };
    let shown = |status: &str| seen.jobs.iter().filter(|job| job.status == status).count() as u32;
    let table = [
        ("succeeded", counts.succeeded),
        ("failed", counts.failed),
        ("timed_out", counts.timed_out),
        ("cancelled", counts.cancelled),
        ("unknown", counts.unknown),
        ("running", counts.running),
        ("queued", counts.queued),
        ("ready", counts.ready),
        ("blocked", counts.blocked),
    ];
    let wrong = table.into_iter().filter(|(status, count)| shown(status) != *count);
    wrong.map(|(status, count)| format!("the view counts {count} {status}, its pages show {}", shown(status))).collect()
}

/// The run ended as the orders that must succeed did.
fn ending(seen: &Seen<'_>) -> Option<String> {
    let missed = |status: &str| seen.nodes.iter().zip(seen.jobs).any(|(node, job)| !node.optional && job.status == status);
    let due = match (missed("timed_out"), missed("failed")) {
        (true, _) => "timed_out",
        (false, true) => "failed",
        (false, false) => "success",
    };
    let (log, view) = (seen.log.ending().unwrap_or("not over"), seen.view.status.as_str());
    (log != due || view != due).then(|| format!("it should have ended as {due}; its log says {log}, its view {view}"))
}

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod tests;
