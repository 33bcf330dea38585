//! The file as people write it, and everything that is refused, each with its place.

use super::*;
use proptest::prelude::*;
use proto::sync::{ComposeTarget, DokployTarget};

const FULL: &str = r#"
version: 1
projects:
  finance_report: {managed: true, prefix: fr-}
  lab:
    managed: false
    reason: "a playground"
layers:
  - {folder: platform, project: platform}
  - folder: finance_report/finance_report
    project: finance_report
rules:
  - paths: ["**/*.md", docs/]
    then: skip
    reason: only documentation
  - {paths: [libs/**], then: all}
  - paths: [tools/sso.py]
    then: {services: [platform/authentik]}
services:
  platform/postgres:
  platform/authentik:
    dir: platform/10.authentik
    task: sso.sync
    after: [platform/postgres, platform/redis]
    depends_on: [libs/auth/**]
    production_only: true
    requires: [VPS_HOST]
    executor:
      dokploy:
        env: {LOG: debug, PORT: 9000, TLS: true, HOST: "{service}{suffix}.{domain}"}
        data: {path: "/data/{project}/{service}{suffix}", mode: 0700}
        secret: {path: "{project}/{env}/{service}", keys: [password]}
        domain: {subdomain: sso, service: server, port: 9000}
  platform/redis:
    executor: {compose: {file: docker/compose.yaml, host: "db.example.com:2222"}}
  platform/minio: {executor: compose}
"#;

fn id(text: &str) -> ServiceId {
    text.parse().unwrap()
}

#[test]
fn the_whole_shape_is_read() {
    let mapping = parse(FILE, FULL).unwrap();
    assert_eq!(mapping.projects["finance_report"].managed, Some(true));
    assert_eq!(mapping.projects["lab"].reason.as_deref(), Some("a playground"));
    assert_eq!(mapping.projects["bootstrap"].managed, Some(false), "what is not said stays");
    assert_eq!(mapping.layers.iter().map(|layer| layer.project.as_str()).collect::<Vec<_>>(), ["platform", "finance_report", "bootstrap"]);
    let then: Vec<&Then> = mapping.rules.iter().map(|rule| &rule.then).collect();
    assert_eq!(then, [&Then::Skip, &Then::All, &Then::Services(vec![id("platform/authentik")])]);
    assert_eq!(mapping.services[&id("platform/postgres")], Declared::default());
    let authentik = &mapping.services[&id("platform/authentik")];
    assert_eq!(authentik.after, [id("platform/postgres"), id("platform/redis")]);
    assert!(authentik.production_only && !authentik.names_file);
    let Executor::Dokploy(DokployTarget { native, project: None, name: None, domain: Some(domain) }) = &authentik.executor else {
        panic!("{:?}", authentik.executor)
    };
    let env: Vec<(&str, &str)> = native.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(env, [("HOST", "{service}{suffix}.{domain}"), ("LOG", "debug"), ("PORT", "9000"), ("TLS", "true")]);
    let data = native.data.as_ref().unwrap();
    assert_eq!((data.uid, data.gid, data.mode.as_str()), (999, 999, "700"));
    assert_eq!((domain.subdomain.as_str(), domain.port), ("sso", 9000));
    let Executor::Compose(ComposeTarget { native, host, project }) = &mapping.services[&id("platform/redis")].executor else { panic!() };
    assert_eq!(
        (native.file.as_str(), host.as_deref(), project.as_str()),
        ("docker/compose.yaml", Some("db.example.com:2222"), "{project}-{service}{suffix}")
    );
    let known = mapping.services.keys().cloned().collect();
    assert_eq!(mapping.check_services(&known), Ok(()));
}

#[test]
fn sections_that_are_absent_are_built_in() {
    let mapping = parse(FILE, "version: 1\n").unwrap();
    assert_eq!(mapping, Mapping::built_in());
    assert_eq!((mapping.layers.len(), mapping.rules.len()), (3, 1));
    assert!(parse(FILE, "version: 1\nrules: []\n").unwrap().rules.is_empty());
}

fn service(fields: &str) -> String {
    format!("version: 1\nservices:\n  platform/a:\n    {fields}\n")
}

fn dokploy(fields: &str) -> String {
    service(&format!("executor: {{dokploy: {{{fields}}}}}"))
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, expected) in [
        (String::new(), "navvy.yaml:"),
        ("rules: []\n".to_owned(), "1:1: the file must say `version: 1`"),
        ("version: \"1\"\n".to_owned(), "1:10: version must be 1: this is the only shape of the file that is known here"),
        ("version: 1\nservces: {}\n".to_owned(), "2:1: the file has no field `servces`: did you mean `services`?"),
        (
            "version: 1\nfoo: {}\n".to_owned(),
            "2:1: the file has no field `foo`: it may be one of version, projects, layers, rules, services",
        ),
        ("version: 1\nversion: 1\n".to_owned(), "2:1: "),
        ("version: 1\nprojects: {bootstrap: {managed: true}}\n".to_owned(), "2:33: bootstrap cannot be managed"),
        ("version: 1\nprojects: {x: {managed: 1}}\n".to_owned(), "2:25: managed must be true or false, and this is a number"),
        ("version: 1\nprojects: {../x: {}}\n".to_owned(), "2:12: this is no name of a project"),
        ("version: 1\nprojects: {x: {prefix: -rf}}\n".to_owned(), "2:24: prefix must be"),
        ("version: 1\nlayers: [{folder: bootstrap, project: platform}]\n".to_owned(), "2:19: services in the folder bootstrap"),
        ("version: 1\nlayers: [{folder: ../x, project: platform}]\n".to_owned(), "2:19: folder: `../x` leaves the repository"),
        ("version: 1\nlayers: [{folder: a, project: p}, {folder: ./a, project: q}]\n".to_owned(), "2:44: the folder a is a layer already"),
        ("version: 1\nlayers: [{folder: a}]\n".to_owned(), "2:10: a layer has a `folder`"),
        ("version: 1\nrules: [{paths: [a]}]\n".to_owned(), "2:9: a rule has `paths`"),
        ("version: 1\nrules: [{paths: [a], then: some}]\n".to_owned(), "2:28: then must be `all`"),
        ("version: 1\nrules: [{paths: ['**/**/**/**'], then: all}]\n".to_owned(), "2:18: paths: `**` stands 4 times"),
        ("version: 1\nrules: [{paths: a, then: all}]\n".to_owned(), "2:17: paths must be a list, and this is a text"),
        ("version: 1\nrules: [{paths: [a], then: {services: [bootstrap/vault]}}]\n".to_owned(), "2:40: a rule names bootstrap/vault"),
        ("version: 1\nservices: {postgres: {}}\n".to_owned(), "2:12: services: `postgres` is not a service"),
        (service("dir: /etc"), "4:10: dir: `/etc` is absolute"),
        (service("dir: bootstrap/05.vault"), "4:10: services in the folder bootstrap"),
        (service("task: '--rm'"), "4:11: task may have"),
        (service("after: [platform/a]"), "4:12: services wait for one another: platform/a -> platform/a. Remove"),
        (service("requires: [A-B]"), "4:16: a variable is called"),
        (service("production_only: yes"), "4:22: production_only must be true or false, and this is a text"),
        (service("executor: ssh"), "4:15: executor must be"),
        (service("executor: {compose: {}, dokploy: {}}"), "4:15: executor must be"),
        (service("executor: {command: {}}"), "4:15: executor must be"),
        (service("executor: {compose: {host: 'a b'}}"), "4:32: host must be"),
        (dokploy("fil: x"), "4:26: dokploy has no field `fil`: did you mean `file`?"),
        (dokploy("file: ../x"), "4:32: file: `../x` leaves"),
        (dokploy("env: {A: '{task}'}"), "4:35: `{task}` is no placeholder"),
        (dokploy("env: {A: 1.10}"), "4:35: a value of env must be a text: put it in quotes"),
        (dokploy("env: {IAC_CONFIG_HASH: x}"), "4:32: IAC_CONFIG_HASH is the service's identity"),
        (dokploy("data: {path: 'data/{project}/{service}{suffix}'}"), "4:39: path must be absolute"),
        (dokploy("data: {path: '/a/../{project}/{service}{suffix}'}"), "4:39: path must be absolute"),
        (dokploy("data: {path: '/./{project}/{service}{suffix}'}"), "4:39: path must be absolute"),
        (dokploy("data: {path: /etc}"), "4:39: path must hold {project}, {service}, and {env} or {suffix}"),
        (dokploy("data: {path: '/data/{project}/{service}'}"), "4:39: path must hold"),
        (dokploy("data: {path: '/{project}/{service}{suffix}', mode: 4755}"), "4:77: mode must be three octal digits"),
        (dokploy("data: {path: '/{project}/{service}{suffix}', uid: -1}"), "4:76: uid must be a whole number from 0 to"),
        (dokploy("project: Bootstrap"), "4:35: project must not be the bootstrap"),
        (dokploy("data: {}"), "4:32: data needs `path`"),
        (dokploy("secret: {path: '{project}/../{env}/{service}', keys: [x]}"), "4:41: path is relative to Vault's mount"),
        (dokploy("secret: {path: platform/production/other, keys: [x]}"), "4:41: path must hold"),
        (dokploy("secret: {path: '{project}/{env}/{service}', keys: []}"), "4:76: keys must name"),
        (dokploy("domain: {subdomain: a.b, service: s, port: 1}"), "4:46: subdomain is one part"),
        (dokploy("domain: {subdomain: a, service: s, port: 70000}"), "4:67: port must be"),
    ] {
        let problems = parse(FILE, &text).unwrap_err().to_string();
        let line = problems.lines().next().unwrap();
        assert!(
            line.strip_prefix("navvy.yaml:").unwrap().starts_with(expected.strip_prefix("navvy.yaml:").unwrap_or(expected)),
            "{text}: {line}"
        );
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_in_its_order() {
    let text = "version: 2\nrulez: []\nservices:\n  platform/b: {after: [platform/a]}\n  platform/a: {after: [platform/b], tasc: x}\n";
    let expected = "navvy.yaml:1:10: version must be 1: this is the only shape of the file that is known here\n\
        navvy.yaml:2:1: the file has no field `rulez`: did you mean `rules`?\n\
        navvy.yaml:5:23: services wait for one another: platform/a -> platform/b -> platform/a. Remove one `after` of these\n\
        navvy.yaml:5:37: service platform/a has no field `tasc`: did you mean `task`?";
    assert_eq!(parse(FILE, text).unwrap_err().to_string(), expected);
    let many = (0..50).map(|number| format!("x{number}: 1\n")).collect::<Vec<_>>().concat();
    let problems = parse(FILE, &format!("version: 1\n{many}")).unwrap_err();
    assert_eq!((problems.problems.len(), problems.more), (20, 30));
}

#[test]
fn sizes_are_bounded() {
    let rules = "  - {paths: [a], then: all}\n".repeat(201);
    let globs = format!("  - {{paths: [{}], then: all}}\n", "a,".repeat(200)).repeat(11);
    let services = (0..1001).map(|number| format!("  platform/s{number}: {{}}\n")).collect::<Vec<_>>().concat();
    for (text, expected) in [
        (format!("version: 1\nrules:\n{rules}"), "rules has 201 entries, and 200 at most are read"),
        (format!("version: 1\nrules:\n{globs}"), "2200 globs, and 2000 at most are read"),
        (format!("version: 1\nservices:\n{services}"), "services has 1001 entries, and 1000 at most are read"),
    ] {
        let problems = parse(FILE, &text).unwrap_err().to_string();
        assert!(problems.contains(expected), "{problems}");
    }
}

#[test]
fn services_that_are_not_there_are_refused_where_they_are_known() {
    let mapping = parse(FILE, FULL).unwrap();
    let known = ["platform/postgres", "platform/redis", "platform/authentic"].map(id).into();
    let problems = mapping.check_services(&known).unwrap_err().to_string();
    let expected = "navvy.yaml:18:23: a rule names `platform/authentik`, and there is no such service: did you mean `platform/authentic`?";
    assert_eq!(problems, expected);
}

proptest! {
    /// Whatever is done to a file, it is read or refused at a place that it has.
    #[test]
    fn any_file_is_read_or_refused(at in 0_usize..1600, cut in 0_usize..60, put in "[ -~\n\t\u{e9}*&{}\\[\\]]{0,12}") {
        let chars: Vec<char> = FULL.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        let text: String = chars[..at].iter().copied().chain(put.chars()).chain(chars[end..].iter().copied()).collect();
        if let Err(problems) = parse(FILE, &text) {
            prop_assert!(!problems.problems.is_empty() && problems.problems.len() <= 20);
            let lines = text.lines().count() as u32 + 1;
            for problem in &problems.problems {
                prop_assert!(problem.line <= lines, "{problem:?}");
                prop_assert!(!problem.message.is_empty() && problem.message.chars().count() <= 600, "{problem:?}");
                prop_assert!(!problem.message.contains('\n'), "{problem:?}");
            }
        }
    }
}

#[test]
fn long_names_make_short_problems() {
    let long = "x".repeat(100_000);
    for text in [
        format!("{long}: 1\n{long}: 2\n"),
        format!("version: 1\n{long}: 2\n"),
        format!("version: 1\nservices: {{{long}: {{}}}}\n"),
        format!("version: {long}: x\n"),
    ] {
        let problems = parse(FILE, &text).unwrap_err().to_string();
        assert!(problems.len() < 1000, "{}", problems.len());
    }
}

/// The example of the module's own documentation is a good file.
#[test]
fn the_documented_example_is_read() {
    let text = include_str!("mod.rs");
    let example: Vec<&str> = text.lines().skip_while(|line| *line != "//! ```yaml").skip(1).take_while(|line| *line != "//! ```").collect();
    let yaml = example.iter().map(|line| line.strip_prefix("//! ").unwrap()).collect::<Vec<_>>().join("\n");
    let mapping = parse(FILE, &yaml).unwrap();
    assert_eq!((mapping.rules.len(), mapping.services.len()), (3, 1));
}

/// So are those of the reference.
#[test]
fn the_examples_of_the_reference_are_read() {
    let text = include_str!("../../../docs/reference/mapping.md");
    let (ours, _) = text.split_once("## deploy-dependencies.yaml").unwrap();
    let examples: Vec<&str> = ours.split("```yaml\n").skip(1).map(|block| block.split_once("```").unwrap().0).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let version = if example.starts_with("version: 1\n") { "" } else { "version: 1\n" };
        let mapping = parse(FILE, &format!("{version}{example}")).unwrap();
        assert!(!mapping.services.is_empty());
    }
}
