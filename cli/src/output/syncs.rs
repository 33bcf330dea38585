//! A run of syncs for people: what was asked for, what it turned out to be about, and what became of each service.

use super::{
    ansi,
    run::Picture,
    style::{Ink, Style},
};
use crate::api::Run;
use proto::{
    sync::{Compared, Release, SyncSpec, SyncWanted},
    view::{JobView, SyncJobView},
};

/// Skipped things that are shown; the API has them all.
const MAX_SKIPPED: usize = 20;

/// What was asked for, and what it is about.
pub(super) fn request(picture: &mut Picture, run: &Run, spec: &SyncSpec) {
    let force = if spec.force { ", also what has not changed" } else { "" };
    picture.field("request", &format!("sync {} in {}{force}", wanted(&spec.wanted), spec.environment));
    let url = ansi::plain(&spec.git_url.to_string());
    picture.field("source", &format!("{} ({url}) @ {}", spec.source, ansi::plain(spec.git_ref.as_str())));
    if let Some(commit) = &run.commit {
        picture.field("commit", &commit.to_string());
    }
    picture.field("trigger", &ansi::plain(&spec.triggered_by));
    let Some(syncs) = &run.syncs else { return };
    if let Some(release) = &syncs.release {
        let existed = if release.existed { ", which was there already" } else { "" };
        picture.field("release", &format!("{} ({}){existed}", ansi::plain(&release.tag), release.kind));
    }
    if let Some(compared) = &syncs.compared {
        picture.field("compared", &from(compared, syncs.changed_files));
    }
    for job in &run.jobs {
        if let Some(sync) = &job.sync {
            service(picture, job, sync);
        }
    }
    for skipped in syncs.skipped.iter().take(MAX_SKIPPED) {
        picture.field("skipped", &format!("{}: {}", ansi::plain(&skipped.what), ansi::plain(&skipped.reason)));
    }
    if let Some(more) = syncs.skipped.len().checked_sub(MAX_SKIPPED).filter(|more| *more > 0) {
        picture.field("skipped", &format!("and {more} more"));
    }
    for note in &syncs.notes {
        picture.field("note", &ansi::plain(note));
    }
}

/// The tag that a release got, in a line.
pub(crate) fn released(release: &Release) -> String {
    format!("{}: {}", ansi::plain(&release.tag), ansi::plain(&release.why))
}

/// How the sync of a service ended, in a line.
pub(crate) fn ended(job: &JobView, sync: &SyncJobView, style: Style) -> String {
    line(job, sync, style)
}

fn wanted(wanted: &SyncWanted) -> String {
    match wanted {
        SyncWanted::Changed(_) => "what a push changed".to_owned(),
        SyncWanted::Named { names } => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        SyncWanted::All => "every service".to_owned(),
    }
}

fn from(compared: &Compared, files: u32) -> String {
    match compared {
        Compared::Diff { before } => format!("with {before}: {} changed", number(files)),
        Compared::Payload { why } => format!("the forge's list of {} ({})", number(files), ansi::plain(why)),
        Compared::Everything { why } => format!("nothing: everything counts as changed ({})", ansi::plain(why)),
        Compared::Named => "nothing: the services were named".to_owned(),
    }
}

fn number(files: u32) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

fn service(picture: &mut Picture, job: &JobView, sync: &SyncJobView) {
    let style: Style = picture.style;
    picture.field("service", &line(job, sync, style));
    if let Some(reason) = sync.reasons.first() {
        let others = sync.reasons.len() - 1;
        let others = if others == 0 { String::new() } else { format!(", and {others} more") };
        picture.field("", &style.paint(Ink::Dim, &format!("because of {}{others}", ansi::plain(reason))));
    }
}

/// A service and what became of it.
fn line(job: &JobView, sync: &SyncJobView, style: Style) -> String {
    let (word, ink) = outcome(job, sync);
    let more = if let Some(failure) = &sync.failure {
        let first = ansi::lines(&failure.message).next().unwrap_or_default();
        format!("  {}: {first}", ansi::plain(&failure.kind))
    } else if let Some(newer) = sync.superseded_by {
        format!("  left to the newer run {newer}")
    } else if sync.details.is_empty() {
        String::new()
    } else {
        format!("  {}", ansi::plain(&sync.details))
    };
    format!("{}  {}{more}", ansi::plain(&sync.service.to_string()), style.paint(ink, &word))
}

fn outcome(job: &JobView, sync: &SyncJobView) -> (String, Ink) {
    match (sync.action, job.status.as_str()) {
        (Some(action), _) => (action.as_str().to_owned(), Ink::Good),
        (None, "failed") => ("failed".to_owned(), Ink::Bad),
        (None, "unknown") => ("unknown".to_owned(), Ink::Bad),
        (None, other) => (ansi::plain(other), Ink::Dim),
    }
}
