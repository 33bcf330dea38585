//! The end of an attempt: its report is written down first, then delivered until it is stored, then its log is archived,
//! then its folder goes. Dying anywhere in between leaves a folder from which the rest is done.

use super::{
    folder::{Folder, PhaseMark, cut},
    ship::{Shipper, Shipping},
};
use crate::crew::Crew;
use bus::BusError;
use proto::{
    ids::AttemptId,
    log::CHUNK_BYTES,
    message::{AttemptOutcome, InboxMessage, JobResult, Report, ReportWhat},
    subject,
};
use std::{fs::File, io, os::unix::fs::FileExt as _, sync::Arc, time::Duration};
use tokio::io::AsyncWriteExt as _;

/// How long the end of the log may hold up the report. Losing sight of a log never holds up a result for longer.
const LOG_WAIT: Duration = Duration::from_secs(5);
const RETRY_AT_MOST: Duration = Duration::from_secs(10);

/// Reports something about an attempt that goes on. A phase that is not told is only a word missing on a screen; a commit
/// that is not told must not be used, so the caller decides by the answer.
pub(crate) async fn tell(crew: &Crew, id: AttemptId, what: ReportWhat) -> Result<(), BusError> {
    let key = match &what {
        ReportWhat::Phase { phase } => format!("report.{id}.phase.{phase}"),
        ReportWhat::CommitResolved { .. } => format!("report.{id}.commit"),
        ReportWhat::OrderEvents { .. } => format!("report.{id}.events"),
        ReportWhat::Ended(_) => format!("report.{id}.ended"),
    };
    let report = crew.report(id, what);
    crew.bus.inbox().publish(id.run, &InboxMessage::Report(Box::new(report)), &key, None).await.map(|_| ())
}

/// Where else an outcome stands until it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    OnDisk,
    /// Nowhere else, and it must not be lost.
    InMemory,
    /// Nowhere else, and losing it costs no more than a retry.
    Nowhere,
}

/// Delivers an attempt's outcome and cleans up. Returns only when the outcome is stored, or when it is on disk and NATS does
/// not permit it to be reported: then its folder stays, for a worker that may.
pub(crate) async fn outcome(
    crew: &Crew,
    folder: &Folder,
    outcome: AttemptOutcome,
    shipping: Option<(&Shipping, tokio::task::JoinHandle<()>)>,
) {
    let report = crew.report(folder.id, ReportWhat::Ended(outcome));
    failpoint::failpoint!("worker.report.due");
    let kept = match folder.write_report(&report) {
        Ok(()) => Kept::OnDisk,
        Err(error) => {
            // The disk refuses: the report is still delivered from memory, only a crash would lose it (then: unknown).
            tracing::error!(attempt = %folder.id, %error, "the report cannot be written down; delivering it from memory");
            Kept::InMemory
        }
    };
    failpoint::failpoint!("worker.report.written");
    let mut sending = None;
    if let Some((shipping, mut task)) = shipping {
        shipping.end(log_len(folder));
        if tokio::time::timeout(LOG_WAIT, &mut task).await.is_err() {
            sending = Some(task);
        }
    }
    if !send(crew, &report, kept).await {
        return;
    }
    failpoint::failpoint!("worker.report.stored");
    if let Some(task) = sending {
        // NATS was away: the log follows the report.
        let _ = task.await;
    }
    finish(crew, folder, &report).await;
}

/// Delivers the outcome of an attempt that did nothing worth remembering: should this process die first, the attempt is
/// lost before any side effect, and is tried again.
pub(crate) async fn unspooled(crew: &Crew, id: AttemptId, outcome: AttemptOutcome) {
    send(crew, &crew.report(id, ReportWhat::Ended(outcome)), Kept::Nowhere).await;
}

/// Delivers what a former process had written down.
pub(crate) async fn spooled(crew: Arc<Crew>, folder: Folder, report: Report) {
    let shipping = Arc::new(Shipping::resumed(folder.marks().unwrap_or_default()));
    shipping.end(log_len(&folder));
    if !send(&crew, &report, Kept::OnDisk).await {
        return;
    }
    let shipper = Shipper::new(&crew, &folder, shipping);
    shipper.run().await;
    finish(&crew, &folder, &report).await;
}

/// Sends until it is stored. There is no giving up, unless NATS does not permit it: that does not pass by itself, the
/// process is about to end because of it, and an outcome on disk is delivered by the next one. Says whether it is stored.
async fn send(crew: &Crew, report: &Report, kept: Kept) -> bool {
    let key = format!("report.{}.ended", report.id);
    let mut message = InboxMessage::Report(Box::new(report.clone()));
    let mut pause = Duration::from_millis(100);
    while let Err(error) = crew.bus.inbox().publish(report.id.run, &message, &key, None).await {
        match kept {
            Kept::OnDisk | Kept::Nowhere if error.is_denied() => {
                tracing::error!(attempt = %report.id, %error, ?kept, "the outcome may not be reported; it is left for a worker that may");
                return false;
            }
            Kept::OnDisk | Kept::InMemory | Kept::Nowhere => {
                tracing::warn!(attempt = %report.id, %error, "the outcome could not be reported; trying again");
            }
        }
        if let BusError::TooLarge { .. } = error {
            message = InboxMessage::Report(Box::new(shortened(report)));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_AT_MOST);
    }
    true
}

/// The report without what makes it long: that something was planned or applied must arrive, its details may be missing.
fn shortened(report: &Report) -> Report {
    let mut report = report.clone();
    match &mut report.what {
        ReportWhat::Ended(AttemptOutcome::Succeeded { result: JobResult::Plan(plan) }) => {
            plan.summary.resources_omitted += plan.summary.resources.len() as u32;
            plan.summary.resources.clear();
        }
        ReportWhat::Ended(AttemptOutcome::Succeeded { result: JobResult::Apply(applied) }) => applied.outputs.clear(),
        ReportWhat::Ended(AttemptOutcome::Succeeded { result: JobResult::Selection(selection) }) => {
            selection.skipped.clear();
            selection.notes = vec!["too much was found for one message: what was skipped is not listed".to_owned()];
            selection.services.iter_mut().for_each(|selected| selected.reasons.truncate(1));
        }
        ReportWhat::Ended(AttemptOutcome::Failed { failure }) => failure.message = failure.message.chars().take(4096).collect(),
        ReportWhat::Ended(AttemptOutcome::Unclear { evidence }) => evidence.seen = evidence.seen.chars().take(4096).collect(),
        ReportWhat::Ended(
            AttemptOutcome::Succeeded { result: JobResult::Nothing | JobResult::Order(_) | JobResult::Sync(_) | JobResult::Release(_) }
            | AttemptOutcome::NotStarted { .. }
            | AttemptOutcome::Stopped { .. },
        )
        | ReportWhat::Phase { .. }
        | ReportWhat::OrderEvents { .. }
        | ReportWhat::CommitResolved { .. } => {}
    }
    report
}

/// Archives the log and removes the folder. A log that cannot be archived stays in the stream for its days, and the
/// folder stays for the next start. What may be the only copy of a state, and what somebody must look into, is put aside.
async fn finish(crew: &Crew, folder: &Folder, report: &Report) {
    let result = async {
        if log_len(folder) > 0 {
            archive(crew, folder).await?;
        }
        failpoint::failpoint!("worker.log.archived");
        let effects = folder.record().ok().flatten().is_none_or(|record| record.effects);
        let unclear = matches!(report.what, ReportWhat::Ended(AttemptOutcome::Unclear { .. })) && effects;
        if unclear || folder.errored_state().is_some() {
            let kept = folder.keep().map_err(FinishError::Folder)?;
            tracing::error!(attempt = %folder.id, folder = %kept.display(), "the attempt's folder is kept for a person to look into");
            return Ok(());
        }
        folder.remove().map_err(FinishError::Folder)
    };
    if let Err(error) = result.await {
        tracing::warn!(attempt = %folder.id, %error, "the attempt's folder stays; the next start tries again");
    }
}

#[derive(Debug, thiserror::Error)]
enum FinishError {
    #[error("the log cannot be archived")]
    Bus(#[from] BusError),
    #[error("the folder cannot be read or removed")]
    Folder(#[source] io::Error),
}

/// The log as one object: header lines and bytes (`proto::log::ArchivedChunk`), through a pipe so that memory stays flat.
async fn archive(crew: &Crew, folder: &Folder) -> Result<(), FinishError> {
    let marks = folder.marks().map_err(FinishError::Folder)?;
    let file = File::open(folder.log()).map_err(FinishError::Folder)?;
    let len = log_len(folder);
    let (mut writer, reader) = tokio::io::duplex(4 * CHUNK_BYTES);
    let write = async move {
        write_archive(&mut writer, &file, len, &marks).await?;
        writer.shutdown().await
    };
    let artifacts = crew.artifacts();
    let name = subject::log_object(folder.id);
    let (written, stored) = tokio::join!(write, artifacts.put(&name, reader));
    written.map_err(FinishError::Folder)?;
    stored?;
    Ok(())
}

async fn write_archive(writer: &mut (impl tokio::io::AsyncWrite + Unpin), file: &File, len: u64, marks: &[PhaseMark]) -> io::Result<()> {
    let mut bytes = vec![0; CHUNK_BYTES];
    for chunk in cut(len, marks, CHUNK_BYTES as u64) {
        let bytes = &mut bytes[..chunk.bytes as usize];
        file.read_exact_at(bytes, chunk.offset)?;
        let mut header = serde_json::to_vec(&chunk).map_err(io::Error::other)?;
        header.push(b'\n');
        writer.write_all(&header).await?;
        writer.write_all(bytes).await?;
    }
    Ok(())
}

fn log_len(folder: &Folder) -> u64 {
    std::fs::metadata(folder.log()).map_or(0, |metadata| metadata.len())
}
