//! Workers that lie: about attempts of others, about what their own job brought, about who they are. What a worker says
//! of its own attempt must be believed where only it can know; everything else must be refused.

use crate::{core::Core, sometimes::Case, store::Once, worker::Question, world::Parcel};
use domain::run::{Attempt, Job, JobState};
use proto::{
    JobNo, PoolName, WorkerId,
    ids::AttemptId,
    message::{AttemptOutcome, Evidence, InboxMessage, JobResult, Report, ReportWhat},
    terraform::ApplyResult,
};
use std::rc::Rc;

/// A worker lies about a job of an open run.
pub(crate) fn tell(core: &Rc<Core>, workers: usize) {
    let liar: WorkerId = format!("w{}", core.draw(workers as u32)).parse().expect("a name");
    let open = core.oracle.borrow().open();
    if open.is_empty() {
        return;
    }
    let run = open[core.draw(open.len() as u32) as usize];
    let picked = {
        let oracle = core.oracle.borrow();
        let run = &oracle.truths[&run].run;
        // Mostly about what runs: there a lie could do harm.
        let running = run.jobs.iter().position(|job| job.state == JobState::Running).filter(|_| core.draw(4) != 0);
        let no = running.map_or_else(|| core.draw(run.jobs.len() as u32), |no| no as u32);
        let job = &run.jobs[no as usize];
        job.current().cloned().map(|attempt| (JobNo(no), job.clone(), attempt))
    };
    let Some((no, job, attempt)) = picked else { return };
    let id = AttemptId { run, job: no, attempt: attempt.no };
    let liar = attempt.worker.clone().filter(|_| core.draw(3) == 2).unwrap_or(liar);
    let told = match &attempt.worker {
        Some(worker) if *worker == liar => about_its_own(core, &job, &attempt),
        Some(_) if core.draw(4) == 3 => return pose(core, id, liar, job.kind.has_effects()),
        Some(_) => Some(about_anothers(core)),
        // What it says may be about itself by the time it is heard.
        None => None,
    };
    let Some(what) = told else { return };
    core.say(|| format!("{liar} lies about {id}: {what:?}"));
    let report = Report { id, pool: PoolName::default(), worker: liar, at: jiff::Timestamp::UNIX_EPOCH, what };
    let once = Once::Never(core.serial());
    core.store.borrow_mut().post(once, InboxMessage::Report(Box::new(report)), None);
    core.met(Case::LieTold);
}

/// What fits neither the job nor what was decided about it.
fn about_its_own(core: &Core, job: &Job, attempt: &Attempt) -> Option<ReportWhat> {
    if job.kind.has_effects() {
        // It had the word; that it did nothing is not for it to say.
        let released = job.state == JobState::Running && attempt.effects_at.is_some();
        return released.then(|| ReportWhat::Ended(AttemptOutcome::NotStarted { reason: "a lie".to_owned() }));
    }
    let another = "f".repeat(40).parse().expect("a commit");
    Some(if core.draw(2) == 0 { ReportWhat::CommitResolved { commit: another } } else { ReportWhat::Ended(applied()) })
}

fn about_anothers(core: &Core) -> ReportWhat {
    ReportWhat::Ended(match core.draw(4) {
        0 => AttemptOutcome::Unclear { evidence: Evidence::default() },
        1 => AttemptOutcome::NotStarted { reason: "a lie".to_owned() },
        2 => AttemptOutcome::Stopped { clean: true, timed_out: false },
        _ => applied(),
    })
}

fn applied() -> AttemptOutcome {
    AttemptOutcome::Succeeded { result: JobResult::Apply(ApplyResult { outputs: String::new(), serial_before: None }) }
}

/// Asks for what another has the permit for.
fn pose(core: &Rc<Core>, id: AttemptId, liar: WorkerId, effects: bool) {
    let last_word = effects && core.draw(4) != 0;
    let question = Question { id, worker: liar, nonce: "forged".to_owned(), last_word, slot: Rc::default() };
    core.send(Parcel::Ask(question));
    core.met(Case::LieTold);
}
