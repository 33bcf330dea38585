//! The picture of a run's graph: level by level, each job with its number, its status as a word, and what it needs.
//!
//! A wide level is folded, but never over what failed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::JobNo;
use proto::message::RunSpec;
use proto::orders::order_num;
use proto::view::JobView;

use super::levels::Levels;
use super::style::{Ink, Style};
use super::table::{Cell, Table};
use super::{ansi, orders, words};
use crate::api::Run;

/// Jobs of a level that are shown, beside those that must be.
const SHOWN: usize = 12;
/// Needs of a job that are named.
const NAMED: usize = 4;

/// The numbers of the jobs on each level.
pub(crate) fn levels_of(jobs: &[JobView]) -> Vec<Vec<JobNo>> {
    levels(jobs).into_iter().map(|level| level.into_iter().map(|job| job.n).collect()).collect()
}

/// A run's graph.
pub(crate) fn picture(run: &Run, jobs: &[JobView], style: Style) -> String {
    let status = run.status.as_str().replace('_', " ");
    let status = style.paint(words::status_ink(run.status), &status);
    let mut lines = vec![format!("run {}  {status}", style.paint(Ink::Strong, &ansi::plain(&run.id)))];
    let names = match run.spec {
        RunSpec::Orders(_) => Names { number: order_num, one: "order", many: "orders" },
        RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Sync(_) => Names { number: |n| n.to_string(), one: "job", many: "jobs" },
    };
    if let Some(counts) = &run.orders {
        lines.push(format!("{}: {}", orders::number(counts.total as usize), orders::counts(counts, style)));
    }
    if jobs.is_empty() {
        lines.push(format!("the gateway shows no {} of it yet", names.many));
    }
    for (index, level) in levels(jobs).iter().enumerate() {
        let count = if level.len() == 1 { format!("1 {}", names.one) } else { format!("{} {}", level.len(), names.many) };
        lines.push(style.paint(Ink::Dim, &format!("level {}: {count}", index + 1)));
        lines.push(rows(level, &names, style));
    }
    lines.join("\n")
}

/// What the jobs of a kind of run are called.
struct Names {
    number: fn(JobNo) -> String,
    one: &'static str,
    many: &'static str,
}

fn levels(jobs: &[JobView]) -> Vec<Vec<&JobView>> {
    let at: HashMap<JobNo, usize> = jobs.iter().enumerate().map(|(at, job)| (job.n, at)).collect();
    let needs: Vec<Vec<usize>> = jobs.iter().map(|job| job.needs.iter().filter_map(|need| at.get(need).copied()).collect()).collect();
    Levels::of(&needs).levels.into_iter().map(|level| level.into_iter().map(|at| &jobs[at]).collect()).collect()
}

fn rows(level: &[&JobView], names: &Names, style: Style) -> String {
    let shown = shown(level);
    let mut table = Table::headless();
    let mut folded: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, job) in level.iter().enumerate() {
        if shown.contains(&at) {
            let status = Cell::new(words::job_ink(&job.status), orders::word(&job.status));
            table.row([(names.number)(job.n).into(), ansi::plain(&job.name).into(), status, remarks(job, names).into()]);
        } else {
            *folded.entry(&job.status).or_default() += 1;
        }
    }
    let text = table.text(style, 2);
    if folded.is_empty() {
        return text;
    }
    let many: Vec<String> =
        folded.iter().map(|(status, count)| style.paint(words::job_ink(status), &format!("{count} {}", orders::word(status)))).collect();
    format!("{text}\n  … and {} more: {}", level.len() - shown.len(), many.join(", "))
}

/// The places of those that are shown: all that need a look, then what runs, then the first of the others.
fn shown(level: &[&JobView]) -> BTreeSet<usize> {
    // To say that one more is there takes as much room as to show it.
    if level.len() <= SHOWN + 1 {
        return (0..level.len()).collect();
    }
    let mut by_weight: Vec<usize> = (0..level.len()).collect();
    by_weight.sort_by_key(|at| weight(&level[*at].status));
    let must = by_weight.iter().take_while(|at| weight(&level[**at].status) == 0).count();
    by_weight.into_iter().take(must.max(SHOWN)).collect()
}

/// 0 is always shown.
fn weight(status: &str) -> u8 {
    match status {
        "failed" | "timed_out" | "unknown" => 0,
        "running" | "waiting" => 1,
        _ => 2,
    }
}

fn remarks(job: &JobView, names: &Names) -> String {
    let optional = job.optional.then(|| "optional".to_owned());
    let worker = job.attempts.last().filter(|_| job.status == "running").and_then(|attempt| attempt.worker.as_ref());
    let worker = worker.map(|worker| format!("on {worker}"));
    optional.into_iter().chain(needs(job, names)).chain(worker).chain(orders::why(job)).collect::<Vec<_>>().join("; ")
}

fn needs(job: &JobView, names: &Names) -> Option<String> {
    let named: Vec<String> = job.needs.iter().take(NAMED).map(|need| (names.number)(*need)).collect();
    let more = job.needs.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("needs {}{more}", named.join(", "))).filter(|_| !named.is_empty())
}
