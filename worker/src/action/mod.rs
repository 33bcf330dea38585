//! What a permit's work means on this machine. One module per action; the steps of terraform itself are in
//! `crate::terraform`.

mod checkout;
mod commands;
mod probe;
mod shell;
mod sync;
mod terraform;

use crate::attempt::stage::Stage;
use proto::{
    Secret,
    codec::CodecError,
    message::{AttemptOutcome, Failure, JobResult, Work},
    orders::OrderBundle,
    sync::Executor,
    terraform::{GitAuth, SecretBundle},
};

/// The word of an order.
pub(crate) const SHELL: &str = "shell";
/// The word of a sync.
pub(crate) const SYNC: &str = "sync";
/// The tool of a sync that a command does.
pub(crate) const COMMAND: &str = "command";

/// What a permit brought besides its work.
#[derive(Debug)]
pub(crate) enum Secrets {
    None,
    Run(Box<SecretBundle>),
    Order(Box<OrderBundle>),
}

impl Secrets {
    /// What was sealed to this attempt, read as the work needs it.
    pub(crate) fn of(work: &Work, plain: &[u8]) -> Result<Self, CodecError> {
        match work {
            Work::Shell { .. } => proto::codec::decode(plain).map(|bundle| Self::Order(Box::new(bundle))),
            Work::TerraformPlan { .. }
            | Work::TerraformApply { .. }
            | Work::Probe { .. }
            | Work::Select { .. }
            | Work::Release { .. }
            | Work::Sync { .. } => proto::codec::decode(plain).map(|bundle| Self::Run(Box::new(bundle))),
        }
    }

    /// What lets us into the run's repository; a public one needs nothing.
    fn login(&self) -> Option<&GitAuth> {
        match self {
            Self::Run(bundle) => bundle.git_auth.as_ref(),
            Self::None | Self::Order(_) => None,
        }
    }

    /// Everything that must never be seen in the log, with the name to warn by.
    pub(crate) fn to_mask(&self, work: &Work) -> Vec<(String, String)> {
        let secrets: Vec<(&str, &Secret)> = match self {
            Self::None => Vec::new(),
            Self::Run(bundle) => of_run(bundle, public_env(work)),
            Self::Order(bundle) => {
                let env = bundle.env_vars.iter().map(|(name, value)| (name.as_str(), value));
                env.chain([("the run's key", &bundle.run_key)]).collect()
            }
        };
        let filled = secrets.into_iter().filter(|(_, secret)| !secret.is_empty());
        filled.map(|(name, secret)| (name.to_owned(), secret.expose().to_owned())).collect()
    }
}

fn of_run<'b>(bundle: &'b SecretBundle, public: &[String]) -> Vec<(&'b str, &'b Secret)> {
    let named = bundle.env.iter().filter(|(name, _)| !public.contains(name)).chain(&bundle.backend_config);
    let mut secrets: Vec<(&str, &Secret)> = named.map(|(name, value)| (name.as_str(), value)).collect();
    secrets.push(("the run's key", &bundle.run_key));
    if let Some(auth) = &bundle.git_auth {
        secrets.extend(secrets_of(auth).into_iter().map(|secret| ("git_auth", secret)));
    }
    secrets
}

/// Work that needs no process, no log and no folder.
pub(crate) fn without_stage(work: &Work) -> Option<AttemptOutcome> {
    match work {
        Work::Probe { spec } if spec.echo.is_none() => Some(AttemptOutcome::Succeeded { result: JobResult::Nothing }),
        Work::Probe { .. }
        | Work::TerraformPlan { .. }
        | Work::TerraformApply { .. }
        | Work::Shell { .. }
        | Work::Select { .. }
        | Work::Release { .. }
        | Work::Sync { .. } => None,
    }
}

/// Does the work.
pub(crate) async fn perform(stage: &mut Stage, work: &Work, secrets: Secrets) -> AttemptOutcome {
    match (work, secrets) {
        (Work::Probe { spec }, _) => probe::perform(stage, spec).await,
        (Work::Shell { spec }, Secrets::Order(bundle)) => shell::perform(stage, spec, *bundle).await,
        (Work::TerraformPlan { spec, commit }, Secrets::Run(secrets)) => terraform::plan(stage, spec, commit.clone(), *secrets).await,
        (Work::TerraformApply { spec, plan }, Secrets::Run(secrets)) => terraform::apply(stage, spec, plan, *secrets).await,
        (Work::Select { spec, commit, last_good, since }, secrets @ (Secrets::None | Secrets::Run(_))) => {
            let known = sync::Known { last_good: last_good.as_deref(), since: since.as_ref() };
            sync::select(stage, spec, commit.clone(), known, secrets.login()).await
        }
        (Work::Release { spec, commit, run }, secrets @ (Secrets::None | Secrets::Run(_))) => {
            sync::release(stage, spec, commit, *run, secrets.login()).await
        }
        (Work::Sync { sync, last }, secrets @ (Secrets::None | Secrets::Run(_))) => {
            sync::perform(stage, sync, last.as_deref(), secrets.login()).await
        }
        // Without its key a run can neither seal nor open a plan.
        (
            Work::TerraformPlan { .. }
            | Work::TerraformApply { .. }
            | Work::Shell { .. }
            | Work::Select { .. }
            | Work::Release { .. }
            | Work::Sync { .. },
            Secrets::None | Secrets::Run(_) | Secrets::Order(_),
        ) => AttemptOutcome::Failed {
            failure: Failure {
                kind: "secrets".to_owned(),
                phase: "initializing".to_owned(),
                message: "the permit brought no secrets, not even the run's key".to_owned(),
                next_action: "submit the request again".to_owned(),
            },
        },
    }
}

/// The word of the work, for records and lines.
pub(crate) fn word(work: &Work) -> &'static str {
    match work {
        Work::TerraformPlan { .. } => "terraform_plan",
        Work::TerraformApply { .. } => "terraform_apply",
        Work::Probe { .. } => "probe",
        Work::Shell { .. } => SHELL,
        Work::Select { .. } => "select",
        Work::Release { .. } => "release",
        Work::Sync { .. } => SYNC,
    }
}

/// The phase in which the work changes the world.
pub(crate) fn effects_phase(work: &Work) -> &'static str {
    match work {
        Work::TerraformApply { spec, .. } if spec.destroy => "destroy",
        Work::TerraformApply { .. } => "apply",
        Work::TerraformPlan { .. } => "plan",
        Work::Probe { .. } => "initializing",
        Work::Shell { .. } => "run",
        Work::Select { .. } => "select",
        Work::Release { .. } => "release",
        Work::Sync { .. } => crate::sync::PHASE,
    }
}

/// The program that does the work.
pub(crate) fn tool_word(work: &Work) -> &'static str {
    match work {
        Work::TerraformPlan { spec, .. } | Work::TerraformApply { spec, .. } => spec.tool.as_str(),
        Work::Probe { .. } | Work::Shell { .. } => "sh",
        Work::Select { .. } | Work::Release { .. } => "git",
        Work::Sync { sync, .. } => match &sync.service.executor {
            Executor::Command => COMMAND,
            Executor::Compose(_) => "docker",
            Executor::Dokploy(_) => "dokploy",
        },
    }
}

/// Names of variables whose values may be seen.
fn public_env(work: &Work) -> &[String] {
    match work {
        Work::TerraformPlan { spec, .. } | Work::TerraformApply { spec, .. } => &spec.public_env,
        Work::Probe { .. } | Work::Shell { .. } | Work::Select { .. } | Work::Release { .. } | Work::Sync { .. } => &[],
    }
}

/// What is secret in a git login.
fn secrets_of(auth: &GitAuth) -> Vec<&Secret> {
    match auth {
        GitAuth::Basic { password, .. } => vec![password],
        GitAuth::Token { token } => vec![token],
        GitAuth::Ssh { private_key, .. } => vec![private_key],
    }
}

/// One word for an outcome.
pub(crate) fn outcome_word(outcome: &AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Succeeded { .. } => "succeeded",
        AttemptOutcome::Failed { .. } => "failed",
        AttemptOutcome::NotStarted { .. } => "not started",
        AttemptOutcome::Stopped { .. } => "stopped",
        AttemptOutcome::Unclear { .. } => "unclear",
    }
}
