//! What a permit's work means on this machine. One module per action; the steps of terraform itself are in
//! `crate::terraform`.

mod checkout;
mod commands;
mod probe;
mod terraform;

use crate::attempt::stage::Stage;
use proto::{
    Secret,
    message::{AttemptOutcome, Failure, JobResult, Work},
    terraform::{GitAuth, SecretBundle},
};

/// Work that needs no process, no log and no folder.
pub(crate) fn without_stage(work: &Work) -> Option<AttemptOutcome> {
    match work {
        Work::Probe { spec } if spec.echo.is_none() => Some(AttemptOutcome::Succeeded { result: JobResult::Nothing }),
        Work::Probe { .. } | Work::TerraformPlan { .. } | Work::TerraformApply { .. } => None,
    }
}

/// Does the work.
pub(crate) async fn perform(stage: &mut Stage, work: &Work, secrets: Option<SecretBundle>) -> AttemptOutcome {
    match (work, secrets) {
        (Work::Probe { spec }, _) => probe::perform(stage, spec).await,
        (Work::TerraformPlan { spec, commit }, Some(secrets)) => terraform::plan(stage, spec, commit.clone(), secrets).await,
        (Work::TerraformApply { spec, plan }, Some(secrets)) => terraform::apply(stage, spec, plan, secrets).await,
        // Without its key a run can neither seal nor open a plan.
        (Work::TerraformPlan { .. } | Work::TerraformApply { .. }, None) => AttemptOutcome::Failed {
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
    }
}

/// The phase in which the work changes the world.
pub(crate) fn effects_phase(work: &Work) -> &'static str {
    match work {
        Work::TerraformApply { spec, .. } if spec.destroy => "destroy",
        Work::TerraformApply { .. } => "apply",
        Work::TerraformPlan { .. } => "plan",
        Work::Probe { .. } => "initializing",
    }
}

/// The program that does the work.
pub(crate) fn tool_word(work: &Work) -> &'static str {
    match work {
        Work::TerraformPlan { spec, .. } | Work::TerraformApply { spec, .. } => spec.tool.as_str(),
        Work::Probe { .. } => "sh",
    }
}

/// Names of variables whose values may be seen.
pub(crate) fn public_env(work: &Work) -> &[String] {
    match work {
        Work::TerraformPlan { spec, .. } | Work::TerraformApply { spec, .. } => &spec.public_env,
        Work::Probe { .. } => &[],
    }
}

/// What is secret in a git login.
pub(crate) fn secrets_of(auth: &GitAuth) -> Vec<&Secret> {
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
