//! `[[notify]]`: read, checked, and shown without its address.

use super::*;

fn told(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("navvy.toml");
    std::fs::write(&file, text).unwrap();
    let loaded = Layers { file: Some(file), ..Layers::default() }.load();
    match loaded {
        Ok(loaded) => {
            assert!(!format!("{:?}{:?}", loaded.settings, loaded.rows()).contains("canary"));
            let problems = loaded.settings.check().err().unwrap_or_default();
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn hooks_are_read_and_what_is_wrong_is_named() {
    const CHAT: &str = "[[notify]]\nid = 'chat'\nurl = 'https://hooks.example/canary'\nformat = 'slack'\n";
    assert_eq!(told(CHAT), "");
    assert_eq!(told("[[notify]]\nid = 'ci'\nurl_file = '/run/url'\nsecret_file = '/run/secret'\nevents = ['*']\n"), "");
    for (change, word) in [
        ("id = ''\nurl = 'https://hooks.example/canary'\nformat = 'slack'\n", "notify[0].id"),
        ("id = 'a'\nformat = 'slack'\n", "one of two ways"),
        ("id = 'a'\nurl = 'https://hooks.example/canary'\nurl_file = '/x'\nformat = 'slack'\n", "one of two ways"),
        ("id = 'a'\nurl = 'http://hooks.example/canary'\nformat = 'slack'\n", "plain http"),
        ("id = 'a'\nurl = 'https://hooks.example/canary'\n", "notify[0].secret_file"),
        ("id = 'a'\nurl = 'https://hooks.example/canary'\nformat = 'discord'\nsecret_file = '/x'\n", "no signatures"),
        ("id = 'a'\nurl = 'https://hooks.example/canary'\nformat = 'slack'\nevents = ['sync.faild']\n", "means no event"),
        ("id = 'a'\nurl = 'https://hooks.example/canary'\nformat = 'slack'\nevents = []\n", "is empty"),
        ("id = 'a'\nurl = 'https://hooks.example/canary'\nformat = 'slack'\nsources = ['x']\n", "is no source"),
        ("id = 'a'\nurl = 'https://hooks.example/canary'\nformat = 'slack'\nenvironments = ['a-b']\n", "is no environment"),
        ("id = 'a'\nurl = 'https://hooks.example/canary'\nformat = 'teams'\n", "notify[0].format"),
        ("id = 'a'\nurl_fle = '/x'\n", "did you mean notify[].url_file?"),
    ] {
        let found = told(&format!("[[notify]]\n{change}"));
        assert!(found.contains(word) && !found.contains("canary"), "{change}: {found}");
    }
    assert!(told(&format!("{CHAT}{CHAT}")).contains("is there twice"));
}
