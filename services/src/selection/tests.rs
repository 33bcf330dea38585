//! Selections: the table of the replaced service, rules and names.

use super::*;
use crate::{manifest, mapping};
use std::fmt::Write as _;

const TREE: [&str; 10] = [
    "bootstrap/05.vault/compose.yaml",
    "bootstrap/06.iac-runner/deploy.py",
    "finance_report/finance_report/01.api/deploy.py",
    "platform/01.postgres/compose.yaml",
    "platform/02.redis/compose.yaml",
    "platform/03.clickhouse/deploy.py",
    "platform/03.minio/deploy.py",
    "platform/10.authentik/compose.yaml",
    "platform/10.authentik/deploy.py",
    "libs/a.py",
];

pub(super) struct Ask<'a> {
    pub(super) tree: &'a [&'a str],
    pub(super) mapping: &'a str,
    pub(super) manifest: &'a str,
    pub(super) environment: &'a str,
    pub(super) projects: &'a [&'a str],
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self { tree: &TREE, mapping: "", manifest: "", environment: "staging", projects: &["platform"] }
    }
}

impl Ask<'_> {
    pub(super) fn select(&self, wanted: Wanted<'_>) -> Selection {
        let text = if self.mapping.is_empty() { None } else { Some(self.mapping) };
        let (mapping, in_force) = mapping::mapping_in_force(text.map(Ok), None).unwrap();
        let manifest = if self.manifest.is_empty() { Manifest::default() } else { manifest::parse(manifest::FILE, self.manifest).unwrap() };
        let projects: Vec<String> = self.projects.iter().map(|&project| project.to_owned()).collect();
        let commit: CommitId = "a".repeat(40).parse().unwrap();
        select(Question {
            commit: commit.clone(),
            generation: 7,
            compared: Compared::Diff { before: commit },
            environment: &self.environment.parse().unwrap(),
            wanted,
            projects: &projects,
            mapping: &mapping,
            in_force,
            layout: &Layout::discover(self.tree.iter().copied(), &mapping).unwrap(),
            manifest: &manifest,
        })
        .unwrap()
    }

    /// `+ service: reasons` and `- what: reason`, one a line. `-path` is a file that was removed.
    fn changed(&self, paths: &[&str]) -> String {
        let file = |path: &&str| match path.strip_prefix('-') {
            Some(path) => ChangedFile { path: path.to_owned(), removed: true },
            None => ChangedFile { path: (*path).to_owned(), removed: false },
        };
        shown(&self.select(Wanted::Changed(&paths.iter().map(file).collect::<Vec<_>>())))
    }

    fn named(&self, names: &[&str]) -> String {
        shown(&self.select(Wanted::Named(&names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>())))
    }
}

fn shown(selection: &Selection) -> String {
    let mut text = String::new();
    for selected in &selection.services {
        writeln!(text, "+ {}: {}", selected.service, selected.reasons.join("; ")).unwrap();
    }
    for skipped in &selection.skipped {
        writeln!(text, "- {}: {}", skipped.what, skipped.reason).unwrap();
    }
    for note in &selection.notes {
        writeln!(text, "! {note}").unwrap();
    }
    text
}

const BY_HAND: &str = "the bootstrap is deployed by hand: the runner must never deploy itself or what it needs to run";

#[test]
fn the_table_of_the_replaced_service() {
    let ask = Ask::default();
    for (paths, expected) in [
        (&["platform/01.postgres/compose.yaml"][..], "+ platform/postgres: own folder (platform/01.postgres/compose.yaml)\n".to_owned()),
        (&["platform/10.authentik/conf/x/y"][..], "+ platform/authentik: own folder (platform/10.authentik/conf/x/y)\n".to_owned()),
        (
            &["libs/a.py"][..],
            ["authentik", "clickhouse", "minio", "postgres", "redis"]
                .map(|name| format!("+ platform/{name}: rule libs/**: everything (libs/a.py)\n"))
                .concat(),
        ),
        (
            &["bootstrap/05.vault/compose.yaml", "bootstrap/README.md"][..],
            format!("- bootstrap/: {BY_HAND} (bootstrap/README.md)\n- bootstrap/vault: {BY_HAND} (own folder (bootstrap/05.vault/compose.yaml))\n"),
        ),
        (
            &["finance_report/x.py", "finance/y.py"][..],
            "- finance/: an app that its own CI deploys (finance/y.py)\n- finance_report/: an app that its own CI deploys (finance_report/x.py)\n"
                .to_owned(),
        ),
        (&["docs/a.md", "README.md"][..], "- docs/: no service belongs to it (docs/a.md)\n- files at the root: no service belongs to it (README.md)\n".to_owned()),
        (&["platform/README.md"][..], "- platform/: no service belongs to it (platform/README.md)\n".to_owned()),
        (&[][..], String::new()),
    ] {
        assert_eq!(ask.changed(paths), expected, "{paths:?}");
    }
}

#[test]
fn an_app_is_managed_where_the_operator_and_the_mapping_agree() {
    let (file, out) = ("finance_report/finance_report/01.api/deploy.py", "version: 1\nprojects: {finance_report: {managed: false}}\n");
    let wants = "version: 1\nprojects: {finance_report: {managed: true}}\n";
    for (projects, mapping, expected) in [
        (&["platform"][..], "", "- finance_report/api: an app that its own CI deploys"),
        (&["platform", "finance_report"][..], "", "+ finance_report/api: own folder"),
        (&["platform", "finance_report"][..], out, "- finance_report/api: an app that its own CI deploys"),
        (&["platform"][..], wants, "- finance_report/api: the project finance_report is not managed here: the operator adds it"),
        (&["platform", "finance_report"][..], wants, "+ finance_report/api: own folder"),
        (&["bootstrap", "platform"][..], "", "- finance_report/api: an app"),
    ] {
        let selection = Ask { mapping, projects, ..Ask::default() }.changed(&[file]);
        assert!(selection.starts_with(expected), "{selection}");
    }
}

#[test]
fn the_bootstrap_is_never_synced() {
    let ask = Ask { projects: &["platform", "bootstrap"], ..Ask::default() };
    assert_eq!(ask.named(&["bootstrap/vault"]), format!("- bootstrap/vault: {BY_HAND}\n"));
    let all = ask.select(Wanted::All { why: "they were asked for" });
    assert!(all.services.iter().all(|selected| selected.service.project() == "platform"));
    assert_eq!(all.services.len(), 5);
    assert_eq!(all.services[0].reasons, ["all services: they were asked for"]);
    let skipped: Vec<&str> = all.skipped.iter().map(|skipped| skipped.what.as_str()).collect();
    assert_eq!(skipped, ["bootstrap/iac-runner", "bootstrap/vault", "finance_report/api"]);
}

#[test]
fn a_task_of_the_bootstrap_is_not_run_under_another_name() {
    let mapping = "version: 1\nlayers: [{folder: platform, project: platform}]\nservices: {platform/redis: {task: iac-runner.sync}, platform/postgres: {task: vault.sync, executor: dokploy}}\n";
    let why = "its task iac-runner.sync is that of bootstrap/iac-runner, which is deployed by hand: give it a `task` of its own";
    assert_eq!(
        Ask { mapping, ..Ask::default() }.named(&["platform/redis", "platform/postgres"]),
        format!("+ platform/postgres: named\n- platform/redis: {why}\n")
    );
}

#[test]
fn names_that_are_unknown_are_told() {
    let expected = "+ platform/redis: named\n- platform/postgre: no such service: did you mean `platform/postgres`?\n\
        - platform/x: no such service in this commit\n";
    assert_eq!(Ask::default().named(&["platform/x", "platform/redis", "platform/postgre", "platform/redis"]), expected);
}

pub(super) const RULES: &str = r#"
version: 1
rules:
  - {paths: ["**/*.md"], then: skip, reason: only documentation}
  - {paths: [libs/sso/**], then: {services: [platform/authentik, platform/gone]}}
  - {paths: [libs/**], then: skip}
services:
  platform/redis: {depends_on: [tools/r*.py, libs/**], production_only: true}
  platform/authentik: {depends_on: [common/**], after: [platform/redis]}
  platform/postgres: {executor: dokploy}
  platform/minio: {executor: compose}
"#;

#[test]
fn rules_come_first_and_the_first_counts() {
    let ask = Ask { mapping: RULES, environment: "production", ..Ask::default() };
    let note =
        "! navvy.yaml:5:66: a rule names `platform/gone`, and there is no such service: name one that the repository has, or remove it\n";
    for (paths, expected) in [
        (
            &["platform/01.postgres/README.md", "libs/sso/x.md"][..],
            "- **/*.md: only documentation (libs/sso/x.md, platform/01.postgres/README.md)\n",
        ),
        // A rule that names services adds to what depends on the file; one that skips ends it.
        (
            &["libs/sso/a.py"][..],
            "+ platform/authentik: rule libs/sso/** names it (libs/sso/a.py)\n+ platform/redis: depends on libs/** (libs/sso/a.py)\n\
             - platform/gone: no such service in this commit (rule libs/sso/** names it (libs/sso/a.py))\n",
        ),
        (&["libs/b.py"][..], "- libs/**: the mapping says so (libs/b.py)\n"),
        (
            &["tools/r1.py", "tools/r2.py", "platform/02.redis/x"][..],
            "+ platform/redis: own folder (platform/02.redis/x); depends on tools/r*.py (tools/r1.py, tools/r2.py)\n",
        ),
        // What is deployed by us has its variables in the mapping.
        (
            &["navvy.yaml"][..],
            "+ platform/postgres: navvy.yaml says how it is deployed, and changed\n- platform/minio: platform/03.minio has no compose file: add one, or \
             name it with `file` (navvy.yaml says how it is deployed, and changed)\n",
        ),
    ] {
        assert_eq!(ask.changed(paths), format!("{expected}{note}"), "{paths:?}");
    }
}

#[test]
fn the_manifest_adds_what_services_are_built_from() {
    let manifest = "version: 1\nservices: {platform/minio: {depends_on: [libs/x/**]}, platform/none: {depends_on: [libs/**]}}\n";
    let ask = Ask { mapping: "version: 1\nrules: []\n", manifest, ..Ask::default() };
    let note = "! deploy-dependencies.yaml: platform/none is no service of this commit\n";
    assert_eq!(ask.changed(&["libs/x/a.py"]), format!("+ platform/minio: depends on libs/x/** (libs/x/a.py)\n{note}"));
    assert_eq!(ask.changed(&["libs/y.py"]), format!("- libs/: no service belongs to it (libs/y.py)\n{note}"));
    let selection = ask.select(Wanted::Named(&["platform/minio".parse().unwrap()]));
    assert_eq!(selection.services[0].depends_on, ["libs/x/**"]);
}

#[test]
fn production_only_is_skipped_elsewhere_and_its_neighbours_keep_their_order() {
    let mapping = "version: 1\nservices:\n  platform/authentik: {after: [platform/redis]}\n  \
        platform/redis: {after: [platform/postgres], production_only: true, requires: [VPS_HOST]}\n";
    let mut ask = Ask { mapping, ..Ask::default() };
    let after = |ask: &Ask<'_>| {
        let selection = ask.select(Wanted::All { why: "test" });
        let of = |name: &str| {
            let found = selection.services.iter().find(|selected| selected.service.name() == name);
            found.map(|selected| selected.after.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        (of("authentik"), of("redis"))
    };
    assert_eq!(after(&ask), (Some("platform/postgres".to_owned()), None));
    let redis = ask.changed(&["platform/02.redis/compose.yaml"]);
    assert_eq!(redis, "- platform/redis: only for production, and this is staging (own folder (platform/02.redis/compose.yaml))\n");
    ask.environment = "prod";
    assert_eq!(after(&ask), (Some("platform/redis".to_owned()), Some("platform/postgres".to_owned())));
}

#[test]
fn removed_and_moved_services_are_told_apart() {
    let ask = Ask::default();
    assert_eq!(
        ask.changed(&["-platform/07.signoz/compose.yaml", "-platform/07.signoz/conf/x", "-platform/07.signoz/deploy.py"]),
        "- platform/signoz: removed from the repository; undeploying is manual (platform/07.signoz/compose.yaml, platform/07.signoz/conf/x, \
         platform/07.signoz/deploy.py)\n"
    );
    assert_eq!(
        ask.changed(&["-platform/08.redis/compose.yaml", "platform/02.redis/compose.yaml"]),
        "+ platform/redis: own folder (platform/02.redis/compose.yaml); it was in platform/08.redis before (platform/08.redis/compose.yaml)\n"
    );
    // Still a service, only less of it; and no service any more, though files are left.
    assert_eq!(ask.changed(&["-platform/10.authentik/x"]), "+ platform/authentik: own folder (platform/10.authentik/x)\n");
    let tree = [&TREE[..], &["platform/09.portal/README.md"]].concat();
    let ask = Ask { tree: &tree, ..Ask::default() };
    assert_eq!(
        ask.changed(&["-platform/09.portal/deploy.py"]),
        "- platform/portal: removed from the repository; undeploying is manual (platform/09.portal/deploy.py)\n"
    );
}

#[test]
fn services_that_cannot_be_told_apart_are_skipped() {
    let tree = ["platform/01.redis/deploy.py", "platform/02.redis/deploy.py"];
    let ask = Ask { tree: &tree, ..Ask::default() };
    let why = "it has 2 folders (platform/01.redis, platform/02.redis), and only one can be meant";
    let note = "! platform/redis has 2 folders (platform/01.redis, platform/02.redis): it is not synced\n";
    assert_eq!(ask.changed(&["platform/02.redis/x"]), format!("- platform/redis: {why} (own folder (platform/02.redis/x))\n{note}"));
    assert_eq!(ask.named(&["platform/redis"]), format!("- platform/redis: {why}\n{note}"));
    assert_eq!(shown(&ask.select(Wanted::All { why: "test" })), format!("- platform/redis: {why}\n{note}"));
}

#[test]
fn the_compose_file_is_the_one_that_is_found() {
    let ask = Ask { mapping: RULES, ..Ask::default() };
    let selection = ask.select(Wanted::Named(&["platform/postgres".parse().unwrap()]));
    let Executor::Dokploy(target) = &selection.services[0].executor else { panic!() };
    assert_eq!(target.native.file.as_str(), "compose.yaml");
    assert_eq!((selection.generation, selection.services[0].task.as_str()), (7, "postgres.sync"));
}

#[test]
fn a_mapping_that_is_not_in_force_is_noted() {
    let mapping = Mapping::built_in();
    let in_force = MappingInForce::LastGood { text: String::new(), problem: "navvy.yaml:1:1: bad".to_owned() };
    let commit: CommitId = "b".repeat(40).parse().unwrap();
    let selection = select(Question {
        commit: commit.clone(),
        generation: 1,
        compared: Compared::Named,
        environment: &"staging".parse().unwrap(),
        wanted: Wanted::Named(&[]),
        projects: &[],
        mapping: &mapping,
        in_force: in_force.clone(),
        layout: &Layout::default(),
        manifest: &Manifest::default(),
    })
    .unwrap();
    assert_eq!((selection.mapping, selection.commit), (in_force, commit));
    assert!(selection.notes[0].contains("navvy.yaml:1:1: bad"), "{:?}", selection.notes);
}
