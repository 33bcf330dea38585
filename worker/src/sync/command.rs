//! The executor `command`: a program of the repository's people decides by itself whether anything is to be done, does it,
//! and says what it did.
//!
//! It is started as one process without a shell, each argument filled in by itself. Exit code 0 alone is not believed where
//! the command says otherwise: a sync that failed and ended with 0 must not look like one that succeeded.

use super::{
    environment::{self, Variables},
    told::{self, BadResult, Told},
};
use crate::{
    runner::{self, OverLimit, RunnerSpec},
    shell::{Bounds, End, make_folder},
};
use proto::{
    message::{AttemptOutcome, Evidence, Failure, JobResult},
    sync::{ServiceSync, SyncAction, SyncResult},
};
use services::{
    diagnosis::{Ended, diagnose},
    placeholder::{Place, Values, fill},
};
use std::{
    fmt, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// How much of the output's end is looked at to say what went wrong, in characters.
const TAIL_CHARS: usize = 4000;
/// Folders and files of the scratch.
const HOME: &str = "home";
const TEMPORARY: &str = "tmp";
const RESULT: &str = "result.json";

/// What a sync's command runs in and with.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub sync: &'a ServiceSync,
    /// The root of the commit's files: where the command starts.
    pub checkout: &'a Path,
    /// A folder of the attempt's own: home, temporary files, the result. Empty.
    pub scratch: &'a Path,
    pub variables: &'a Variables,
    /// `PATH`, and where the program is looked for.
    pub search_path: &'a str,
    pub traceparent: Option<&'a str>,
    pub bounds: &'a Bounds,
}

impl fmt::Debug for Order<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").field("sync", &self.sync).field("variables", &self.variables).finish_non_exhaustive()
    }
}

/// Says how the command's runner is started. The log's limit, the secrets and the exit record are the caller's to fill in,
/// and so is a deadline that comes before the command's own.
///
/// # Errors
/// A failure of the kind `command` or `worker_storage`; nothing was started.
pub fn prepare(order: &Order<'_>, log: &Path) -> Result<RunnerSpec, Failure> {
    let argv = arguments(order)?;
    let (name, args) = argv.split_first().ok_or_else(|| bad_command("it is empty"))?;
    let program = find(name, order.search_path, order.checkout)
        .ok_or_else(|| bad_command(&format!("the program `{}` is not there, or may not be executed", shown(name))))?;
    let place = |name: &str| {
        let path = order.scratch.join(name);
        path.into_os_string().into_string().map_err(|_| storage(&io::ErrorKind::InvalidFilename.into()))
    };
    let (home, temporary, result) = (place(HOME)?, place(TEMPORARY)?, place(RESULT)?);
    for folder in [&home, &temporary] {
        make_folder(Path::new(folder)).map_err(|error| storage(&error))?;
    }
    let basics = environment::Basics {
        search_path: order.search_path,
        home: &home,
        temporary: &temporary,
        result: &result,
        traceparent: order.traceparent,
    };
    let mut spec = RunnerSpec::new(program, order.checkout, log);
    spec.args = args.to_vec();
    spec.env = environment::of_command(order.sync, order.variables, &basics).into_iter().collect();
    spec.deadline = Some(Duration::from_secs(u64::from(order.sync.timeout_s)));
    spec.deadline_line = Some(format!("The sync timed out after {} s", order.sync.timeout_s));
    order.bounds.apply(&mut spec, vec![order.checkout.to_owned(), order.scratch.to_owned()]);
    Ok(spec)
}

/// The command with its placeholders filled in. `{ref}` is the commit: what is deployed must not depend on where a branch is
/// by now.
fn arguments(order: &Order<'_>) -> Result<Vec<String>, Failure> {
    let (sync, domain) = (order.sync, order.variables.get(environment::INTERNAL_DOMAIN));
    let values = Values {
        environment: &sync.environment,
        service: &sync.service.service,
        task: &sync.service.task,
        reference: sync.commit.as_str(),
        domain: domain.map(proto::Secret::expose),
    };
    let filled =
        sync.command.iter().map(|argument| fill(argument, Place::Command, &values).map_err(|error| bad_command(&error.to_string())));
    let filled: Vec<String> = filled.collect::<Result<_, _>>()?;
    if filled.iter().any(|argument| argument.contains('\0')) { Err(bad_command("an argument holds a zero byte")) } else { Ok(filled) }
}

/// A bare name is looked up in the search path, a path starts at the checkout.
fn find(program: &str, search_path: &str, checkout: &Path) -> Option<PathBuf> {
    let is_program = |path: &Path| path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0);
    if program.is_empty() {
        return None;
    }
    if program.contains('/') {
        return Some(checkout.join(program)).filter(|path| is_program(path));
    }
    let folders = std::env::split_paths(search_path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(program)).find(|path| is_program(path))
}

/// What the end of a command means. `output` is the end of what it wrote, masked; `mask` takes secrets out of a text.
pub fn judge(end: &End, scratch: &Path, output: &str, mask: &dyn Fn(&str) -> String) -> AttemptOutcome {
    let told = told::in_file(&scratch.join(RESULT)).and_then(|told| told.map_or_else(|| told::in_last_line(output), |told| Ok(Some(told))));
    let told = told.map_err(|bad| bad.masked(mask));
    let told = told.map(|told| told.map(|told| Told { details: shortened(&mask(&told.details)), ..told }));
    if end.leftovers > 0 {
        return unclear(&format!("{} processes of the command withstand SIGKILL and may go on", end.leftovers));
    }
    match (end.code, end.over) {
        // Done is done, even if somebody wanted it stopped in the meantime.
        (Some(0), _) => succeeded(told, output),
        (_, Some(over)) => over_limit(over),
        _ if end.interrupted && end.timed_out => diagnosed(Ended::TimedOut, output, "the command was stopped at its time limit"),
        _ if end.interrupted => AttemptOutcome::Stopped { clean: true, timed_out: false },
        (Some(code), None) => {
            let said = told.ok().flatten().filter(|told| !told.details.is_empty()).map(|told| format!(": {}", told.details));
            diagnosed(Ended::Exited(code), output, &format!("the command ended with exit code {code}{}", said.unwrap_or_default()))
        }
        (None, None) => {
            let signal = end.signal.map(|signal| format!(" by signal {signal}")).unwrap_or_default();
            failed("killed", &format!("the command was killed{signal}"), "Nobody of the fleet did that: the machine may be out of memory.")
        }
    }
}

/// What is shown of a text. Of one that is masked already: cut before, the end could be half of a secret.
fn shortened(masked: &str) -> String {
    masked.chars().take(told::MAX_DETAILS).collect()
}

/// What a command's exit record says, for a worker that was not there: the command goes on without its worker. The secrets
/// died with that worker, so nothing that is not in the log, where it was masked, is told.
pub fn judge_unwatched(recorded: &runner::Outcome, scratch: &Path, output: &str) -> AttemptOutcome {
    match recorded {
        runner::Outcome::Exited { code, signal, timed_out, interrupted, leftovers, over, log_len: _ } => {
            let (code, signal, timed_out, interrupted) = (*code, *signal, *timed_out, *interrupted);
            let end = End { code, signal, timed_out, interrupted, leftovers: *leftovers, over: *over };
            let unseen = |details: &str| if output.contains(details) { details.to_owned() } else { UNSEEN.to_owned() };
            judge(&end, scratch, output, &unseen)
        }
        runner::Outcome::NotStarted { reason } => not_started(reason),
    }
}

/// The end of an output, as [`judge`] takes it.
pub fn end_of(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let from = text.char_indices().rev().nth(TAIL_CHARS - 1).map_or(0, |(at, _)| at);
    text[from..].to_owned()
}

const UNSEEN: &str = "the worker was restarted meanwhile; what the command says of it stands in its log";

/// The command could not be started at all.
pub(crate) fn not_started(reason: &str) -> AttemptOutcome {
    let message = format!("the command was not run: {reason}");
    failed("command", &message, "Ask an operator to check this worker; nothing was changed, so the sync may be run again.")
}

/// How the command ended is not known.
pub(crate) fn unclear(seen: &str) -> AttemptOutcome {
    AttemptOutcome::Unclear { evidence: Evidence { seen: seen.to_owned(), check: super::checks(), ..Evidence::default() } }
}

fn succeeded(told: Result<Option<Told>, BadResult>, output: &str) -> AttemptOutcome {
    let result = match told {
        Ok(Some(Told { action: Some(action), details })) => SyncResult { action, details, hash: None, untouched: false },
        Ok(Some(Told { action: None, details })) => {
            return diagnosed(Ended::Exited(0), output, &format!("the command ended with 0 and says that it failed: {details}"));
        }
        Ok(None) => SyncResult {
            action: SyncAction::Updated,
            details: "the command ended with 0 and told nothing".to_owned(),
            hash: None,
            untouched: false,
        },
        Err(bad) => {
            let next_action = "Look at the log for what was deployed, and let the command write its result as documented.";
            return failed("bad_result", &format!("the command ended with 0, but what it did is not known: {bad}"), next_action);
        }
    };
    AttemptOutcome::Succeeded { result: JobResult::Sync(result) }
}

/// A failure with the reason that the output shows, if it shows one.
fn diagnosed(ended: Ended, output: &str, what: &str) -> AttemptOutcome {
    let found = diagnose(ended, output.as_bytes());
    let shown = found.line.map(|line| format!("; {}: {line}", found.summary));
    failed(found.kind.as_str(), &format!("{what}{}", shown.unwrap_or_default()), found.next_action)
}

fn over_limit(over: OverLimit) -> AttemptOutcome {
    failed("over_limit", &format!("the command was killed: {over}"), "Let it use less, or ask an operator to raise worker.limits.")
}

fn failed(kind: &str, message: &str, next_action: &str) -> AttemptOutcome {
    let (kind, message, next_action) = (kind.to_owned(), message.to_owned(), next_action.to_owned());
    AttemptOutcome::Failed { failure: Failure { kind, phase: super::PHASE.to_owned(), message, next_action } }
}

fn bad_command(why: &str) -> Failure {
    Failure {
        kind: "command".to_owned(),
        phase: super::PHASE.to_owned(),
        message: format!("the source's command cannot be run: {why}; nothing was touched"),
        next_action: "Correct the command of the source, or install its program on the workers of the pool.".to_owned(),
    }
}

fn storage(error: &io::Error) -> Failure {
    Failure {
        kind: "worker_storage".to_owned(),
        phase: super::PHASE.to_owned(),
        message: format!("The worker cannot use the attempt's folder: {error}"),
        next_action: "Ask an operator to check worker.work_dir: is it there, writable and not full?".to_owned(),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
#[path = "command_tests.rs"]
pub(crate) mod tests;
