//! Files of services as compose files and Dockerfiles are written.

use super::*;

const TREE: [&str; 18] = [
    "libs/shared/a.py",
    "libs/shared/a.pyc",
    "libs/shared/__pycache__/b.txt",
    "libs/other.py",
    "platform/10.app/Dockerfile",
    "platform/10.app/Dockerfile.worker",
    "platform/10.app/app.env",
    "platform/10.app/base.yaml",
    "platform/10.app/compose.yaml",
    "platform/10.app/conf/nginx.conf",
    "platform/10.app/conf.d/x",
    "platform/10.app/data",
    "platform/10.app/req.txt",
    "platform/10.app/src/main.py",
    "platform/10.app/src/deep/util.py",
    "platform/10.app/test.py",
    "platform/10.app/secret.txt",
    "platform/101.app/src/no.py",
];

fn listed(compose: &str, dockerfiles: &[(&str, &str)]) -> (String, String, Vec<String>) {
    let file = "platform/10.app/compose.yaml".parse().unwrap();
    let inputs = of_compose(&file, compose).unwrap();
    let texts = dockerfiles.iter().map(|(path, text)| (path.parse().unwrap(), (*text).to_owned())).collect();
    let artifacts = inputs.artifacts(&texts, TREE).unwrap();
    let names = |paths: &[RepoPath]| paths.iter().map(|path| path.as_str().replace("platform/10.app", "~")).collect::<Vec<_>>().join(" ");
    (names(&artifacts.built), names(&artifacts.read), artifacts.notes)
}

#[test]
fn an_image_alone_has_no_files() {
    assert_eq!(listed("services:\n  redis:\n    image: redis:7\n", &[]), (String::new(), String::new(), vec![]));
}

#[test]
fn builds_name_their_sources() {
    let here = "platform/10.app/Dockerfile";
    for (dockerfile, expected) in [
        ("FROM x\n", "~/Dockerfile"),
        ("COPY req.txt /\nCOPY src/ /src\n", "~/Dockerfile ~/req.txt ~/src/deep/util.py ~/src/main.py"),
        ("COPY ./src/../test.py /x\nCOPY /../../req.txt /\n", "~/Dockerfile ~/req.txt ~/test.py"),
        ("COPY *.py s?c /\n", "~/Dockerfile ~/src/deep/util.py ~/src/main.py ~/test.py"),
        ("COPY src/*.py /\n", "~/Dockerfile ~/src/main.py"),
        ("COPY nothing /\n", "~/Dockerfile"),
    ] {
        let (built, _, notes) = listed("services: {a: {build: .}}\n", &[(here, dockerfile)]);
        assert_eq!((built.as_str(), notes.len()), (expected, 0), "{dockerfile}");
    }
    let (built, _, _) = listed("services: {a: {build: .}}\n", &[(here, "COPY . /\n")]);
    assert_eq!(built.split(' ').count(), 13, "all of the context: {built}");
}

#[test]
fn a_context_may_be_the_whole_repository() {
    let compose = "services:\n  a: {build: {context: ../.., dockerfile: platform/10.app/Dockerfile.worker}}\n";
    let dockerfile = "COPY libs/shared /libs\nCOPY platform/10.app/src/main.py libs/o* /\n";
    let (built, _, notes) = listed(compose, &[("platform/10.app/Dockerfile.worker", dockerfile)]);
    assert_eq!(built, "libs/other.py libs/shared/a.py ~/Dockerfile.worker ~/src/main.py", "what python leaves behind is no part");
    assert!(notes.is_empty());
}

#[test]
fn mounts_and_other_files_are_followed() {
    let compose = r#"
x-common: &common
  env_file: app.env
services:
  a:
    <<: *common
    image: x
    extends: {file: ./base.yaml, service: b}
    ports: !reset []
    volumes:
      - ./conf:/etc/conf:ro
      - named:/data
      - data:/x
      - /srv/data:/y
      - ${DATA_PATH}/z:/z
      - {type: bind, source: ../../libs/shared, target: /l}
      - {type: volume, source: src, target: /v}
  b:
    build: {context: ., dockerfile_inline: "FROM x\nCOPY test.py /\nRUN --mount=source=req.txt,target=/r true"}
    env_file: [{path: missing.env, required: false}]
secrets: {s: {file: secret.txt}, t: {external: true}}
"#;
    let (built, read, notes) = listed(compose, &[]);
    assert_eq!(built, "libs/shared/a.py ~/conf/nginx.conf ~/test.py");
    assert_eq!(read, "~/app.env ~/base.yaml ~/req.txt ~/secret.txt");
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn what_cannot_be_followed_is_told_and_counts_as_more() {
    for (compose, dockerfile, built, note) in [
        (
            "services: {a: {build: ./src}}",
            "",
            "~/src/deep/util.py ~/src/main.py",
            "the Dockerfile of platform/10.app/src cannot be read: everything below it counts",
        ),
        ("services: {a: {build: {context: src, dockerfile: '${X}'}}}", "", "~/src/deep/util.py ~/src/main.py", "the Dockerfile of"),
        (
            "services: {a: {build: {context: src, dockerfile: ../Dockerfile}}}",
            "COPY $WHAT /\n",
            "~/Dockerfile ~/src/deep/util.py ~/src/main.py",
            "a Dockerfile of platform/10.app/src copies `$WHAT`, which has a variable: everything below counts",
        ),
        ("services: {a: {build: 'https://x.example/y.git'}}", "", "", "a build context is fetched from elsewhere and not followed"),
        (
            "services: {a: {volumes: ['../../../etc:/e']}}",
            "",
            "",
            "a bind mount cannot be followed: `../../../etc` has a variable or leaves the repository",
        ),
        ("services: {a: {volumes: ['./${X}:/e']}}", "", "", "a bind mount cannot be followed"),
    ] {
        let texts: &[(&str, &str)] = if dockerfile.is_empty() { &[] } else { &[("platform/10.app/Dockerfile", dockerfile)] };
        let (found, _, notes) = listed(compose, texts);
        assert_eq!(found, built, "{compose}");
        assert!(notes.len() == 1 && notes[0].starts_with(note), "{notes:?}");
    }
}

#[test]
fn rubbish_is_refused_or_names_nothing() {
    let file: RepoPath = "a/compose.yaml".parse().unwrap();
    let error = of_compose(&file, "services: [\n").unwrap_err().to_string();
    assert!(error.starts_with("a/compose.yaml:"), "{error}");
    for text in
        ["", "services: 1", "services: [a]", "services: {a: 1, b: {build: [], volumes: {x: y}, env_file: 3}}", "include: [1, {path: 2}]"]
    {
        let inputs = of_compose(&file, text).unwrap();
        assert_eq!((inputs.mounts.len(), inputs.read.len(), inputs.notes.len()), (0, 0, 0), "{text}");
    }
}

#[test]
fn too_many_files_are_refused() {
    let file: RepoPath = "compose.yaml".parse().unwrap();
    let inputs = of_compose(&file, "services: {a: {volumes: ['.:/all']}}").unwrap();
    let paths: Vec<String> = (0..=MOST_FILES).map(|number| format!("f{number}")).collect();
    let list = |count: usize| inputs.artifacts(&BTreeMap::new(), paths[..count].iter().map(String::as_str)).map(|found| found.built.len());
    assert_eq!(list(MOST_FILES), Ok(MOST_FILES));
    assert_eq!(list(MOST_FILES + 1), Err(TooManyFiles(MOST_FILES + 1)));
}

#[test]
fn dependencies_are_files_that_match() {
    let list = |globs: &[&str]| dependencies(&globs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>(), TREE);
    let names = |globs: &[&str]| list(globs).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(
        names(&["libs/**", "platform/10.app/*.txt"]),
        "libs/other.py libs/shared/a.py platform/10.app/req.txt platform/10.app/secret.txt"
    );
    assert_eq!((names(&[]).as_str(), names(&["nothing"]).as_str()), ("", ""));
    assert!(matches!(list(&["../x"]), Err(DependenciesRefused::Glob { why: BadGlob::Leaves, .. })));
}
