//! Tables of runs, releases, locks, workers and keys. Every row has its status as a word.

use proto::Timestamp;
use proto::message::RunSpec;

use super::style::{Ink, Style};
use super::table::{Cell, Table};
use super::{ansi, time, words};
use crate::api::{KeyList, LockList, ReleasePage, Run, RunPage, WorkerList};

/// `navvy runs`.
pub(crate) fn runs(page: &RunPage, now: Timestamp, style: Style) -> String {
    if page.runs.is_empty() {
        return "no runs".into();
    }
    let mut table = Table::new(&["RUN", "STATUS", "PHASE", "PLAN", "ACCEPTED", "TOOK", "BY", "SOURCE"]);
    for run in &page.runs {
        let took = run.ended_at.map_or_else(|| "-".to_owned(), |end| time::span(run.accepted_at, end));
        table.row([
            ansi::plain(&run.id).into(),
            Cell::new(words::status_ink(run.status), run.status.as_str().replace('_', " ")),
            phase(run).into(),
            changes(run).into(),
            time::relative(run.accepted_at, now).into(),
            took.into(),
            ansi::plain(&run.by).into(),
            source(run).into(),
        ]);
    }
    table.text(style, 0)
}

/// `navvy release list`.
pub(crate) fn releases(page: &ReleasePage, now: Timestamp, style: Style) -> String {
    if page.releases.is_empty() {
        return "no releases".into();
    }
    let mut table = Table::new(&["TAG", "KIND", "STATUS", "ENVIRONMENT", "FROM", "COMMIT", "ACCEPTED", "BY", "RUN"]);
    for release in &page.releases {
        let from = release.from.as_deref().map_or("-", |from| from.strip_prefix("refs/tags/").unwrap_or(from));
        let commit = release.commit.as_ref().map_or_else(|| "-".to_owned(), |commit| commit.as_str().chars().take(8).collect());
        table.row([
            Cell::new(Ink::Strong, ansi::plain(release.tag.as_deref().unwrap_or("-"))),
            ansi::plain(&release.kind).into(),
            Cell::new(words::status_ink(release.status), release.status.as_str().replace('_', " ")),
            ansi::plain(&release.environment).into(),
            ansi::plain(from).into(),
            commit.into(),
            time::relative(release.accepted_at, now).into(),
            ansi::plain(&release.triggered_by).into(),
            ansi::plain(&release.run_id).into(),
        ]);
    }
    table.text(style, 0)
}

/// `navvy locks`.
pub(crate) fn locks(list: &LockList, now: Timestamp, style: Style) -> String {
    if list.locks.is_empty() {
        return "no locks".into();
    }
    let mut table = Table::new(&["LOCK", "STATUS", "RUN", "SINCE"]);
    for lock in &list.locks {
        let mut name = ansi::plain(&lock.key);
        if let Some(holder) = &lock.holder {
            let held = Cell::new(Ink::Strong, "held");
            table.row([std::mem::take(&mut name).into(), held, ansi::plain(&holder.run).into(), time::relative(holder.since, now).into()]);
        } else if lock.queue.is_empty() {
            table.row([std::mem::take(&mut name).into(), Cell::new(Ink::Dim, "free")]);
        }
        for (index, waiter) in lock.queue.iter().enumerate() {
            let place = format!("waits, place {}", index + 1);
            table.row([
                std::mem::take(&mut name).into(),
                place.into(),
                ansi::plain(&waiter.run).into(),
                time::relative(waiter.since, now).into(),
            ]);
        }
    }
    table.text(style, 0)
}

/// `navvy workers`.
pub(crate) fn workers(list: &WorkerList, style: Style) -> String {
    if list.workers.is_empty() {
        return "no workers; start one with `navvy worker`".into();
    }
    let mut table = Table::new(&["WORKER", "STATUS", "POOL", "BUSY", "SEEN", "VERSION", "TOOLS"]);
    for worker in &list.workers {
        let beat = &worker.heartbeat;
        let status = if beat.draining {
            Cell::new(Ink::Warn, "draining")
        } else if beat.running.is_empty() {
            Cell::new(Ink::Good, "ready")
        } else {
            Cell::new(Ink::Strong, "busy")
        };
        table.row([
            beat.worker.to_string().into(),
            status,
            beat.pool.to_string().into(),
            format!("{}/{}", beat.running.len(), beat.slots).into(),
            format!("{} ago", time::rough(worker.age_seconds.max(0.0) as u64)).into(),
            ansi::plain(&beat.version).into(),
            ansi::plain(&beat.tools.join(", ")).into(),
        ]);
    }
    table.text(style, 0)
}

/// `navvy keys list`.
pub(crate) fn keys(list: &KeyList, now: Timestamp, style: Style) -> String {
    if list.keys.is_empty() {
        return "no keys beside the admin token; make one with `navvy keys create NAME --scope SCOPE`".into();
    }
    let mut table = Table::new(&["KEY", "NAME", "STATUS", "SCOPES", "CREATED", "EXPIRES"]);
    for key in &list.keys {
        let status = match key.expires_at {
            Some(end) if end <= now => Cell::new(Ink::Bad, "expired"),
            Some(_) | None => Cell::new(Ink::Good, "valid"),
        };
        table.row([
            ansi::plain(&key.id).into(),
            ansi::plain(&key.name).into(),
            status,
            ansi::plain(&key.scopes.join(",")).into(),
            key.created_at.map_or_else(String::new, |at| time::relative(at, now)).into(),
            key.expires_at.map_or_else(|| "never".to_owned(), |at| time::relative(at, now)).into(),
        ]);
    }
    table.text(style, 0)
}

fn phase(run: &Run) -> String {
    ansi::plain(run.failed_phase.as_deref().unwrap_or(&run.phase))
}

fn changes(run: &Run) -> String {
    run.plan.as_ref().map_or_else(|| "-".to_owned(), |plan| super::plan::counts(plan, Style::new(false)))
}

fn source(run: &Run) -> String {
    match &run.spec {
        RunSpec::Terraform(spec) => {
            let dir = if spec.path.as_str() == "." { String::new() } else { format!(" {}", ansi::plain(spec.path.as_str())) };
            format!("{} @ {}{dir}", ansi::plain(&spec.git_url.to_string()), ansi::plain(&spec.git_ref.to_string()))
        }
        RunSpec::Orders(spec) => format!("{} orders, {}", run.orders.map_or(0, |orders| orders.total), ansi::plain(&spec.flow_id())),
        RunSpec::Sync(spec) => {
            format!("sync {} of {} @ {}", spec.environment, ansi::plain(spec.source.as_str()), ansi::plain(spec.git_ref.as_str()))
        }
        RunSpec::Probe(_) => "probe".into(),
    }
}
