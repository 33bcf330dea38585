//! Secrets in the layers: `*_file`, and that no value is ever shown.
//!
//! Values are canaries, so that a leak into an error or a listing is found.

use super::*;

#[test]
fn a_secret_can_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    for (content, expected) in [("hunter2\n", "hunter2"), ("hunter2\r\n", "hunter2"), ("two\n\n", "two\n"), (" s ", " s ")] {
        let path = dir.path().join("token");
        std::fs::write(&path, content).unwrap();
        let loaded = env(&[("NAVVY__NATS__TOKEN_FILE", path.to_str().unwrap())]).load().unwrap();
        assert_eq!(loaded.settings.nats.token.as_ref().map(Secret::expose), Some(expected));
        let origin = loaded.origin("nats.token").to_string();
        assert_eq!(origin, format!("environment NAVVY__NATS__TOKEN_FILE, read from {}", path.display()));
    }
    let path = dir.path().join("token");
    let (_dir, layers) = file(&format!("[nats]\ntoken_file = {:?}", path.to_str().unwrap()));
    assert_eq!(layers.load().unwrap().settings.nats.token.as_ref().map(Secret::expose), Some(" s "));
}

#[test]
fn unreadable_and_ambiguous_secret_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (empty, newline, binary, good) = (at("e", b""), at("n", b"\n"), at("b", &[0xff, 0xfe]), at("g", b"canary-file"));
    let huge = at("h", &vec![b'a'; 70_000]);
    let missing = dir.path().join("missing").display().to_string();
    let folder = dir.path().display().to_string();
    for (path, word) in [
        (&empty, "is empty"),
        (&newline, "is empty"),
        (&binary, "cannot be read"),
        (&huge, "more than"),
        (&missing, "cannot be opened"),
        (&folder, "cannot be read"),
    ] {
        let told = refusal(env(&[("NAVVY__GATEWAY__ADMIN_TOKEN_FILE", path)]));
        assert!(told.contains(word) && told.contains(path.as_str()), "{told}");
    }
    let told = refusal(env(&[("NAVVY__NATS__TOKEN", "canary-env"), ("NAVVY__NATS__TOKEN_FILE", &good)]));
    assert!(told.contains("both set") && !told.contains("canary"), "{told}");
    let (_dir, layers) = file(&format!("[nats]\ntoken = 'canary-toml'\ntoken_file = {good:?}"));
    let told = refusal(layers);
    assert!(told.contains("both set") && !told.contains("canary"), "{told}");
    let told = refusal(env(&[("NAVVY__NATS__URL_FILE", &good)]));
    assert!(told.contains("nobody knows this variable"), "{told}");
}

#[test]
fn a_stronger_layer_may_replace_a_secret_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "weak").unwrap();
    let (_dir, mut layers) = file(&format!("[nats]\ntoken_file = {:?}", path.to_str().unwrap()));
    layers.env = pairs(&[("NAVVY__NATS__TOKEN", "strong")]);
    assert_eq!(layers.load().unwrap().settings.nats.token.as_ref().map(Secret::expose), Some("strong"));
}

#[test]
fn no_secret_is_ever_shown() {
    let layers = env(&[
        ("NAVVY__NATS__PASSWORD", "canary-a"),
        ("NAVVY__NATS__TOKEN", "canary-b"),
        ("NAVVY__GATEWAY__ADMIN_TOKEN", "canary-c"),
        ("NAVVY__SCHEDULER__SEALING_KEY", "canary-d"),
    ]);
    assert!(!format!("{layers:?}").contains("canary"));
    let loaded = layers.load().unwrap();
    let rows = loaded.rows();
    let shown = format!("{loaded:?} {rows:?} {}", serde_json::to_string(&loaded.settings).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
    let masked: Vec<_> = rows.iter().filter(|row| row.value == "***").map(|row| row.key.as_str()).collect();
    assert_eq!(masked, ["nats.password", "nats.token", "gateway.admin_token", "scheduler.sealing_key"]);

    for text in
        ["[nats]\npassword = 'canary\n", "[nats]\npassword = canary\n", "[nats]\npassword = 987654321\n", "[nats]\npassword = ['canary']\n"]
    {
        let (_dir, layers) = file(text);
        let told = refusal(layers);
        assert!(!told.contains("canary") && !told.contains("987654321"), "{told}");
    }
}
