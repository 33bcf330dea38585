//! What may be handed to git and what may not.

use super::*;

#[test]
fn addresses_that_run_programs_or_read_files_are_refused() {
    for bad in [
        "",
        "ext::sh -c id",
        "ext::id",
        "file:///etc",
        "/etc/passwd",
        "../repo",
        "ftp://h/x",
        "git://h/x",
        "ssh://-oProxyCommand=x/y",
        "-u@h:x",
        "git@-oProxyCommand=x:y",
        "https://user:pass@h/x",
        "https://github.com@evil/x",
        "http://h/x\r\nHost: y",
        "http://h",
        "https://h/x?y",
        "https://h/x#y",
        "h:x",
        "http://h/x y",
    ] {
        assert!(bad.parse::<GitUrl>().is_err(), "{bad}");
    }
}

#[test]
fn the_same_repository_has_one_canonical_spelling() {
    for (text, canonical) in [
        ("https://Git.Example/acme/infra.git", "git.example/acme/infra"),
        ("https://git.example:443/acme/infra/", "git.example/acme/infra"),
        ("git@git.example:acme/infra.git", "git.example/acme/infra"),
        ("ssh://git@git.example/acme/infra.git", "git.example/acme/infra"),
        ("https://git.example//acme/%69nfra.git", "git.example/acme/infra"),
        ("http://127.0.0.1:8080/a.git", "127.0.0.1:8080/a"),
        ("http://[::1]:8080/a.git", "::1:8080/a"),
    ] {
        assert_eq!(text.parse::<GitUrl>().expect(text).canonical(), canonical);
    }
}

#[test]
fn numeric_tricks_are_seen_through() {
    // WHATWG host parsing turns these into dotted addresses, so that the list and the private check see the truth.
    for (text, host) in [("http://0x7f.1/x", "127.0.0.1"), ("http://2130706433/x", "127.0.0.1"), ("http://017700000001/x", "127.0.0.1")] {
        assert_eq!(text.parse::<GitUrl>().expect(text).host(), host);
    }
}

#[test]
fn a_reference_never_looks_like_an_option() {
    for (text, good) in [
        ("main", true),
        ("feature/x", true),
        ("v1.2.3", true),
        ("refs/heads/main", true),
        ("$(id)", true),
        ("a;b|c`d`", true),
        ("0123abc", true),
        ("--upload-pack=x", false),
        ("-x", false),
        ("refs/heads/--upload-pack=x", false),
        ("a..b", false),
        ("a b", false),
        ("a\nb", false),
        ("a~1", false),
        ("HEAD^", false),
        ("a:b", false),
        ("/a", false),
        ("a/", false),
        ("a.lock", false),
        ("@{-1}", false),
        ("", false),
    ] {
        assert_eq!(text.parse::<GitRef>().is_ok(), good, "{text}");
    }
}

#[test]
fn only_listed_hosts_are_permitted() {
    let hosts = AllowedHosts::parse(["github.com", "127.0.0.1:8080", "[::1]:9", "git.internal:22"]).expect("valid list");
    for (text, good) in [
        ("https://github.com/a/b", true),
        ("git@github.com:a/b", true),
        ("https://github.com:8443/a/b", false),
        ("https://github.com.evil/a/b", false),
        ("http://127.0.0.1:8080/a", true),
        ("http://127.0.0.1:8081/a", false),
        ("http://127.0.0.1/a", false),
        ("http://[::1]:9/a", true),
        ("git@git.internal:a", true),
        ("http://169.254.169.254/latest", false),
        ("http://localhost/a", false),
    ] {
        assert_eq!(hosts.permits(&text.parse().expect(text)).is_ok(), good, "{text}");
    }
    assert!(matches!(hosts.permits(&"http://169.254.169.254/x".parse().expect("url")), Err(BadGit::PrivateHost(_))));
    let told = hosts.permits(&"http://[::1]:8/x".parse().expect("url")).expect_err("inside").to_string();
    assert!(told.contains("`[::1]:8`"), "as it is written in the list: {told}");
    assert!(matches!(AllowedHosts::default().permits(&"https://github.com/a".parse().expect("url")), Err(BadGit::HostNotAllowed(_))));
}

#[test]
fn inside_addresses_are_recognised_in_every_dress() {
    for (text, inside) in [
        ("127.0.0.1", true),
        ("10.1.2.3", true),
        ("169.254.169.254", true),
        ("100.64.0.1", true),
        ("0.0.0.0", true),
        ("::1", true),
        ("::ffff:127.0.0.1", true),
        ("64:ff9b::a9fe:a9fe", true),
        ("fd00:ec2::254", true),
        ("fe80::1", true),
        ("140.82.112.3", false),
        ("2606:50c0:8000::153", false),
    ] {
        assert_eq!(is_inside(text.parse().expect(text)), inside, "{text}");
    }
}
