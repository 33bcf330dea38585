//! The words for statuses and situations, and what a person could do next. Shared by pictures and progress lines.

use proto::view::{RunStatus, WaitingFor};

use super::ansi;
use super::style::{Ink, Style};
use super::time;
use crate::api::Run;

/// The ink of a run's status.
pub(crate) fn status_ink(status: RunStatus) -> Ink {
    match status {
        RunStatus::Running => Ink::Strong,
        RunStatus::Success => Ink::Good,
        RunStatus::AwaitingApproval | RunStatus::Unknown => Ink::Warn,
        RunStatus::Failed | RunStatus::TimedOut => Ink::Bad,
        RunStatus::Cancelled => Ink::Dim,
    }
}

/// The ink of a job's or attempt's status word.
pub(crate) fn job_ink(status: &str) -> Ink {
    match status {
        "running" => Ink::Strong,
        "succeeded" => Ink::Good,
        "failed" | "timed_out" | "lost" => Ink::Bad,
        "waiting" | "unknown" | "unclear" => Ink::Warn,
        "blocked" | "skipped" | "cancelled" => Ink::Dim,
        _ => Ink::Plain,
    }
}

/// What a person can do about a run of this status, or nothing.
pub(crate) fn next_step(status: RunStatus, run: &str) -> Option<String> {
    match status {
        RunStatus::AwaitingApproval => Some(format!("navvy approve {run}   or   navvy reject {run}")),
        RunStatus::Unknown => {
            Some(format!("look at the real infrastructure, then: navvy run resolve {run} --as succeeded|failed --reason TEXT"))
        }
        RunStatus::Running => Some(format!("navvy logs -f {run}")),
        RunStatus::Success | RunStatus::Failed | RunStatus::TimedOut | RunStatus::Cancelled => None,
    }
}

/// What an unfinished run waits for.
pub(crate) fn waiting_for(waiting: &WaitingFor) -> String {
    let place = |position: &Option<u32>| position.map_or_else(String::new, |n| format!(", place {n} in line"));
    match waiting {
        WaitingFor::Scheduler => "the scheduler to look at it".into(),
        WaitingFor::Lock { keys, held_by, position } => {
            let names: Vec<String> = keys.iter().map(|key| ansi::plain(key.as_str())).collect();
            let holder = held_by.map_or_else(String::new, |run| format!(", held by run {run}"));
            format!("lock {}{holder}{}", names.join(", "), place(position))
        }
        WaitingFor::Worker { pool, position } => {
            format!("a free worker of pool {pool}{}", place(position))
        }
        WaitingFor::Approval { expires_at } => {
            format!("an approval, until {}", time::instant(*expires_at))
        }
        WaitingFor::Remote { until } => {
            format!("what it deploys to, which is left alone until {}", time::instant(*until))
        }
        WaitingFor::Resolution => "a person to settle an unknown outcome".into(),
    }
}

/// One line about a run that is not over.
pub(crate) fn progress(run: &Run) -> String {
    let waiting = run.waiting_for.as_ref().map_or_else(String::new, |w| format!(" (waits for {})", waiting_for(w)));
    let orders = run.orders.map_or_else(String::new, |counts| format!(", {}", super::orders::counts(&counts, Style::new(false))));
    format!("{}{orders}{waiting}", status_line(&run.id, run.status.as_str(), &run.phase))
}

/// `run ID: running, plan`.
pub(crate) fn status_line(run: &str, status: &str, phase: &str) -> String {
    let status = ansi::plain(status).replace('_', " ");
    let phase = if phase.is_empty() || phase == "completed" { String::new() } else { format!(", {}", ansi::plain(phase)) };
    format!("run {run}: {status}{phase}")
}

/// How a run that was waited for ended.
pub(crate) fn result(run: &Run) -> String {
    let span = run.ended_at.map_or_else(String::new, |end| format!(" after {}", time::span(run.accepted_at, end)));
    let why = run.failure.as_ref().map_or_else(String::new, |f| format!(": {}", ansi::plain(&f.message)));
    let orders = run.orders.map_or_else(String::new, |counts| format!(" ({})", super::orders::counts(&counts, Style::new(false))));
    format!("{}{span}{orders}{why}", status_line(&run.id, run.status.as_str(), run.failed_phase.as_deref().unwrap_or("")))
}

/// What a status asks of a person; nothing for those that go on by themselves or are over.
pub(crate) fn asks_for_a_person(run: &str, status: &str) -> Option<String> {
    let read: RunStatus = serde_json::from_value(status.into()).ok()?;
    match read {
        RunStatus::AwaitingApproval | RunStatus::Unknown => {
            next_step(read, run).map(|step| format!("{}: {step}", read.as_str().replace('_', " ")))
        }
        RunStatus::Running | RunStatus::Success | RunStatus::Failed | RunStatus::TimedOut | RunStatus::Cancelled => None,
    }
}

/// Ctrl-C ended the watching, not the run.
pub(crate) fn detached(run: &str) -> String {
    format!("the run goes on; watch it again with `navvy logs -f {run}`, stop it with `navvy cancel {run}`")
}

/// This reader is slower than the run.
pub(crate) fn lagged(behind_bytes: u64) -> String {
    format!("{behind_bytes} bytes behind the run; nothing is skipped")
}

/// Output is missing.
pub(crate) fn gap(missing_bytes: u64) -> String {
    format!("{missing_bytes} bytes of output are missing here")
}
