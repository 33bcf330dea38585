//! `navvy doctor`: looks at what Navvy needs on this machine and says what to do about what is missing.
//!
//! Nothing is changed and nothing is fixed here, beside one probe file that is deleted at once. Each check is honest
//! about what it cannot see. A finding never holds a secret.

mod clock;
mod host;
mod isolation;
mod nats;
mod programs;
mod secrets;
mod version;

use std::borrow::Cow;

use service::settings::{Problem, Settings, SettingsError};

use crate::args::{DoctorArgs, Global, SecretsArgs, SecretsVerb, SettingsArgs};
use crate::exit::Exit;
use crate::output::{Out, findings};
use crate::problem::CliError;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Ok,
    Warn,
    Fail,
}

impl State {
    /// The word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) check: Cow<'static, str>,
    /// How it is.
    pub(crate) state: State,
    /// What was seen.
    pub(crate) found: String,
    /// What to do; empty when nothing.
    pub(crate) advice: String,
}

impl Finding {
    fn ok(check: impl Into<Cow<'static, str>>, found: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Ok, found: found.into(), advice: String::new() }
    }

    fn warn(check: impl Into<Cow<'static, str>>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Warn, found: found.into(), advice: advice.into() }
    }

    fn fail(check: impl Into<Cow<'static, str>>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Fail, found: found.into(), advice: advice.into() }
    }
}

/// Runs every check; exits 1 when one failed.
pub(crate) async fn run(out: &Out, global: &Global, args: &DoctorArgs) -> Result<Exit, CliError> {
    let (mut all, settings) = configuration(&args.settings);
    out.waiting("looking at this machine");
    all.extend(nats::check(&settings).await);
    all.extend(programs::check(&settings).await);
    all.extend(host::check(&settings));
    all.push(clock::check(&global.url).await);
    all.extend(isolation::check());
    tell(out, &all)
}

/// `navvy secrets check`; exits 1 when something failed.
pub(crate) async fn secrets(out: &Out, args: &SecretsArgs) -> Result<Exit, CliError> {
    let SecretsVerb::Check(args) = &args.verb;
    let (mut all, settings) = configuration(args);
    out.waiting("looking at the secrets");
    all.extend(secrets::check(&settings).await);
    tell(out, &all)
}

fn tell(out: &Out, all: &[Finding]) -> Result<Exit, CliError> {
    out.done_waiting();
    if out.is_json() {
        out.json(&findings::json(all))?;
    } else {
        out.line(&findings::text(all, out.style()))?;
    }
    let failed = all.iter().any(|finding| finding.state == State::Fail);
    Ok(if failed { Exit::RunFailed } else { Exit::Ok })
}

/// The configuration itself; the rest is checked with defaults when it is refused.
fn configuration(args: &SettingsArgs) -> (Vec<Finding>, Settings) {
    let refused = |problems: &[Problem]| {
        let advice = "run `navvy config check` and repair what it names";
        let name = |problem: &Problem| Finding::fail("configuration", problem.to_string(), advice);
        problems.iter().map(name).collect::<Vec<_>>()
    };
    match args.layers().load() {
        Ok(loaded) => match loaded.settings.check() {
            Ok(()) => (vec![Finding::ok("configuration", "accepted")], loaded.settings),
            Err(problems) => (refused(&problems), loaded.settings),
        },
        Err(SettingsError::Refused(problems)) => (refused(&problems), Settings::default()),
        Err(error) => {
            let finding = Finding::fail("configuration", error.to_string(), "repair the file or the path");
            (vec![finding], Settings::default())
        }
    }
}
