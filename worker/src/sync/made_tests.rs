use super::*;
use crate::sync::command::tests::sync;
use proto::sync::Executor;

const COMPOSE: &str = "services:\n  redis:\n    image: redis:7\n";

fn native(text: &str) -> Native {
    serde_json::from_str(text).unwrap()
}

fn variables() -> Variables {
    let settings = service::settings::WorkerSync {
        internal_domain: Some("example.com".to_owned()),
        vault_addr: Some("https://vault.example.com".to_owned()),
        ..service::settings::WorkerSync::default()
    };
    Variables::new([], BTreeMap::new(), &settings)
}

/// A checkout with these files, as the service `platform/redis`.
fn made(files: &[(&str, &str)], depends_on: &[&str], text: &str) -> Result<Made, String> {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let mut sync = sync(Executor::Command);
    sync.service.service = "platform/redis".parse().unwrap();
    sync.service.dir = "platform/02.redis".parse().unwrap();
    sync.service.depends_on = depends_on.iter().map(|glob| (*glob).to_owned()).collect();
    read(dir.path(), &sync, &native(text), &variables()).map_err(|failure| failure.message)
}

#[test]
fn a_service_that_sets_nothing_has_the_hash_it_had() {
    let made = made(&[("platform/02.redis/compose.yaml", COMPOSE)], &[], r#"{"file":"compose.yaml"}"#).unwrap();
    let hashes = made.hashes(&BTreeMap::new());
    assert_eq!((hashes.v0.as_str(), hashes.v1.as_str()), ("43e65c10865d", "564d81fed17c"));
    assert!(made.files.is_empty() && made.data.is_none());
}

#[test]
fn files_of_the_service_and_versions_of_its_secrets_count() {
    let compose = "services:\n  redis:\n    image: redis:7\n    volumes: ['./conf:/conf']\n    env_file: ['.defaults']\n";
    let of = |conf: &str, lib: &str| {
        let files = [
            ("platform/02.redis/compose.yaml", compose),
            ("platform/02.redis/conf/a.conf", conf),
            ("platform/02.redis/.defaults", "A=1\n"),
            ("libs/x.py", lib),
            ("other", "x"),
        ];
        made(&files, &["libs/**"], r#"{"file":"compose.yaml"}"#).unwrap()
    };
    let one = of("a", "l");
    let names: Vec<&str> = one.files.iter().map(RepoPath::as_str).collect();
    assert_eq!(names, ["platform/02.redis/.defaults", "platform/02.redis/conf/a.conf"]);
    let hash = |made: &Made, version: u64| made.hashes(&BTreeMap::from([("p".to_owned(), version)])).v2;
    let all = [hash(&one, 1), hash(&one, 2), hash(&of("b", "l"), 1), hash(&of("a", "m"), 1)];
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn what_a_link_leads_to_counts_also_where_it_lies_elsewhere() {
    let compose = "services:\n  redis:\n    image: redis:7\n    volumes: ['./conf:/conf']\n";
    let of = |shared: &str| {
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path().join("platform/02.redis/conf");
        std::fs::create_dir_all(&conf).unwrap();
        std::fs::write(dir.path().join("platform/02.redis/compose.yaml"), compose).unwrap();
        std::fs::write(dir.path().join("shared.conf"), shared).unwrap();
        std::os::unix::fs::symlink("../../../shared.conf", conf.join("a.conf")).unwrap();
        let mut sync = sync(Executor::Command);
        (sync.service.service, sync.service.dir) = ("platform/redis".parse().unwrap(), "platform/02.redis".parse().unwrap());
        let native = native(r#"{"file":"compose.yaml"}"#);
        read(dir.path(), &sync, &native, &variables()).unwrap().hashes(&BTreeMap::new())
    };
    assert_eq!(of("one"), of("one"));
    assert_ne!(of("one").v2, of("two").v2);
}

#[test]
fn placeholders_are_filled_in_everywhere_and_names_of_ours_refused() {
    let files = [("platform/02.redis/compose.yaml", COMPOSE)];
    let made_of = |text: &str| made(&files, &[], text);
    let made = made_of(
        r#"{"file":"compose.yaml","env":{"HOST":"{service}{suffix}.{domain}"},
            "data":{"path":"/data/{project}/{service}{suffix}","uid":999,"gid":999,"mode":"755"},
            "secret":{"path":"{project}/{env}/{service}","keys":["PASSWORD"]}}"#,
    )
    .unwrap();
    assert_eq!((made.env["HOST"].as_str(), made.env["DATA_PATH"].as_str()), ("redis-staging.example.com", "/data/platform/redis-staging"));
    assert_eq!(made.data.unwrap().path, "/data/platform/redis-staging");
    assert_eq!(made.secret.unwrap().path, "platform/staging/redis");
    for (text, why) in [
        (r#"{"file":"compose.yaml","env":{"IAC_CONFIG_HASH":"x"}}"#, "`IAC_CONFIG_HASH`, which Navvy sets itself"),
        (r#"{"file":"compose.yaml","env":{"A":"{task}"}}"#, "{task}"),
        (r#"{"file":"compose.yaml","env":{"A":"a\nb"}}"#, "`A` holds a line break"),
        (r#"{"file":"compose.yaml","data":{"path":"data","uid":1,"gid":1,"mode":"755"}}"#, "no absolute path"),
        (r#"{"file":"compose.yaml","data":{"path":"/data/../etc","uid":1,"gid":1,"mode":"755"}}"#, "no absolute path"),
        (r#"{"file":"other.yaml"}"#, "does not exist"),
    ] {
        let found = made_of(text).expect_err(why);
        assert!(found.contains(why), "{text}: {found}");
    }
}
