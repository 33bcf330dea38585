//! One process with one or several roles: telemetry, signals, and an end in the right order.
//!
//! Each role is a [`Stage`] with its own shutdown, so that one can be stopped before another. The process has one more,
//! which the signals set off; a stage that fails sets it off too.

use std::sync::Arc;
use std::time::Duration;

use service::metrics::Metrics;
use service::ops::Readiness;
use service::settings::Settings;
use service::shutdown::{Reason, Shutdown, Tasks};
use service::telemetry::{self, Telemetry};
use tokio::task::JoinHandle;

use super::nats::role_failed;
use crate::exit::Exit;
use crate::output::Out;
use crate::problem::CliError;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What a stage gets that is stopped when the process is already in a hurry.
const GRACE: Duration = Duration::from_secs(5);

/// What all roles of a process share.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    /// The process's own: set off by signals and by failing stages.
    pub(crate) shutdown: Shutdown,
    telemetry: Telemetry,
}

/// One or more roles that stop at the same time: their loops, and their own way to stop.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) tasks: Tasks,
    /// The roles themselves, beside the loops they started. They are waited for even in a hurry: they then stop soon.
    roles: Vec<JoinHandle<()>>,
}

impl Stage {
    /// A stage without roles.
    pub(crate) fn new() -> Self {
        Self { tasks: Tasks::new(Shutdown::new()), roles: Vec::new() }
    }

    /// Runs a role. Its end before the drain, or its error, fails the process.
    pub(crate) fn run<E>(&mut self, name: &str, role: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: std::error::Error + Send + 'static,
    {
        let handle = self.tasks.spawn_vital(name, async move { role.await.map_err(|error| whole(&error)) });
        self.roles.push(handle);
    }

    /// Tells the roles to drain, waits until they have, and names what was left behind.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.tasks.shutdown().begin(Reason::Requested("the process stops".into()));
        for role in self.roles {
            // A panic was logged and has failed the stage already.
            let _ = role.await;
        }
        self.tasks.finished().await
    }
}

impl Process {
    /// Starts logging and listens for signals. From here on errors are logged as well as returned.
    pub(crate) fn start(out: &Out, settings: Arc<Settings>) -> Result<Self, CliError> {
        let mut options = telemetry::Options::of(&settings, VERSION);
        options.color = out.colors_stderr();
        if options.level == Settings::default().log.level {
            // Its connection events are said again, in our words, by whoever they matter to.
            options.level.push_str(",async_nats=warn");
        }
        let telemetry = telemetry::start(&options).map_err(role_failed("cannot start logging", "check the sections [log] and [ops]"))?;
        let shutdown = Shutdown::new();
        shutdown.on_signals().map_err(role_failed("cannot listen for signals", "is the process allowed to have signal handlers?"))?;
        let metrics = Metrics::new(VERSION, option_env!("NAVVY_COMMIT").unwrap_or("unknown"));
        Ok(Self { settings, metrics, readiness: Readiness::new(), shutdown, telemetry })
    }

    /// Waits until a signal comes or a stage fails, then stops the stages in order, each when the one before is done.
    /// Exits with a failure when one of them failed.
    pub(crate) async fn live(self, stages: Vec<Stage>) -> Result<Exit, CliError> {
        self.until_draining(&stages).await;
        let left = self.stop_in_order(stages).await;
        self.end(&left).await
    }

    /// Returns once the process drains, for whatever reason.
    pub(crate) async fn until_draining(&self, stages: &[Stage]) {
        let failing = stages.iter().map(|stage| Box::pin(async { stage.tasks.shutdown().draining().await }));
        tokio::select! {
            _ = self.shutdown.draining() => {}
            (reason, ..) = futures_util::future::select_all(failing), if !stages.is_empty() => self.shutdown.begin(reason),
        }
    }

    /// Stops the stages one after the other, each in a hurry once the process is in one: what a stage needs to end well
    /// stays until its turn. Gives the names of what was left behind.
    pub(crate) async fn stop_in_order(&self, stages: Vec<Stage>) -> Vec<String> {
        let hurry = self.shutdown.hurry_token();
        let mut left = Vec::new();
        for stage in stages {
            // What was already stopping when the hurry came is hurried at once; what comes after has nothing of its own
            // to finish and gets a moment to end well.
            let grace = if hurry.is_cancelled() { GRACE } else { Duration::ZERO };
            let shutdown = stage.tasks.shutdown().clone();
            let stop = stage.stop();
            tokio::pin!(stop);
            let hurried = async {
                hurry.cancelled().await;
                tokio::time::sleep(grace).await;
            };
            let names = tokio::select! {
                names = &mut stop => names,
                () = hurried => {
                    shutdown.hurry(Reason::Requested("the process leaves at once".into()));
                    stop.await
                }
            };
            left.extend(names);
        }
        left
    }

    /// Sends the last spans and tells how it ended.
    pub(crate) async fn end(self, left: &[String]) -> Result<Exit, CliError> {
        if !left.is_empty() {
            tracing::warn!(left = left.join(", "), "left behind in a hurry");
        }
        let reason = self.shutdown.reason();
        self.telemetry.shutdown().await;
        match reason {
            Some(Reason::Failed(what)) => Err(CliError::Role {
                what,
                next: "the log above says more; what was accepted is stored, so start it again".into(),
                exit: Exit::Broken,
                source: None,
            }),
            Some(Reason::Signal(_) | Reason::Requested(_)) | None => Ok(Exit::Ok),
        }
    }
}

/// An error with its causes, as one text.
fn whole(error: &dyn std::error::Error) -> String {
    let causes = crate::problem::causes(error);
    if causes.is_empty() { error.to_string() } else { format!("{error}: {causes}") }
}
