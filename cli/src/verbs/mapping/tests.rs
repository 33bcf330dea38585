//! What is shown of a repository, against golden files.

use std::path::Path;

use crate::args::CheckArgs;
use crate::output::mapping as picture;
use crate::output::problem;
use crate::output::style::Style;
use crate::problem::CliError;

use super::{checked, folder};

const PLAIN: Style = Style::new(false);

const MAPPING: &str = "\
version: 1
projects:
  finance_report: {managed: false, reason: its own CI deploys it}
layers:
  - {folder: platform, project: platform}
  - {folder: finance_report/finance_report, project: finance_report}
rules:
  - {paths: ['**/*.md'], then: skip, reason: only documentation}
  - {paths: [libs/sso/**], then: {services: [platform/authentik]}}
services:
  platform/authentik: {after: [platform/postgres], executor: dokploy}
  platform/redis: {executor: compose, production_only: true}
";
const MANIFEST: &str = "version: 1\nservices:\n  platform/postgres: {depends_on: [tools/pg/**]}\n";

fn repository(mapping: Option<&str>, manifest: Option<&str>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for path in [
        "bootstrap/05.vault/compose.yaml",
        "finance_report/finance_report/01.api/deploy.py",
        "libs/sso/client.py",
        "platform/01.postgres/compose.yaml",
        "platform/02.redis/compose.yaml",
        "platform/10.authentik/compose.yaml",
        "platform/10.authentik/README.md",
        "tools/pg/backup.sh",
    ] {
        write(path, "");
    }
    for (name, text) in [("navvy.yaml", mapping), ("deploy-dependencies.yaml", manifest)] {
        if let Some(text) = text {
            write(name, text);
        }
    }
    dir
}

fn look(dir: &Path, changed: &[&str]) -> Result<picture::Checked, CliError> {
    let args = CheckArgs {
        path: dir.to_owned(),
        changed: changed.iter().map(|&path| path.to_owned()).collect(),
        environment: "staging".parse().unwrap(),
        project: vec!["platform".to_owned()],
    };
    let repository = folder::open(&args.path)?;
    let changed = folder::changed(&repository, &args.changed)?;
    checked(&args, &repository, changed.as_deref()).map_err(|told| CliError::Mapping { mistakes: told.listed, more: told.more })
}

fn compare(name: &str, text: &str) {
    assert!(text.lines().all(|line| line.trim_end() == line), "trailing spaces in {name}");
    crate::golden::compare(&format!("tests/golden/{name}"), text);
}

#[test]
fn services_and_what_a_push_does_have_a_picture() {
    let dir = repository(Some(MAPPING), Some(MANIFEST));
    let changed = ["tools/pg/backup.sh", "libs/sso/client.py", "platform/10.authentik/README.md", "platform/07.portal/deploy.py", "x"];
    let found = look(dir.path(), &changed).unwrap();
    compare("mapping_check.txt", &picture::text(&found, PLAIN));
    compare("mapping_check.json", &serde_json::to_string_pretty(&picture::json(&found)).unwrap());
    let coloured = picture::text(&found, Style::new(true));
    let bare: Vec<String> = coloured.lines().map(|line| crate::output::ansi::line(line, false)).collect();
    assert_eq!(bare.join("\n"), picture::text(&found, PLAIN));
}

#[test]
fn a_repository_without_a_mapping_goes_by_the_built_in_table() {
    let dir = repository(None, None);
    compare("mapping_built_in.txt", &picture::text(&look(dir.path(), &["README.md"]).unwrap(), PLAIN));
    let nothing = tempfile::tempdir().unwrap();
    assert!(picture::text(&look(nothing.path(), &[]).unwrap(), PLAIN).ends_with("0 services in staging"));
}

#[test]
fn all_that_is_wrong_is_told_with_its_place() {
    let broken = "version: 2\nservices:\n  platform/a: {afer: [platform/b]}\n";
    let dir = repository(Some(broken), Some("version: 1\nservices: {p: {}}\n"));
    let both = look(dir.path(), &[]).unwrap_err();
    let unknown = repository(Some("version: 1\nservices: {platform/redis: {after: [platform/postgre]}}\n"), None);
    let unknown = look(unknown.path(), &[]).unwrap_err();
    compare("mapping_problems.txt", &[&both, &unknown].map(|error| problem::text(error, PLAIN)).join("\n\n"));
    assert_eq!(both.exit(), crate::exit::Exit::Usage);
    assert_eq!(problem::json(&unknown)["problems"][0]["field"], "navvy.yaml:2:37");
}

#[test]
fn the_example_is_well() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gitops-hello");
    let found = look(&example, &["libs/deploy.py"]).unwrap();
    assert_eq!(found.all.services.len(), 3);
    assert_eq!(found.push.unwrap().services.len(), 3);
}
