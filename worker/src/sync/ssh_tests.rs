use super::*;

#[test]
fn hosts_have_perhaps_a_port() {
    for (text, name, port) in [
        ("vps.example", "vps.example", None),
        ("vps.example:2222", "vps.example", Some(2222)),
        ("10.0.0.1:22", "10.0.0.1", Some(22)),
        ("[::1]:2222", "::1", Some(2222)),
        ("[::1]", "::1", None),
    ] {
        assert_eq!(split(text), (name.to_owned(), port), "{text}");
    }
}

#[test]
fn a_word_stays_one_word_in_a_shell() {
    for text in ["plain", "it's", "$(touch /tmp/x)", "a b\n`c` \"d\" \\", "--", ""] {
        let output = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(text))]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), text);
    }
}

#[test]
fn only_allowed_hosts_and_private_keys_are_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "x").unwrap();
    let mode = |mode: u32| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o600);
    let none = settings::WorkerSync::default();
    let some = settings::WorkerSync {
        ssh_hosts: vec!["vps.example:2222".to_owned(), "other".to_owned()],
        ssh_key_file: Some(key.clone()),
        ssh_known_hosts_file: Some(dir.path().join("hosts")),
        ..settings::WorkerSync::default()
    };
    assert_eq!(Host::of(&none, None, "").map(|host| host.name).unwrap_err(), NoHost::NotSetUp);
    assert_eq!(Host::of(&some, None, "").map(|host| (host.name, host.port)), Ok(("vps.example".to_owned(), Some(2222))));
    assert_eq!(Host::of(&some, Some("other"), "").map(|host| host.name), Ok("other".to_owned()));
    assert!(matches!(Host::of(&some, Some("vps.example"), ""), Err(NoHost::NotAllowed(name)) if name == "vps.example"));
    mode(0o640);
    assert!(matches!(Host::of(&some, None, ""), Err(NoHost::Key(why)) if why.contains("0600")));
}
