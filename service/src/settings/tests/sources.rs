//! Sources and syncs: sections that may repeat, the variables of the replaced service, and the rules of both.

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn problems(layers: Layers) -> String {
    let problems = layers.load().expect("typed").settings.check().expect_err("refused");
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const TWO: &str = "
[[sources]]
id = 'platform'
kind = 'gitlab'
repository = 'https://gitlab.example/acme/infra.git'
secrets_file = '/secrets/webhook'
projects = ['platform', 'data']
[[sources]]
id = 'apps'
repository = 'git@github.com:acme/apps.git'
branch = 'release'
secrets_file = '/secrets/apps'
auto_stage = true
[sync]
command = ['make', 'sync', '{service}']
timeout = '5m'
";

#[test]
fn sources_come_in_the_order_of_the_file_with_defaults_of_their_own() {
    let (dir, layers) = file(TWO);
    let loaded = layers.load().unwrap();
    let [platform, apps] = loaded.settings.sources.as_slice() else { panic!("{:?}", loaded.settings.sources) };
    assert_eq!((platform.id.as_str(), platform.kind, platform.branch.as_str()), ("platform", ForgeKind::Gitlab, "main"));
    assert_eq!(platform.projects, ["platform", "data"]);
    assert_eq!((apps.id.as_str(), apps.kind, apps.branch.as_str(), apps.auto_stage), ("apps", ForgeKind::Github, "release", true));
    assert_eq!(apps.projects, ["platform"]);
    assert_eq!(loaded.settings.sync.command, ["make", "sync", "{service}"]);
    assert_eq!(loaded.settings.check(), Ok(()));
    let rows = loaded.rows();
    let row = |key: &str| rows.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("{key}"));
    assert_eq!(row("sources[1].branch").value, "release");
    let place = format!("file {}", dir.path().join("navvy.toml").display());
    assert_eq!((row("sources[1].branch").origin.to_string(), row("sources[0].branch").origin.to_string()), (place, "default".to_owned()));
}

#[test]
fn all_that_is_wrong_with_sources_is_named_at_once_with_its_place() {
    let (_dir, layers) = file(
        "[[sources]]\nid = 5\nbrnch = 'x'\n[[sources]]\nkind = 'cvs'\nprojects = 'platform'\n[[sources]]\n[sync]\ntimout = '1s'\n[worker]\nslot = 1",
    );
    let told = refusal(layers);
    for part in [
        "sources[0].id (file",
        "sources[0].brnch (file",
        "did you mean sources[].branch?",
        "sources[1].kind (file",
        "bitbucket-cloud",
        "sources[1].projects (file",
        "sources[2] (file",
        "did you mean sync.timeout?",
        "did you mean worker.slots?",
        "navvy.toml",
    ] {
        assert!(told.contains(part), "{part} in: {told}");
    }
    for text in ["sources = 5", "[sources]\nid = 'x'", "sources = ['a']"] {
        let (_dir, layers) = file(text);
        assert!(refusal(layers).contains("section"), "{text}");
    }
    assert!(refusal(env(&[("NAVVY__SOURCES", "x")])).contains("nobody knows this variable"));
}

#[test]
fn the_variables_of_the_replaced_service_make_a_source_where_there_is_none() {
    let seed = [
        ("GIT_REPO_URL", "https://github.com/acme/infra2.git"),
        ("GIT_BRANCH", "trunk"),
        ("WEBHOOK_SECRET", SECRET),
        ("DEPLOY_TIMEOUT", "900"),
    ];
    let loaded = env(&seed).load().unwrap();
    let [source] = loaded.settings.sources.as_slice() else { panic!("{:?}", loaded.settings.sources) };
    assert_eq!((source.id.as_str(), source.kind, source.branch.as_str()), ("default", ForgeKind::Github, "trunk"));
    assert_eq!(source.repository, "https://github.com/acme/infra2.git");
    assert_eq!(source.webhook_secret.as_ref().map(Secret::expose), Some(SECRET));
    assert_eq!(loaded.settings.sync.timeout.as_secs(), 900);
    assert_eq!(loaded.settings.check(), Ok(()));
    assert_eq!(loaded.origin("sources[0].repository").to_string(), "environment GIT_REPO_URL");
    assert!(!format!("{:?} {loaded:?}", loaded.rows()).contains(SECRET));

    let (_dir, mut layers) = file(TWO);
    layers.env = pairs(&seed);
    let ids: Vec<_> = layers.load().unwrap().settings.sources.into_iter().map(|source| source.id).collect();
    assert_eq!(ids, ["platform", "apps"]);
    assert!(env(&seed[1..]).load().unwrap().settings.sources.is_empty(), "a branch alone is no repository");
    assert!(problems(env(&seed[..1])).contains("WEBHOOK_SECRET"));
    let stronger = env(&[("DEPLOY_TIMEOUT", "900"), ("NAVVY__SYNC__TIMEOUT", "7m")]).load().unwrap();
    assert_eq!(stronger.settings.sync.timeout.as_secs(), 420);
    assert!(refusal(env(&[("DEPLOY_TIMEOUT", "soon")])).contains("sync.timeout"));
}

#[test]
fn a_source_keeps_the_rules() {
    let source = |change: &str| {
        let before = "[[sources]]\nid = 'a'\nrepository = 'https://h.example/r.git'\nwebhook_secret = '0123456789abcdef0123456789abcdef'\n";
        let key = change.split(' ').next().unwrap_or_default();
        let kept: Vec<&str> = before.lines().filter(|line| !line.starts_with(key)).collect();
        format!("{}\n{change}\n", kept.join("\n"))
    };
    let (_dir, layers) = file(&source("branch = 'main'"));
    assert_eq!(layers.load().unwrap().settings.check(), Ok(()));
    for (change, word) in [
        ("id = 'A.b'", "is no name"),
        ("pool = '*'", "is no name"),
        ("branch = 'refs/heads/main'", "is no branch"),
        ("repository = 'https://u:canary@h.example/r'", "user name or password"),
        ("repository = 'ssh://git:canary@h.example/r'", "user name or password"),
        ("projects = []", "is empty"),
        ("environment = 'a-b'", "is no environment"),
        ("ignore_senders = ['bot', ' ']", "has an empty name"),
        ("webhook_secret = 'canary-too-short'", "fewer than 32"),
        ("secrets_file = '/x'", "together with secrets_file"),
        ("kind = 'azure-devops'", "user:password"),
        ("vault_path = 'secret/x#Y'", "together with webhook_secret"),
        ("vault_path = 'secret/x#Y'", "without worker.credentials.vault_url"),
        ("vault_path = 'secret/x'", "is no field"),
        ("vault_path = 'secret#x'", "is no field"),
        ("vault_path = 'secret/../x#Y'", "is no field"),
        ("vault_path = 'secret/x#'", "is no field"),
        ("token_file = '/t'\nssh_key_file = '/k'\nknown_hosts_file = '/h'", "together with ssh_key_file"),
        ("ssh_key_file = '/k'", "go together"),
        ("username = 'x'", "without a token"),
        ("ssh_key_file = '/k'\nknown_hosts_file = '/h'", "is not reached with this login"),
    ] {
        let (_dir, layers) = file(&source(change));
        let told = problems(layers);
        assert!(told.contains(word) && told.contains("sources[0].") && !told.contains("canary"), "{change}: {told}");
    }
    let (_dir, layers) = file(&format!("{}{}", source("x"), source("x")).replace("x\n", ""));
    assert!(problems(layers).contains("is there twice"));
    for (text, word) in [
        ("[sync]\nenvironment = 'Prod'", "is no environment"),
        ("[sync]\ncommand = []", "begin with a program"),
        ("[sync]\ncommand = ['{task}']", "begin with a program"),
        ("[sync]\ntimeout = '1500ms'", "number of seconds"),
        ("[sync]\nsignature_ttl = '2h'", "too long"),
    ] {
        let (_dir, layers) = file(text);
        assert!(problems(layers).contains(word), "{text}");
    }
}
