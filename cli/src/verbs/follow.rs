//! `navvy logs`, and the live output of `navvy deploy --follow`.
//!
//! Lines go to stdout as they come; what happens around them (status, gaps, a lost connection) goes to stderr. With
//! `--json` every event is one object on stdout.

use std::time::Duration;

use proto::view::RunStatus;
use proto::{JobNo, RunId};
use service::settings::Period;

use super::wait::{interrupted, look};
use super::{Session, wait};
use crate::api::{LogEvent, LogStream};
use crate::args::LogsArgs;
use crate::exit::Exit;
use crate::output::{ansi, words};
use crate::problem::CliError;

/// After this much silence the run is asked what it waits for.
const SILENCE: Duration = Duration::from_secs(2);

/// `navvy logs`: exits 0 when the output was shown to its end, whatever became of the run.
pub(super) async fn logs(session: &Session<'_>, args: &LogsArgs) -> Result<Exit, CliError> {
    let job = args.job.or_else(|| args.order.map(|number| number - 1)).map(JobNo);
    let stream = LogStream::open(session.client.clone(), args.id, job, args.follow, args.after).await?;
    let view = View { session, run: args.id, stop_at_unknown: false };
    let shown = with_ctrl_c(session, args.id, view.show(stream)).await;
    session.out.done_waiting();
    Ok(shown?.map_or(Exit::Interrupted, |()| Exit::Ok))
}

/// Shows the output until the run has settled; exits by its result.
pub(super) async fn until_settled(session: &Session<'_>, run: RunId, limit: Option<Period>) -> Result<Exit, CliError> {
    let stream = LogStream::open(session.client.clone(), run, None, true, None).await?;
    let view = View { session, run, stop_at_unknown: true };
    let shown = match limit {
        None => with_ctrl_c(session, run, view.show(stream)).await,
        Some(limit) => match tokio::time::timeout(*limit, with_ctrl_c(session, run, view.show(stream))).await {
            Ok(shown) => shown,
            Err(_) => Err(CliError::WaitTimeout { run, status: "not finished".into(), waited: *limit }),
        },
    };
    session.out.done_waiting();
    if shown?.is_none() {
        return Ok(Exit::Interrupted);
    }
    // The stream tells the status in a word; the run itself tells why.
    wait::until_settled(session, run, limit).await.map(|settled| settled.exit)
}

/// The future's result; `None` when Ctrl-C came first, which leaves the run as it is.
async fn with_ctrl_c<T>(session: &Session<'_>, run: RunId, work: impl Future<Output = Result<T, CliError>>) -> Result<Option<T>, CliError> {
    tokio::select! {
        done = work => done.map(Some),
        () = interrupted() => {
            session.out.done_waiting();
            session.out.hint(&words::detached(&run.to_string()));
            Ok(None)
        }
    }
}

/// How one run's output is shown.
struct View<'a> {
    session: &'a Session<'a>,
    run: RunId,
    /// `unknown` may stay for days: who waits for a result has it.
    stop_at_unknown: bool,
}

impl View<'_> {
    async fn show(&self, mut stream: LogStream) -> Result<(), CliError> {
        while let Some(event) = self.next(&mut stream).await? {
            self.show_event(&event)?;
            let unknown = RunStatus::Unknown.as_str();
            if self.stop_at_unknown && matches!(&event, LogEvent::Status { status, .. } if status == unknown) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next event. In the silence before it, the run is asked what it waits for; the stream is not disturbed.
    async fn next(&self, stream: &mut LogStream) -> Result<Option<LogEvent>, CliError> {
        let next = stream.next();
        tokio::pin!(next);
        loop {
            tokio::select! {
                event = &mut next => return event,
                () = tokio::time::sleep(SILENCE) => {}
            }
            if self.session.out.is_json() {
                continue;
            }
            tokio::select! {
                event = &mut next => return event,
                () = self.say_what_it_waits_for() => {}
            }
        }
    }

    fn show_event(&self, event: &LogEvent) -> Result<(), CliError> {
        let out = self.session.out;
        if out.is_json() {
            return out.json(event);
        }
        let run = self.run.to_string();
        match event {
            LogEvent::Log { line, .. } => out.line(&ansi::line(line, out.style().color()))?,
            LogEvent::Status { status, phase } => {
                out.waiting(&words::status_line(&run, status, phase));
                if let Some(request) = words::asks_for_a_person(&run, status) {
                    out.hint(&request);
                }
            }
            LogEvent::Lagged { behind_bytes } => out.hint(&words::lagged(*behind_bytes)),
            LogEvent::Gap { missing_bytes } => out.warn(&words::gap(*missing_bytes)),
            LogEvent::Reconnected => {
                out.hint("the connection was lost and is back; nothing is missing");
            }
            LogEvent::End { status } => out.waiting(&words::status_line(&run, status, "")),
        }
        Ok(())
    }

    /// A run in a queue prints nothing for a long time; its view says what it waits for.
    async fn say_what_it_waits_for(&self) {
        match look(self.session, self.run).await {
            Ok((_, run)) => self.session.out.waiting(&words::progress(&run)),
            Err(error) => self.session.out.waiting(&format!("{error}; trying again")),
        }
    }
}
