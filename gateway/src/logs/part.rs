//! Which part of a run's log is read: the whole, or one job's; and the view with the jobs that this needs, no more.
//!
//! The jobs of a run of orders stand in pages of their own, so a log of one order costs one page, and the whole log of a
//! run of very many orders is not read at all.

use crate::{answers::Refusal, app::App, runs::pages};
use proto::{
    JobNo, RunId,
    view::{JobView, JobsPage, RunView},
};

/// Most orders whose logs are read one after the other.
const MAX_ORDERS: u32 = 200;

/// A part of a run's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Job(JobNo),
}

impl Part {
    /// As it is asked for: a job's number, or nothing.
    pub(crate) fn of(job: Option<&str>) -> Result<Self, Refusal> {
        match job.map(str::parse::<u32>) {
            None => Ok(Self::Whole),
            Some(Ok(number)) => Ok(Self::Job(JobNo(number))),
            Some(Err(_)) => Err(Refusal::field("job", "must be a whole number: the `n` of a job in GET /v1/runs/ID/jobs")),
        }
    }

    /// The run with the jobs of this part; `None`: there is no such run.
    pub(crate) async fn view(self, app: &App, run: RunId) -> Result<Option<RunView>, Refusal> {
        let Some(mut view) = app.find_run(run).await? else { return Ok(None) };
        match (self, view.orders) {
            (Self::Whole, None) => {}
            (Self::Whole, Some(orders)) if orders.total > MAX_ORDERS => {
                let why = format!("is required: this run has {} orders, and more than {MAX_ORDERS} are not read in one log", orders.total);
                return Err(Refusal::field("job", why));
            }
            (Self::Whole, Some(orders)) => view.jobs = pages::read(app, run, 0..JobsPage::count(orders.total)).await?,
            (Self::Job(job), Some(orders)) if job.0 >= orders.total => return Err(Refusal::LogNotFound),
            (Self::Job(job), Some(_)) => {
                let page = JobsPage::of(job);
                view.jobs = pages::read(app, run, page..page + 1).await?;
                view.jobs.retain(|known| known.n == job);
            }
            (Self::Job(job), None) => {
                let none_yet = view.jobs.is_empty();
                view.jobs.retain(|known| known.n == job);
                if view.jobs.is_empty() && !none_yet {
                    return Err(Refusal::LogNotFound);
                }
            }
        }
        Ok(Some(view))
    }

    /// Whether nothing more will be added to this part's log.
    pub(crate) fn is_over(self, view: &RunView) -> bool {
        view.status.is_terminal() || self.job(view).is_some_and(|job| pages::is_over(&job.status))
    }

    /// How it stands, in one word: the run's status, or the job's.
    pub(crate) fn status(self, view: &RunView) -> String {
        self.job(view).map_or_else(|| view.status.as_str().to_owned(), |job| job.status.clone())
    }

    fn job(self, view: &RunView) -> Option<&JobView> {
        match self {
            Self::Whole => None,
            Self::Job(job) => view.jobs.iter().find(|known| known.n == job),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn one_job_is_over_before_its_run_is() {
        let mut view = fixtures::view();
        view.jobs = vec![fixtures::job(3, "shell", 1)];
        let part = Part::of(Some("3")).unwrap();
        assert_eq!((part.is_over(&view), part.status(&view).as_str()), (false, "running"));
        view.jobs[0].status = "timed_out".into();
        assert_eq!((part.is_over(&view), part.status(&view).as_str()), (true, "timed_out"));
        assert_eq!((Part::Whole.is_over(&view), Part::Whole.status(&view).as_str()), (false, "running"));
        assert_eq!(Part::of(None), Ok(Part::Whole));
        assert!(["", "-1", "x", "4294967296"].iter().all(|text| Part::of(Some(text)).is_err()));
    }
}
