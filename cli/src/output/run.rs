//! The picture of one run: where it stands, what it waits for, what it would change, what it brought.

use proto::Timestamp;
use proto::message::RunSpec;
use proto::view::{ApprovalView, AttemptView, JobView, RunStatus};

use super::style::{Ink, Style};
use super::table::{Cell, Table};
use super::{ansi, orders, outputs, plan, syncs, time, words};
use crate::api::{Known, Run};

/// Where values begin.
const MARGIN: &str = "             ";

/// Lines under a title, with a margin for the names of things.
pub(super) struct Picture {
    pub(super) style: Style,
    lines: Vec<String>,
}

impl Picture {
    pub(super) fn field(&mut self, name: &str, value: &str) {
        self.lines.push(format!("  {}  {value}", self.style.paint(Ink::Dim, &format!("{name:<9}"))));
    }

    fn block(&mut self, lines: impl Iterator<Item = String>) {
        self.lines.extend(lines.map(|line| format!("{MARGIN}{line}")));
    }
}

/// A run, whole.
pub(crate) fn picture(run: &Run, now: Timestamp, style: Style) -> String {
    let status = run.status.as_str().replace('_', " ");
    let title = format!("run {}  {}", style.paint(Ink::Strong, &run.id), style.paint(words::status_ink(run.status), &status));
    let mut picture = Picture { style, lines: vec![title] };
    standing(&mut picture, run, now);
    request(&mut picture, run);
    trouble(&mut picture, run);
    if let Some(summary) = &run.plan {
        picture.field("plan", &plan::counts(summary, style));
        picture.block(plan::resources(summary, style));
    }
    // What `navvy approve --plan-sha256` takes.
    if let Some(digest) = run.plan_sha256.as_ref().filter(|_| run.status == RunStatus::AwaitingApproval) {
        picture.field("digest", &ansi::plain(digest));
    }
    if let Some(approval) = &run.approval {
        picture.field("approval", &approval_text(approval, now));
    }
    let mut values = outputs::lines(&run.outputs);
    if let Some(first) = values.next() {
        picture.field("outputs", &first);
        picture.block(values);
    }
    let jobs = jobs(&run.jobs, now, style);
    let mut rows = jobs.lines().map(str::to_owned);
    if let Some(first) = rows.next() {
        picture.field("jobs", &first);
        picture.block(rows);
    }
    if let Some(step) = words::next_step(run.status, &run.id) {
        picture.field("next", &step);
    }
    picture.lines.join("\n")
}

fn standing(picture: &mut Picture, run: &Run, now: Timestamp) {
    let phase = match &run.failed_phase {
        Some(failed) => format!("{} (failed in {})", ansi::plain(&run.phase), ansi::plain(failed)),
        None => ansi::plain(&run.phase),
    };
    picture.field("phase", &phase);
    if let Some(waiting) = &run.waiting_for {
        picture.field("waits for", &words::waiting_for(waiting));
    }
    let accepted = time::instant(run.accepted_at);
    let accepted = match run.ended_at {
        Some(end) => format!("{accepted}, took {}", time::span(run.accepted_at, end)),
        None => format!("{accepted}, {}", time::relative(run.accepted_at, now)),
    };
    picture.field("accepted", &accepted);
    picture.field("by", &ansi::plain(&run.by));
}

fn request(picture: &mut Picture, run: &Run) {
    match &run.spec {
        RunSpec::Terraform(spec) => {
            let verb = if spec.destroy { "destroy" } else { "apply" };
            let version = spec.tool_version.as_ref().map_or_else(String::new, |v| format!(" {}", ansi::plain(v)));
            let approval = if spec.auto_approve { ", without approval" } else { "" };
            picture.field("request", &format!("{}{version} {verb}{approval}", spec.tool));
            let url = ansi::plain(&spec.git_url.to_string());
            picture.field("source", &format!("{url} @ {}", ansi::plain(&spec.git_ref.to_string())));
            if let Some(commit) = &run.commit {
                picture.field("commit", &commit.to_string());
            }
            let workspace = ansi::plain(&spec.workspace);
            picture.field("directory", &format!("{} (workspace {workspace})", ansi::plain(spec.path.as_str())));
        }
        RunSpec::Orders(spec) => {
            let counts = run.orders.unwrap_or_default();
            picture.field("request", &orders::number(counts.total as usize));
            picture.field("flow", &ansi::plain(&spec.flow_id()));
            if let Some(pull) = &spec.pull_request {
                picture.field("comment", &format!("{}#{}", ansi::plain(&pull.repo), pull.number));
            }
            picture.field("orders", &orders::counts(&counts, picture.style));
            picture.field("graph", &format!("navvy run graph {}", run.id));
        }
        RunSpec::Sync(spec) => syncs::request(picture, run, spec),
        RunSpec::Probe(_) => picture.field("request", "probe"),
    }
    if !run.pool.is_empty() && run.pool != "default" {
        picture.field("pool", &ansi::plain(&run.pool));
    }
    for lock in run.locks.iter().filter(|_| !run.status.is_terminal()) {
        picture.field("lock", &ansi::plain(lock.as_str()));
    }
}

fn trouble(picture: &mut Picture, run: &Run) {
    if let Some(cancel) = &run.cancel {
        let force = if cancel.force { ", by force" } else { "" };
        picture.field("cancelled", &format!("by {}, {}{force}", ansi::plain(&cancel.by), time::instant(cancel.at)));
    }
    if let Some(failure) = &run.failure {
        let mut lines = ansi::lines(&failure.message);
        let first = lines.next().unwrap_or_default();
        let kind = ansi::plain(&failure.kind);
        picture.field("failure", &picture.style.paint(Ink::Bad, &format!("{kind}: {first}")));
        picture.block(lines);
        if !failure.next_action.is_empty() {
            picture.field("do", &ansi::plain(&failure.next_action));
        }
    }
    if let Some(Known { evidence, last_lines }) = &run.evidence {
        picture.field("seen", &ansi::plain(&evidence.seen));
        let serial = evidence.serial_before.map(|serial| format!("state serial before: {serial}"));
        let lock = evidence.state_lock.as_ref().map(|id| format!("state lock: {}", ansi::plain(id)));
        let saved = evidence.errored_state.as_ref().map(|name| format!("state saved as: {}", ansi::plain(name)));
        let checks = evidence.check.iter().map(|check| format!("check: {}", ansi::plain(check)));
        picture.block(serial.into_iter().chain(lock).chain(saved).chain(checks));
        let mut said = last_lines.iter().map(|line| ansi::plain(line));
        if let Some(first) = said.next() {
            picture.field("last said", &first);
            picture.block(said);
        }
    }
    if let Some(resolution) = &run.resolution {
        let how = if resolution.succeeded { "succeeded" } else { "failed" };
        let (by, reason) = (ansi::plain(&resolution.by), ansi::plain(&resolution.reason));
        picture.field("resolved", &format!("as {how} by {by}, {}: {reason}", time::instant(resolution.at)));
    }
}

fn approval_text(approval: &ApprovalView, now: Timestamp) -> String {
    let by = approval.by.as_ref().map_or_else(String::new, |by| format!(" by {}", ansi::plain(by)));
    let when = match (approval.at, approval.expires_at) {
        (Some(at), _) => format!(", {}", time::instant(at)),
        (None, Some(end)) => format!(", expires {}", time::relative(end, now)),
        (None, None) => String::new(),
    };
    format!("{}{by}{when}", ansi::plain(&approval.state))
}

fn jobs(jobs: &[JobView], now: Timestamp, style: Style) -> String {
    let mut table = Table::headless();
    for job in jobs {
        let status = Cell::new(words::job_ink(&job.status), ansi::plain(&job.status));
        let what = ansi::plain(&job.name);
        match job.attempts.split_first() {
            None => table.row([job.n.to_string().into(), what.into(), status]),
            Some((first, more)) => {
                table.row([job.n.to_string().into(), what.into(), status, attempt(first, now).into()]);
                for each in more {
                    table.row(["".into(), "".into(), "".into(), attempt(each, now).into()]);
                }
            }
        }
    }
    table.text(style, 0)
}

fn attempt(attempt: &AttemptView, now: Timestamp) -> String {
    let worker = attempt.worker.as_ref().map_or_else(String::new, |worker| format!(" on {worker}"));
    let phase = attempt.phase.as_ref().filter(|_| attempt.ended_at.is_none());
    let phase = phase.map_or_else(String::new, |phase| format!(", {}", ansi::plain(phase)));
    let span = match (attempt.started_at, attempt.ended_at) {
        (Some(start), Some(end)) => format!(", {}", time::span(start, end)),
        (Some(start), None) if attempt.status == "running" => {
            format!(", {} so far", time::span(start, now))
        }
        (Some(_) | None, Some(_) | None) => String::new(),
    };
    format!("attempt {}{worker}: {}{phase}{span}", attempt.n, ansi::plain(&attempt.status))
}
