//! The file of the secret, the lines, and what is printed.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use proto::Secret;

fn args(dir: &Path, forge: Forge) -> SourceAddArgs {
    SourceAddArgs {
        forge,
        id: "platform".into(),
        repository: "https://github.com/acme/infra.git".into(),
        branch: "main".into(),
        config: Some(dir.join("navvy.toml")),
        secrets_file: None,
        public_url: None,
        rotate: false,
        show_secret: false,
        register: false,
        forge_token_file: None,
        api_url: None,
    }
}

#[test]
fn a_git_server_may_have_a_port_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for repository in ["https://git.example.com:3000/a/b.git", "ssh://git@git.example.com:2222/a/b.git", "https://git.example.com/a/b.git"]
    {
        let args = SourceAddArgs { repository: repository.into(), ..args(dir.path(), Forge::Gitea) };
        let path = dir.path().join("s");
        secret::make(&path, Forge::Gitea, false).unwrap();
        usable(&args, &repository.parse().unwrap(), &path).unwrap_or_else(|error| panic!("{repository}: {error}"));
    }
}

#[test]
fn a_secret_is_made_once_and_a_new_one_goes_in_front() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let made = secret::make(&path, Forge::Github, false).unwrap();
    assert_eq!((made.what, made.secret.expose().len()), (secret::What::Made, 64));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = secret::make(&path, Forge::Github, false).unwrap();
    assert_eq!((kept.what, kept.secret.expose()), (secret::What::Kept, made.secret.expose()));
    let rotated = secret::make(&path, Forge::Github, true).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("{}\n{}\n", rotated.secret.expose(), made.secret.expose()));
    let again = secret::make(&path, Forge::Github, true).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n{}\n", again.secret.expose(), rotated.secret.expose()), "two at most");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&path, "").unwrap();
    assert!(matches!(secret::make(&path, Forge::Github, false), Err(CliError::Usage { .. })));
    let azure = secret::make(&dir.path().join("a"), Forge::AzureDevops, false).unwrap();
    assert!(azure.secret.expose().starts_with("navvy:"));
    assert!(!format!("{made:?}").contains(made.secret.expose()));
}

#[test]
fn a_source_is_added_to_a_configuration_that_is_good_with_it_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let args = args(dir.path(), Forge::Github);
    let config = args.config.clone().unwrap();
    std::fs::write(&config, "[git]\nallowed_hosts = [\"github.com\"]").unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o640)).unwrap();
    let block = block::text(&args, Path::new("/run/with \"quotes\"\\"));
    assert_eq!(block::plan(&config, &args, &block).unwrap().perform().unwrap(), block::Added::Added);
    let text = std::fs::read_to_string(&config).unwrap();
    assert_eq!(text, format!("[git]\nallowed_hosts = [\"github.com\"]\n\n{block}"));
    assert_eq!(std::fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o640);
    let loaded = Layers { file: Some(config.clone()), ..Layers::default() }.load().unwrap().settings;
    assert_eq!(loaded.sources[0].secrets_file.as_deref(), Some(Path::new("/run/with \"quotes\"\\")));
    assert_eq!(block::plan(&config, &args, &block).unwrap().perform().unwrap(), block::Added::Present);
    let other = SourceAddArgs { repository: "https://github.com/acme/other.git".into(), ..self::args(dir.path(), Forge::Github) };
    assert!(matches!(block::plan(&config, &other, &block), Err(CliError::Usage { .. })));
    assert_eq!(std::fs::read_to_string(&config).unwrap(), text);
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["navvy.toml"], "nothing is left behind");
}

#[test]
fn a_configuration_that_would_be_refused_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let args = SourceAddArgs {
        repository: "http://github.com/acme/infra".into(),
        branch: "refs/heads/x".into(),
        ..args(dir.path(), Forge::Github)
    };
    let config = args.config.clone().unwrap();
    std::fs::write(&config, "[log]\nlevel = \"info\"\n").unwrap();
    let block = block::text(&args, Path::new("/run/s"));
    assert!(matches!(block::plan(&config, &args, &block), Err(CliError::Settings(_))));
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "[log]\nlevel = \"info\"\n");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn each_forge_is_told_what_to_enter_and_no_secret() {
    let secret = Secret::new("hunter2");
    let texts: Vec<String> =
        [Forge::Github, Forge::Gitlab, Forge::Gitea, Forge::BitbucketCloud, Forge::BitbucketServer, Forge::AzureDevops]
            .into_iter()
            .map(|forge| {
                let hook = hook::Hook::new(forge, "platform", Some("https://navvy.example/"));
                assert!(hook.text(Path::new("/run/s"), Some(&secret)).contains("hunter2"));
                format!("{}\n{}", forge.as_str(), hook.text(Path::new("/run/s"), None))
            })
            .chain([hook::Hook::new(Forge::Github, "x", None).text(Path::new("/run/s"), None)])
            .collect();
    crate::golden::compare("tests/golden/source_hooks.txt", &texts.join("\n\n"));
}
