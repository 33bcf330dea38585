//! Runs of syncs to be submitted, and what a selection of one brings: a few services of two environments, edges between them
//! as chance has them, now and then a release, a circle, or a service named twice.

use crate::core::Core;
use proto::{
    git::CommitId,
    sync::{
        Compared, Environment, Executor, MappingInForce, Push, Release, ReleaseKind, ReleaseOrder, Selected, Selection, ServiceId,
        SyncSpec, SyncWanted,
    },
};

/// So few that runs meet.
const SERVICES: [&str; 4] = ["cache", "database", "queue", "web"];

pub(crate) fn service(name: &str) -> ServiceId {
    ServiceId::new("platform", name).expect("a service")
}

fn environment(name: &str) -> Environment {
    name.parse().expect("an environment")
}

/// A run of syncs as chance has it.
pub(crate) fn spec(core: &Core) -> SyncSpec {
    let head = core.store.borrow().head();
    let names = || some_services(core);
    let wanted = match core.draw(4) {
        0 => SyncWanted::All,
        1 => SyncWanted::Changed(Push { before: None, after: head, forced: false, files: Vec::new(), files_complete: false }),
        _ => SyncWanted::Named { names: names() },
    };
    let release = core.chance(200).then_some(ReleaseOrder { kind: ReleaseKind::Staging, from: None, strict: false });
    SyncSpec {
        source: "infra".parse().expect("a source"),
        git_url: "https://git.example/a/infra".parse().expect("a URL"),
        environment: environment(if core.chance(200) { "production" } else { "staging" }),
        git_ref: if core.chance(300) { "refs/tags/v1.2.3" } else { "refs/heads/main" }.parse().expect("a reference"),
        wanted,
        force: core.chance(150),
        command: vec!["deploy".to_owned()],
        timeout_s: 600,
        projects: vec!["platform".to_owned()],
        triggered_by: "ada".to_owned(),
        delivery: None,
        deployment_id: None,
        release,
        git_auth: None,
    }
}

fn some_services(core: &Core) -> Vec<ServiceId> {
    let some: Vec<ServiceId> = SERVICES.iter().filter(|_| core.chance(600)).map(|name| service(name)).collect();
    if some.is_empty() { vec![service(SERVICES[0])] } else { some }
}

/// What is found at the branch's head, or at the tag, which never moves.
pub(crate) fn selection(core: &Core, spec: &SyncSpec, bound: Option<&CommitId>) -> Selection {
    let head = core.store.borrow().head();
    let tag = || format!("{:040x}", 1).parse().expect("40 hex digits");
    let commit = bound.cloned().unwrap_or_else(|| if spec.git_ref.as_str().starts_with("refs/tags/") { tag() } else { head });
    let known: Vec<ServiceId> = SERVICES.iter().map(|name| service(name)).collect();
    let wanted = match &spec.wanted {
        SyncWanted::All => known.clone(),
        // One that touches nothing is one too.
        SyncWanted::Changed(_) if core.chance(150) => Vec::new(),
        SyncWanted::Changed(_) => some_services(core),
        SyncWanted::Named { names } => names.clone(),
    };
    let mut services: Vec<Selected> = (0..wanted.len()).map(|at| selected(core, &wanted, at)).collect();
    if core.chance(30) {
        services.extend(services.first().cloned());
    }
    Selection {
        until: None,
        generation: u64::from_str_radix(commit.as_str(), 16).unwrap_or(0),
        commit,
        compared: Compared::Named,
        changed_files: 0,
        services,
        skipped: Vec::new(),
        known,
        mapping: MappingInForce::BuiltIn,
        notes: Vec::new(),
    }
}

/// A service, after some of those before it; now and then after one behind it, which may be a circle.
fn selected(core: &Core, all: &[ServiceId], at: usize) -> Selected {
    let before = |other: usize| other < at && core.chance(350);
    let behind = |other: usize| other > at && core.chance(20);
    let after = (0..all.len()).filter(|other| before(*other) || behind(*other)).map(|other| all[other].clone()).collect();
    Selected {
        service: all[at].clone(),
        dir: all[at].to_string().parse().expect("a path"),
        task: "sync".to_owned(),
        executor: Executor::Command,
        reasons: Vec::new(),
        after,
        production_only: false,
        requires: Vec::new(),
        depends_on: Vec::new(),
    }
}

pub(crate) fn release(commit: &CommitId) -> Release {
    Release { kind: ReleaseKind::Staging, tag: "v1.2.4".to_owned(), commit: commit.clone(), from: None, existed: false, why: String::new() }
}
