use super::*;
use crate::sync::environment::Variables;
use proto::{RunId, Secret, ShardNo, sync::Executor};
use service::settings;
use std::collections::BTreeMap;

const SHA: &str = "0123456789012345678901234567890123456789";

pub(crate) fn sync(executor: Executor) -> ServiceSync {
    ServiceSync {
        run: RunId::fresh(ShardNo(0)),
        source: "infra".parse().unwrap(),
        git_url: "https://git.example.com/infra.git".parse().unwrap(),
        git_ref: "refs/heads/main".parse().unwrap(),
        commit: SHA.parse().unwrap(),
        follows_branch: true,
        named: false,
        tag: Some("v1.2.4".to_owned()),
        environment: "staging".parse().unwrap(),
        service: proto::sync::Selected {
            service: "platform/postgres".parse().unwrap(),
            dir: "platform/01.postgres".parse().unwrap(),
            task: "postgres.sync".to_owned(),
            executor,
            reasons: Vec::new(),
            after: Vec::new(),
            production_only: false,
            requires: Vec::new(),
            depends_on: Vec::new(),
        },
        command: ["sh", "-c", "echo {{task}} is {task}", "{env}", "--ref={ref}", "{service} of {project}"].map(str::to_owned).to_vec(),
        timeout_s: 600,
        force: false,
        triggered_by: "test".to_owned(),
    }
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    let secrets = pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
    Variables::new([], secrets, &settings::WorkerSync::default())
}

fn prepared(sync: &ServiceSync, variables: &Variables) -> Result<RunnerSpec, Failure> {
    let dir = tempfile::tempdir().unwrap();
    let (checkout, scratch) = (dir.path().join("checkout"), dir.path().join("scratch"));
    std::fs::create_dir_all(checkout.join("tools")).unwrap();
    std::fs::create_dir(&scratch).unwrap();
    std::fs::write(checkout.join("tools/deploy"), "").unwrap();
    let bounds = Bounds::of(&settings::Limits::default());
    let order = Order {
        sync,
        checkout: &checkout,
        scratch: &scratch,
        variables,
        search_path: "relative:/usr/bin:/bin",
        traceparent: Some("00-1-2-01"),
        bounds: &bounds,
    };
    prepare(&order, &dir.path().join("log"))
}

#[test]
fn each_argument_is_filled_in_by_itself_and_no_shell_sees_it() {
    let spec = prepared(&sync(Executor::Command), &Variables::default()).unwrap();
    assert!(spec.program.ends_with("sh") && spec.program.is_absolute());
    let expected = ["-c", "echo {task} is postgres.sync", "staging", &format!("--ref={SHA}"), "postgres of platform"];
    assert_eq!(spec.args, expected);
    assert_eq!(spec.deadline, Some(Duration::from_mins(10)));
}

#[test]
fn the_environment_says_what_is_deployed_and_nothing_overrules_it() {
    let secrets =
        [("DOKPLOY_API_KEY", "k3y"), ("DEPLOY_ENV", "production"), ("IAC_DEPLOY_REF", "main"), ("LANG", "de"), ("NAVVY_RUN", "x")];
    let sync = sync(Executor::Command);
    let env: BTreeMap<String, String> = prepared(&sync, &variables(&secrets)).unwrap().env.into_iter().collect();
    for (name, value) in [
        ("DOKPLOY_API_KEY", "k3y"),
        ("DEPLOY_ENV", "staging"),
        ("ENV_SUFFIX", "-staging"),
        ("ENV_DOMAIN_SUFFIX", "-staging"),
        ("IAC_DEPLOY_REF", SHA),
        ("IAC_DEPLOY_TAG", "v1.2.4"),
        ("NAVVY_TASK", "postgres.sync"),
        ("NAVVY_SERVICE", "postgres"),
        ("NAVVY_PROJECT", "platform"),
        ("NAVVY_ENVIRONMENT", "staging"),
        ("NAVVY_REF", "refs/heads/main"),
        ("NAVVY_COMMIT", SHA),
        ("NAVVY_RUN", &sync.run.to_string()),
        ("LANG", "de"),
        ("TRACEPARENT", "00-1-2-01"),
    ] {
        assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(env["NAVVY_RESULT"].ends_with("scratch/result.json") && env["HOME"].ends_with("scratch/home"));
    assert!(!env.contains_key("CARGO_MANIFEST_DIR"), "nothing of the worker's own");
    let mut production = sync;
    (production.environment, production.tag) = ("production".parse().unwrap(), None);
    let env: BTreeMap<String, String> = prepared(&production, &variables(&[("ENV_SUFFIX", "-x")])).unwrap().env.into_iter().collect();
    assert_eq!([env["ENV_SUFFIX"].as_str(), &env["ENV_DOMAIN_SUFFIX"], &env["IAC_DEPLOY_TAG"]], ["", "", ""]);
}

#[test]
fn a_command_that_cannot_be_run_is_named_before_anything_starts() {
    for (command, why) in [
        (["no-such-program", "x"].as_slice(), "the program `no-such-program` is not there"),
        (&["tools/deploy"], "the program `tools/deploy` is not there, or may not be executed"),
        (&["sh", "{branch}"], "`{branch}` is no placeholder"),
        (&["sh", "{domain}"], "`{domain}` has no value"),
        (&[], "it is empty"),
        (&["sh", "a\0b"], "zero byte"),
    ] {
        let mut sync = sync(Executor::Command);
        sync.command = command.iter().map(|argument| (*argument).to_owned()).collect();
        let failure = prepared(&sync, &Variables::default()).expect_err(why);
        assert!(failure.kind == "command" && failure.message.contains(why), "{failure:?}");
    }
}

/// What came of an end, in one line.
fn came_of(end: &End, file: Option<&str>, output: &str) -> String {
    let scratch = tempfile::tempdir().unwrap();
    if let Some(file) = file {
        std::fs::write(scratch.path().join(RESULT), file).unwrap();
    }
    match judge(end, scratch.path(), output, &|text| text.replace("hunter2", "***")) {
        AttemptOutcome::Succeeded { result: JobResult::Sync(result) } => format!("{}: {}", result.action.as_str(), result.details),
        AttemptOutcome::Failed { failure } => {
            assert!(failure.phase == "sync" && !failure.next_action.is_empty(), "{failure:?}");
            format!("{}: {}", failure.kind, failure.message)
        }
        AttemptOutcome::Stopped { clean: true, timed_out } => format!("stopped, timed out: {timed_out}"),
        AttemptOutcome::Unclear { evidence } => format!("unclear: {}", evidence.seen),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_end_has_one_meaning() {
    let end = |code: Option<i32>| End {
        code,
        signal: code.is_none().then_some(9),
        timed_out: false,
        interrupted: false,
        leftovers: 0,
        over: None,
    };
    let stopped = |timed_out, code| End { interrupted: true, timed_out, ..end(code) };
    let table: [(End, Option<&str>, &str, &str); 15] = [
        (end(Some(0)), None, "done\n", "updated: the command ended with 0 and told nothing"),
        (end(Some(0)), Some(r#"{"action":"skipped","details":"same hash"}"#), "", "skipped: same hash"),
        (end(Some(0)), Some(r#"{"action":"created","details":"with hunter2"}"#), "", "created: with ***"),
        (end(Some(0)), None, "x\n{\"action\":\"skipped\",\"details\":\"same\"}\n", "skipped: same"),
        (end(Some(0)), Some(r#"{"action":"updated","details":"file"}"#), "{\"action\":\"skipped\"}\n", "updated: file"),
        (
            end(Some(0)),
            Some(r#"{"action":"failed","details":"no disk"}"#),
            "",
            "unknown_invoke_failure: the command ended with 0 and says that it failed: no disk",
        ),
        (end(Some(0)), Some("{"), "", "bad_result: the command ended with 0, but what it did is not known: the file NAVVY_RESULT"),
        (
            end(Some(0)),
            None,
            "{\"action\":\"done\"}\n",
            "bad_result: the command ended with 0, but what it did is not known: the last line",
        ),
        (stopped(false, Some(0)), None, "", "updated: "),
        (
            end(Some(3)),
            Some(r#"{"action":"updated","details":"half"}"#),
            "",
            "unknown_invoke_failure: the command ended with exit code 3: half",
        ),
        (
            end(Some(1)),
            None,
            "x\nModuleNotFoundError: No module named 'hvac'\n",
            "missing_python_dependency: the command ended with exit code 1; the command needs a Python module that this worker does not have: Mod",
        ),
        (end(None), None, "", "killed: the command was killed by signal 9"),
        (stopped(true, None), None, "", "invoke_timeout: the command was stopped at its time limit"),
        (stopped(false, Some(143)), None, "", "stopped, timed out: false"),
        (End { leftovers: 1, ..end(Some(0)) }, None, "", "unclear: 1 processes of the command withstand SIGKILL"),
    ];
    for (end, file, output, expected) in table {
        let found = came_of(&end, file, output);
        assert!(found.starts_with(expected), "{end:?}: {found}");
    }
}

#[test]
fn details_are_cut_after_their_secrets_have_been_taken_out() {
    let scratch = tempfile::tempdir().unwrap();
    let secret = "canary-5ecret-Value";
    let end = End { code: Some(0), signal: None, timed_out: false, interrupted: false, leftovers: 0, over: None };
    for before in [1_979, 1_985, 1_999] {
        let said = serde_json::json!({"action": "skipped", "details": format!("{}{secret}", "x".repeat(before))});
        std::fs::write(scratch.path().join(RESULT), said.to_string()).unwrap();
        let told = format!("{:?}", judge(&end, scratch.path(), "", &|text| text.replace(secret, "***")));
        assert!(told.contains("xxx") && !told.contains("can"), "{before}: {told}");
        let said = serde_json::json!({"action": format!("{}{secret}", "x".repeat(before % 40))});
        std::fs::write(scratch.path().join(RESULT), said.to_string()).unwrap();
        let told = format!("{:?}", judge(&end, scratch.path(), "", &|text| text.replace(secret, "***")));
        assert!(told.contains("is no action") && !told.contains("can"), "{before}: {told}");
    }
}

#[test]
fn unwatched_ends_are_judged_alike_and_tell_only_what_was_masked() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join(RESULT), r#"{"action":"skipped","details":"hunter2"}"#).unwrap();
    let exited = |code| runner::Outcome::Exited {
        code: Some(code),
        signal: None,
        timed_out: false,
        interrupted: false,
        log_len: 0,
        leftovers: 0,
        over: None,
    };
    let told = format!("{:?}", judge_unwatched(&exited(0), scratch.path(), "the log"));
    assert!(told.contains("Skipped") && told.contains("restarted") && !told.contains("hunter2"), "{told}");
    std::fs::remove_file(scratch.path().join(RESULT)).unwrap();
    let told = format!("{:?}", judge_unwatched(&exited(0), scratch.path(), "{\"action\":\"created\",\"details\":\"a ***\"}\n"));
    assert!(told.contains("Created") && told.contains("a ***"), "{told}");
    let failed = judge_unwatched(&exited(2), scratch.path(), "");
    assert!(matches!(failed, AttemptOutcome::Failed { .. }), "{failed:?}");
    let not_run = judge_unwatched(&runner::Outcome::NotStarted { reason: "no memory".to_owned() }, scratch.path(), "");
    assert!(matches!(&not_run, AttemptOutcome::Failed { failure } if failure.message.contains("no memory")), "{not_run:?}");
}

#[test]
fn the_end_of_an_output_is_counted_in_characters() {
    let text = "ü".repeat(TAIL_CHARS + 5);
    assert_eq!(end_of(text.as_bytes()).chars().count(), TAIL_CHARS);
    assert_eq!(end_of(b"short"), "short");
}
