//! The shell action: the commands of one order, in sequence, in one runner, until one fails.
//!
//! - `driver` is the small program that runs the commands, `environment` what they find around themselves;
//! - `events` reads what they told, `outcome` says what their end means, `bounds` what they may use;
//! - `perform` does all of it for an attempt.
//!
//! An order changes the world, so it is started after the last word only and never twice. Unlike an apply it keeps no
//! state that a kill could destroy: it is stopped without asking a person. Not here: where its code and its credentials
//! come from, and to whom its result is told.

mod bounds;
mod driver;
mod environment;
mod events;
mod outcome;
mod perform;
pub(crate) mod small_file;

use crate::runner::RunnerSpec;
use proto::message::Failure;
use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

pub use bounds::Bounds;
pub use driver::Progress;
pub(crate) use driver::make_folder;
pub use events::{Told, read as read_events};
pub use outcome::{End, Outcome, judge, judge_unwatched};
pub(crate) use perform::{Performed, perform};

/// What an order's commands run in and with.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// Run in this sequence, each by a shell of its own.
    pub commands: &'a [String],
    /// The order's folder: where the commands start. Never inside of `scratch`, nor around it.
    pub cwd: &'a Path,
    /// A folder of the attempt's own: commands, events, home and temporary files. Nothing else may be in it.
    pub scratch: &'a Path,
    /// What the order sets, credentials included.
    pub env: &'a BTreeMap<String, String>,
    /// Variables of the worker that its operator lets through (`worker.pass_env`).
    pub pass_env: &'a [(String, String)],
    /// `PATH`, unless the order sets its own.
    pub search_path: &'a str,
    pub traceparent: Option<&'a str>,
    /// The time limit of the whole order.
    pub time_limit: Duration,
    pub bounds: &'a Bounds,
}

impl fmt::Debug for Order<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("commands", &self.commands.len())
            .field("cwd", &self.cwd)
            .field("env", &self.env.keys())
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}

/// Writes the order's files and says how its runner is started. The log's limit, the secrets and the exit record are the
/// caller's to fill in, and so is a deadline that comes before the order's own.
///
/// # Errors
/// A failure of the kind `environment` or `worker_storage`; nothing was started.
pub fn prepare(order: &Order<'_>, log: &Path) -> Result<RunnerSpec, Failure> {
    let env = environment::build(order)?;
    for folder in [HOME, TEMPORARY, EVENTS] {
        driver::make_folder(&order.scratch.join(folder)).map_err(|error| storage(&error))?;
    }
    let commands = order.scratch.join(COMMANDS);
    driver::write_commands(&commands, order.commands).map_err(|error| storage(&error))?;
    let mut spec = RunnerSpec::new(driver::SHELL, order.cwd, log);
    spec.args = driver::arguments(text(&commands)?, order.commands.len());
    spec.env = env.into_iter().collect();
    spec.deadline = Some(order.time_limit);
    spec.deadline_line = Some(format!("Command timed out after {}s", order.time_limit.as_secs()));
    order.bounds.apply(&mut spec, vec![order.cwd.to_owned(), order.scratch.to_owned()]);
    Ok(spec)
}

/// Folders of an order's scratch.
const COMMANDS: &str = "commands";
const EVENTS: &str = "events";
const HOME: &str = "home";
const TEMPORARY: &str = "tmp";

/// Where the commands of an order with this scratch drop their events.
pub fn events_folder(scratch: &Path) -> PathBuf {
    scratch.join(EVENTS)
}

/// A path as it can be given to a command.
fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| storage(&io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not UTF-8", path.display()))))
}

fn storage(error: &io::Error) -> Failure {
    Failure {
        kind: "worker_storage".to_owned(),
        phase: String::new(),
        message: format!("The worker cannot use the attempt's folder: {error}"),
        next_action: "Ask an operator to check worker.work_dir: is it there, writable and not full?".to_owned(),
    }
}
