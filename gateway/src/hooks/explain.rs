//! Why a delivery became what it did, and what its run made of it. Pure.

use super::record::{Delivery, Verdict};
use crate::{
    answers::report,
    syncs::{NotChosen, ServiceResult, not_chosen, services},
};
use proto::{
    RunId,
    sync::{Compared, Release},
    view::{RunStatus, RunView},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a delivery became what it did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explain {
    /// It comes from the forge.
    verified: bool,
    /// It is about the repository and branch that are followed.
    matched: bool,
    /// In a sentence.
    text: String,
    run: Option<RunExplained>,
}

/// What a run made of a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunExplained {
    #[schema(value_type = String, format = "uuid")]
    id: RunId,
    #[schema(value_type = String)]
    status: RunStatus,
    phase: String,
    /// What the changed files were told from; null until the repository has been looked at.
    #[schema(value_type = Option<Object>)]
    compared: Option<Compared>,
    changed_files: u32,
    services: Vec<ServiceResult>,
    /// What was not chosen, and why.
    not_chosen: Vec<NotChosen>,
    notes: Vec<String>,
    #[schema(value_type = Option<Object>)]
    release: Option<Release>,
    /// What went wrong with the whole of it; empty if nothing did.
    error: String,
}

/// Why a delivery became what it did; `view`: its run, if there is one still.
pub(super) fn explain(record: &Delivery, view: Option<&RunView>) -> Explain {
    Explain {
        verified: record.verdict != Verdict::Refused,
        matched: record.run.is_some(),
        text: text(record, view),
        run: view.map(RunExplained::of),
    }
}

fn text(record: &Delivery, view: Option<&RunView>) -> String {
    let made = match record.verdict {
        Verdict::Refused => return format!("It was not believed, and nothing was done: {}.", record.reason),
        Verdict::Ignored => return format!("It comes from the forge, and nothing was to be done: {}.", record.reason),
        Verdict::Accepted if record.was_ignored.is_some() => {
            "It had been ignored (`was_ignored` tells why), was judged anew, and made this run"
        }
        Verdict::Accepted => "It made this run",
        Verdict::Duplicate => "Another delivery of the same body had made this run",
        Verdict::Redelivered => "It was done once more, as this run",
    };
    let Some(view) = view else { return format!("{made}, which is so long ago that it is not kept any more.") };
    let looked = view.syncs.as_ref().is_some_and(|syncs| syncs.compared.is_some());
    let chosen = view.jobs.iter().filter(|job| job.sync.is_some()).count();
    match (looked, chosen) {
        (false, _) if view.status.is_terminal() => {
            format!("{made}. It ended before the repository was looked at: {}", report::error_text(view))
        }
        (false, _) => format!("{made}. The repository has not been looked at yet."),
        (true, 0) => format!("{made}. No service was touched: `not_chosen` tells why."),
        (true, 1) => format!("{made}. One service was touched: `reasons` tells why."),
        (true, chosen) => format!("{made}. {chosen} services were touched: `reasons` tells why."),
    }
}

impl RunExplained {
    fn of(view: &RunView) -> Self {
        let syncs = view.syncs.clone().unwrap_or_default();
        Self {
            id: view.id,
            status: view.status,
            phase: view.phase.clone(),
            compared: syncs.compared,
            changed_files: syncs.changed_files,
            services: services(view),
            not_chosen: not_chosen(view),
            notes: syncs.notes,
            release: syncs.release,
            error: report::error_text(view),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures, sources::tests::source};
    use proto::view::SyncsView;

    #[test]
    fn what_became_of_a_delivery_is_told_in_a_sentence() {
        let mut record = Delivery::new(&source(|_| {}), "push", "d1", Verdict::Ignored);
        record.reason = "Not main branch".into();
        let told = explain(&record, None);
        assert_eq!(
            (told.verified, told.matched, told.text.as_str()),
            (true, false, "It comes from the forge, and nothing was to be done: Not main branch.")
        );
        record.verdict = Verdict::Refused;
        assert!(!explain(&record, None).verified);
        (record.verdict, record.run) = (Verdict::Accepted, Some(fixtures::view().id));
        assert_eq!(explain(&record, None).text, "It made this run, which is so long ago that it is not kept any more.");
        let mut view = fixtures::view();
        assert_eq!(explain(&record, Some(&view)).text, "It made this run. The repository has not been looked at yet.");
        view.syncs = Some(SyncsView { compared: Some(Compared::Named), ..SyncsView::default() });
        assert_eq!(explain(&record, Some(&view)).text, "It made this run. No service was touched: `not_chosen` tells why.");
    }
}
