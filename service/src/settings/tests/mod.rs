//! The layers together: precedence, refusals, lists, origins; secrets in a file of their own.
//!
//! No test touches the process's environment; files live in temporary folders.

mod notify;
mod secrets;
mod sources;

use std::path::PathBuf;

use super::*;

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn env(list: &[(&str, &str)]) -> Layers {
    Layers { env: pairs(list), ..Layers::default() }
}

/// A folder with `navvy.toml` holding `text`, and layers that read it.
fn file(text: &str) -> (tempfile::TempDir, Layers) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("navvy.toml");
    std::fs::write(&path, text).expect("the file can be written");
    (dir, Layers { file: Some(path), ..Layers::default() })
}

fn refusal(layers: Layers) -> String {
    layers.load().expect_err("refused").to_string()
}

#[test]
fn defaults_are_those_of_the_reference() {
    let settings = Layers::default().load().unwrap().settings;
    assert_eq!(settings.data_dir, PathBuf::from("./navvy-data"));
    assert_eq!(settings.gateway.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.gateway.body_limit_bytes, 1_048_576);
    assert_eq!(*settings.scheduler.lease, std::time::Duration::from_secs(45));
    assert_eq!(settings.scheduler.run_retention.to_string(), "90d");
    assert_eq!(settings.worker.log_limit_bytes, 268_435_456);
    assert_eq!(settings.git.allowed_hosts, Vec::<String>::new());
    assert!(settings.nats.url.is_none() && settings.scheduler.queue_deadline.is_none());
    assert_eq!(settings.work_dir(), PathBuf::from("./navvy-data/work"));
}

#[test]
fn later_layers_win_and_say_so() {
    let (dir, mut layers) = file("[gateway]\nlisten = '127.0.0.1:1'\nsse_heartbeat = '1s'\n[worker]\nslots = 3\npool = 'file'\n");
    layers.env = pairs(&[("NAVVY__GATEWAY__LISTEN", "127.0.0.1:2"), ("NAVVY__WORKER__SLOTS", "4"), ("PATH", "/bin")]);
    layers.flags = pairs(&[("worker.slots", "5")]);
    let loaded = layers.load().unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.gateway.listen.port(), 2);
    assert_eq!((settings.worker.slots, settings.worker.pool.as_str()), (5, "file"));
    let place = dir.path().join("navvy.toml").display().to_string();
    let table = [
        ("worker.slots", "flag".to_owned()),
        ("gateway.listen", "environment NAVVY__GATEWAY__LISTEN".to_owned()),
        ("worker.pool", format!("file {place}")),
        ("nats.url", "default".to_owned()),
    ];
    for (key, origin) in table {
        assert_eq!(loaded.origin(key).to_string(), origin, "{key}");
    }
}

#[test]
fn unknown_names_are_refused_in_every_layer_with_a_suggestion() {
    let (_dir, mut layers) = file("[gatewy]\nlisten = 'x'\n[worker]\nslot = 2\n[worker.tools]\nmay_downlod = true\n");
    layers.env = pairs(&[("NAVVY__WORKER__SLOTZ", "2"), ("NAVVY__QUUX", "1"), ("NAVVY_URL", "http://x"), ("NAVVY_TOKEN", "t")]);
    layers.flags = pairs(&[("ops.lisen", "x")]);
    let text = refusal(layers);
    let expected = [
        "gatewy.listen (file",
        "did you mean gateway.listen?",
        "did you mean worker.slots?",
        "did you mean worker.tools.may_download?",
        "navvy.toml",
        "did you mean NAVVY__WORKER__SLOTS?",
        "NAVVY__QUUX (environment)",
        "ops.lisen (flag)",
    ];
    for part in expected {
        assert!(text.contains(part), "{part} in: {text}");
    }
    assert!(!text.contains("NAVVY_URL") && !text.contains("NAVVY_TOKEN"), "{text}");
}

#[test]
fn values_of_the_wrong_kind_are_all_named() {
    let (_dir, layers) = file("data_dir = 5\nlog = 'info'\n[log]\n");
    assert!(refusal(layers).contains("not valid TOML"));
    let table = [
        ("[worker]\nslots = -1", "worker.slots"),
        ("[worker]\nslots = 4294967296", "worker.slots"),
        ("[worker]\nslots = 1.5", "worker.slots"),
        ("[worker]\nheartbeat = 5", "no time"),
        ("[worker]\nheartbeat = '5'", "has no unit"),
        ("[worker]\nheartbeat = '0s'", "zero is refused"),
        ("[worker.tools]\nmay_download = 'yes'", "write true or false"),
        ("[gateway]\nlisten = ':8080'", "IP:PORT"),
        ("[gateway]\nlisten = 8080", "IP:PORT"),
        ("[git]\nallowed_hosts = 'github.com'", "list of texts"),
        ("[git]\nallowed_hosts = [1]", "list of texts"),
        ("[log]\nformat = 'yaml'", "text, json"),
        ("[nats]\nurl = ''", "is empty"),
        ("nats = 'nats://x'", "is a section"),
        ("[[gateway]]\nlisten = 'x'", "is a section"),
        ("[gateway.listen]\nport = 1", "nobody knows this key"),
    ];
    for (text, word) in table {
        let (_dir, layers) = file(text);
        let told = refusal(layers);
        assert!(told.contains(word), "{text}: {told}");
    }
    let both = refusal(env(&[("NAVVY__WORKER__SLOTS", "two"), ("NAVVY__GATEWAY__ANONYMOUS", "1")]));
    assert!(both.contains("worker.slots") && both.contains("gateway.anonymous"), "{both}");
}

#[test]
fn text_of_the_environment_is_typed() {
    let layers = env(&[
        ("NAVVY__WORKER__SLOTS", "7"),
        ("NAVVY__WORKER__TOOLS__MAY_DOWNLOAD", "true"),
        ("NAVVY__GIT__ALLOWED_HOSTS", "a, b:8443,"),
        ("NAVVY__WORKER__PASS_ENV", ""),
        ("NAVVY__LOG__FORMAT", "json"),
        ("NAVVY__SCHEDULER__QUEUE_DEADLINE", "1h30m"),
    ]);
    let settings = layers.load().unwrap().settings;
    assert_eq!(settings.worker.slots, 7);
    assert!(settings.worker.tools.may_download);
    assert_eq!(settings.git.allowed_hosts, ["a", "b:8443"]);
    assert_eq!(settings.worker.pass_env, Vec::<String>::new());
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.scheduler.queue_deadline.map(|p| p.as_secs()), Some(5_400));
}

#[test]
fn repeated_list_flags_add_up_and_replace_the_layer_below() {
    let mut layers = env(&[("NAVVY__GIT__ALLOWED_HOSTS", "from-env")]);
    layers.flags = pairs(&[("git.allowed_hosts", "a"), ("git.allowed_hosts", "b:1,c"), ("worker.slots", "1"), ("worker.slots", "2")]);
    let settings = layers.load().unwrap().settings;
    assert_eq!(settings.git.allowed_hosts, ["a", "b:1", "c"]);
    assert_eq!(settings.worker.slots, 2);
}

#[test]
fn foreign_variables_are_the_weakest_of_the_environment() {
    let legacy = [
        ("REGISTRY_HOST", "https://r.example"),
        ("ALLOWED_ORIGINS", "https://a.example,https://b.example"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4318"),
    ];
    let loaded = env(&legacy).load().unwrap();
    assert_eq!(loaded.settings.worker.registry_host.as_deref(), Some("https://r.example"));
    assert_eq!(loaded.settings.gateway.allowed_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(loaded.settings.ops.otlp_endpoint.as_deref(), Some("http://otel:4318"));
    assert_eq!(loaded.origin("worker.registry_host").to_string(), "environment REGISTRY_HOST");

    let stronger = env(&[legacy[0], ("NAVVY__WORKER__REGISTRY_HOST", "https://ours.example")]).load().unwrap();
    assert_eq!(stronger.settings.worker.registry_host.as_deref(), Some("https://ours.example"));

    let empty = env(&[("REGISTRY_HOST", ""), ("ALLOWED_ORIGINS", "")]).load().unwrap();
    assert!(empty.settings.worker.registry_host.is_none());

    let star = env(&[("ALLOWED_ORIGINS", "*")]).load().unwrap().settings.check().expect_err("refused");
    assert!(star[0].to_string().contains("every web page"), "{star:?}");
}

#[test]
fn rows_show_every_key_once() {
    let rows = env(&[("NAVVY__GIT__ALLOWED_HOSTS", "a,b")]).load().unwrap().rows();
    let hosts = rows.iter().find(|row| row.key == "git.allowed_hosts").unwrap();
    assert_eq!((hosts.value.as_str(), hosts.origin.layer), ("a,b", LayerName::Environment));
    let keys: std::collections::BTreeSet<_> = rows.iter().map(|row| &row.key).collect();
    assert_eq!(keys.len(), rows.len());
    assert!(rows.iter().any(|row| row.key == "worker.tools.may_download" && row.value == "false"));
}

#[test]
fn an_unreadable_configuration_file_is_named() {
    let told = refusal(Layers { file: Some("/nonexistent/navvy.toml".into()), ..Layers::default() });
    assert!(told.contains("/nonexistent/navvy.toml") && told.contains("--config"), "{told}");
    let (_dir, layers) = file("gateway = [");
    let told = refusal(layers);
    assert!(told.contains("navvy.toml") && told.contains("line 1"), "{told}");
}
