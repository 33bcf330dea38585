//! `navvy logs`, and the live output of `navvy deploy --follow`.
//!
//! Lines go to stdout as they come; what happens around them (status, gaps, a lost connection) goes to stderr. With
//! `--json` every event is one object on stdout.

use std::time::Duration;

use proto::RunId;
use proto::view::RunStatus;
use service::settings::Period;

use super::wait::{exit_of, interrupted, look};
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
    let stream = LogStream::open(session.client.clone(), args.id, args.follow, args.after).await?;
    let mut reader = Reader { session, run: args.id, stream, stop_at_unknown: false };
    let shown = with_ctrl_c(session, args.id, reader.show()).await;
    session.out.done_waiting();
    Ok(shown?.map_or(Exit::Interrupted, |_| Exit::Ok))
}

/// Shows the output until the run has settled; exits by its result.
pub(super) async fn until_settled(session: &Session<'_>, run: RunId, limit: Option<Period>) -> Result<Exit, CliError> {
    let stream = LogStream::open(session.client.clone(), run, true, None).await?;
    let mut reader = Reader { session, run, stream, stop_at_unknown: true };
    let shown = match limit {
        None => with_ctrl_c(session, run, reader.show()).await,
        Some(limit) => match tokio::time::timeout(*limit, with_ctrl_c(session, run, reader.show())).await {
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
async fn with_ctrl_c<T>(
    session: &Session<'_>,
    run: RunId,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<Option<T>, CliError> {
    tokio::select! {
        done = work => done.map(Some),
        () = interrupted() => {
            session.out.done_waiting();
            session.out.hint(&words::detached(&run.to_string()));
            Ok(None)
        }
    }
}

struct Reader<'a> {
    session: &'a Session<'a>,
    run: RunId,
    stream: LogStream,
    /// `unknown` may stay for days: who waits for a result has it.
    stop_at_unknown: bool,
}

impl Reader<'_> {
    async fn show(&mut self) -> Result<(), CliError> {
        loop {
            let Ok(next) = tokio::time::timeout(SILENCE, self.stream.next()).await else {
                self.say_what_it_waits_for().await;
                continue;
            };
            let Some(event) = next? else { return Ok(()) };
            self.show_event(&event)?;
            let unknown = RunStatus::Unknown.as_str();
            if self.stop_at_unknown && matches!(&event, LogEvent::Status { status, .. } if status == unknown) {
                return Ok(());
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
                let read = serde_json::from_value::<RunStatus>(status.clone().into()).ok();
                let open = read.filter(|status| exit_of(*status).is_none_or(|_| *status == RunStatus::Unknown));
                let step = open.filter(|status| *status != RunStatus::Running).and_then(|s| words::next_step(s, &run));
                if let Some(step) = step {
                    out.hint(&words::asks_for_a_person(status, &step));
                }
            }
            LogEvent::Lagged { behind_bytes } => out.hint(&words::lagged(*behind_bytes)),
            LogEvent::Gap { missing_bytes } => out.warn(&words::gap(*missing_bytes)),
            LogEvent::Reconnected => out.hint("the connection was lost and is back; nothing is missing"),
            LogEvent::End { status } => out.waiting(&words::status_line(&run, status, "")),
        }
        Ok(())
    }

    /// A run in a queue prints nothing for a long time; its view says what it waits for.
    async fn say_what_it_waits_for(&self) {
        if self.session.out.is_json() {
            return;
        }
        if let Ok((_, run)) = look(self.session, self.run).await {
            self.session.out.waiting(&words::progress(&run));
        }
    }
}
