//! Runs of syncs: what is submitted, and what its workers bring.

use super::trigger;
use proto::{
    JobNo,
    message::{JobResult, RunSpec, Trigger},
    sync::{Compared, Executor, MappingInForce, Selected, Selection, ServiceId, SyncAction, SyncResult, SyncSpec, SyncWanted},
};

pub const SELECT: JobNo = JobNo(0);

pub fn service(name: &str) -> ServiceId {
    ServiceId::new("platform", name).unwrap()
}

/// A run of these services, in this order, from the branch `main` to staging.
pub fn syncs(names: &[&str]) -> Trigger {
    let spec = SyncSpec {
        source: "acme-infra".parse().unwrap(),
        git_url: "https://git.example/acme/infra".parse().unwrap(),
        environment: "staging".parse().unwrap(),
        git_ref: "refs/heads/main".parse().unwrap(),
        wanted: SyncWanted::Named { names: names.iter().map(|name| service(name)).collect() },
        force: false,
        command: vec!["deploy".to_owned()],
        timeout_s: 600,
        projects: vec!["platform".to_owned()],
        triggered_by: "ada".to_owned(),
        delivery: None,
        deployment_id: None,
        release: None,
        git_auth: None,
    };
    trigger(RunSpec::Sync(spec))
}

/// What the selection of such a run brings: its services, each after nothing.
pub fn selected(spec: &SyncSpec, generation: u64) -> JobResult {
    let names = match &spec.wanted {
        SyncWanted::Named { names } => names.clone(),
        SyncWanted::Changed(_) | SyncWanted::All => Vec::new(),
    };
    let selected = |service: &ServiceId| Selected {
        service: service.clone(),
        dir: service.to_string().parse().unwrap(),
        task: format!("{}.sync", service.name()),
        executor: Executor::Command,
        reasons: Vec::new(),
        after: Vec::new(),
        production_only: false,
        requires: Vec::new(),
        depends_on: Vec::new(),
    };
    JobResult::Selection(Box::new(Selection {
        until: None,
        commit: "a".repeat(40).parse().unwrap(),
        generation,
        compared: Compared::Named,
        changed_files: 0,
        services: names.iter().map(selected).collect(),
        skipped: Vec::new(),
        known: names.clone(),
        mapping: MappingInForce::BuiltIn,
        notes: Vec::new(),
    }))
}

pub fn synced(hash: &str) -> JobResult {
    JobResult::Sync(SyncResult { action: SyncAction::Updated, details: String::new(), hash: Some(hash.to_owned()), untouched: false })
}
