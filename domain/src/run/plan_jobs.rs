//! From a spec to the graph of jobs and the locks it needs.

use super::{event::JobPlan, state::JobKind};
use proto::{JobNo, lock::LockKey, message::RunSpec};

/// The jobs of a run, in an order in which each comes after those it needs.
pub(super) fn jobs_of(spec: &RunSpec) -> Vec<JobPlan> {
    let job = |name: &str, kind, needs: &[u32]| JobPlan {
        name: name.to_owned(),
        kind,
        needs: needs.iter().map(|n| JobNo(*n)).collect(),
        service: None,
    };
    match spec {
        RunSpec::Terraform(spec) => {
            let last = if spec.destroy { "destroy" } else { "apply" };
            // A destroy is never waved through: its plan is always shown to a person first.
            if spec.auto_approve && !spec.destroy {
                vec![job("plan", JobKind::TerraformPlan, &[]), job(last, JobKind::TerraformApply, &[0])]
            } else {
                vec![
                    job("plan", JobKind::TerraformPlan, &[]),
                    job("approval", JobKind::Approval, &[0]),
                    job(last, JobKind::TerraformApply, &[1]),
                ]
            }
        }
        RunSpec::Probe(_) => vec![job("probe", JobKind::Probe, &[])],
        // They stand in the trigger already, packed; see `evolve::found`.
        RunSpec::Orders(_) => Vec::new(),
        // The others are known when this one has looked; see `syncs::plan`.
        RunSpec::Sync(_) => vec![job("select", JobKind::Select, &[])],
    }
}

/// The locks of a run, taken before anything starts.
pub(super) fn locks_of(spec: &RunSpec) -> Vec<LockKey> {
    match spec {
        RunSpec::Terraform(spec) => vec![LockKey::directory(&spec.git_url, &spec.path, &spec.workspace)],
        // A sync has a lock of its own.
        RunSpec::Probe(_) | RunSpec::Orders(_) | RunSpec::Sync(_) => Vec::new(),
    }
}
