//! Stories about the commands of syncs: real processes in a real runner, and the word of whoever finds them later.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use proto::message::{AttemptOutcome, JobResult};
use proto::sync::SyncAction;
use proto::{Secret, sync::ServiceSync};
use service::settings;
use tempfile::TempDir;
use worker::attempt_log::is_held;
use worker::mask::Masker;
use worker::runner::{ExitRecord, Runner, RunnerEvent, RunnerSpec};
use worker::shell::{Bounds, End};
use worker::sync::command::{Order, end_of, judge, judge_unwatched, prepare};
use worker::sync::environment::Variables;

use crate::kit::{content, example, exe, next, until};

const CANARY: &str = "c4nary-Secret/Value+42=";

/// A sync of `platform/postgres` in staging by this command.
pub(crate) fn sync(command: &[&str]) -> ServiceSync {
    let sync = serde_json::json!({
        "run": proto::RunId::fresh(proto::ShardNo(0)), "source": "infra", "git_url": "https://git.example.com/infra.git",
        "git_ref": "refs/heads/main", "commit": "a".repeat(40), "follows_branch": true, "environment": "staging",
        "service": {
            "service": "platform/postgres", "dir": "platform/01.postgres", "task": "postgres.sync",
            "executor": {"executor": "command"}, "reasons": []
        },
        "command": command, "timeout_s": 600, "force": false, "triggered_by": "a test"
    });
    serde_json::from_value(sync).expect("a sync")
}

/// A script as an argument of a command: its braces are no placeholders.
fn script(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// A sync in folders of its own.
struct SyncStory {
    dir: TempDir,
    sync: ServiceSync,
}

impl SyncStory {
    fn new(command: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["checkout", "scratch"] {
            fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        Self { dir, sync: sync(command) }
    }

    fn spec(&self) -> RunnerSpec {
        let secrets = BTreeMap::from([("VAULT_TOKEN".to_owned(), Secret::new(CANARY))]);
        let bounds = Bounds::of(&settings::Limits { processes: 0, disk_bytes: 0, ..settings::Limits::default() });
        let order = Order {
            sync: &self.sync,
            checkout: &self.dir.path().join("checkout"),
            scratch: &self.dir.path().join("scratch"),
            variables: &Variables::new([], secrets, &settings::WorkerSync::default()),
            search_path: "/usr/bin:/bin",
            traceparent: None,
            bounds: &bounds,
        };
        let mut spec = prepare(&order, &self.dir.path().join("log")).expect("the sync is prepared");
        spec.secrets = vec![CANARY.to_owned()];
        spec.exit_record = Some(self.dir.path().join("exit.json"));
        spec
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).expect("the log is text")
    }

    async fn run(&self) -> AttemptOutcome {
        self.run_as(self.spec()).await
    }

    async fn run_as(&self, spec: RunnerSpec) -> AttemptOutcome {
        let mut runner = Runner::spawn(&spec, &exe()).await.expect("the runner starts");
        let mut exit = None;
        while let Some(event) = next(&mut runner).await {
            if let RunnerEvent::Exited(ended) = event {
                exit = Some(ended);
            }
        }
        let masker = Masker::new(&[CANARY]).expect("a masker");
        let end = End::from(&exit.expect("an exit"));
        judge(&end, &self.dir.path().join("scratch"), &end_of(self.log().as_bytes()), &|text| masker.mask(text))
    }
}

fn brought(outcome: &AttemptOutcome) -> (SyncAction, &str) {
    match outcome {
        AttemptOutcome::Succeeded { result: JobResult::Sync(result) } => (result.action, &result.details),
        other => panic!("no result but {other:?}"),
    }
}

fn failure(outcome: &AttemptOutcome) -> (&str, &str) {
    match outcome {
        AttemptOutcome::Failed { failure } => (&failure.kind, &failure.message),
        other => panic!("no failure but {other:?}"),
    }
}

#[tokio::test]
async fn a_command_says_what_it_did_in_a_file_and_no_secret_of_it_is_told() {
    let text = r#"echo "$VAULT_TOKEN in $(pwd) for $1"
printf '{"action":"created","details":"%s for %s at %s"}' "$VAULT_TOKEN" "$NAVVY_SERVICE$ENV_SUFFIX" "$IAC_DEPLOY_REF" > "$NAVVY_RESULT""#;
    let story = SyncStory::new(&["sh", "-c", &script(text), "sync", "{task}"]);
    let outcome = story.run().await;
    let details = format!("*** for postgres-staging at {}", "a".repeat(40));
    assert_eq!(brought(&outcome), (SyncAction::Created, details.as_str()));
    let checkout = fs::canonicalize(story.dir.path().join("checkout")).expect("is there");
    assert_eq!(story.log(), format!("*** in {} for postgres.sync\n", checkout.display()));
}

#[tokio::test]
async fn a_failing_sync_that_ends_with_0_is_no_success() {
    let outcome = SyncStory::new(&["sh", "-c", &script(r#"echo '{"action": "failed", "details": "compose is broken"}'"#)]).run().await;
    assert!(failure(&outcome).1.contains("compose is broken"), "{outcome:?}");
    let outcome = SyncStory::new(&["sh", "-c", "echo oops; exit 3"]).run().await;
    assert!(failure(&outcome).1.contains("exit code 3"), "{outcome:?}");
    assert_eq!(brought(&SyncStory::new(&["true"]).run().await).0, SyncAction::Updated);
}

#[tokio::test]
async fn a_sync_that_takes_too_long_is_stopped_with_everything_it_started() {
    let mut story = SyncStory::new(&["sh", "-c", "trap '' TERM; sleep 1000 & echo $! > child; wait; sleep 1000"]);
    story.sync.timeout_s = 1;
    let mut spec = story.spec();
    spec.grace = Some(std::time::Duration::from_millis(1));
    let outcome = story.run_as(spec).await;
    assert_eq!(failure(&outcome).0, "invoke_timeout", "{outcome:?}");
    assert!(story.log().contains("timed out after 1 s"), "{}", story.log());
    let child = fs::read_to_string(story.dir.path().join("checkout/child")).expect("the child was started");
    let alive = || fs::read_to_string(format!("/proc/{}/stat", child.trim())).is_ok_and(|stat| !stat.contains(") Z "));
    until("its child is gone", || !alive()).await;
}

/// A worker of its own is killed in the middle; its runner goes on, and the next worker judges by what it wrote down.
async fn judged_after_the_worker_died(last: &str) -> (AttemptOutcome, String) {
    let story = SyncStory::new(&[]);
    let text = script(&format!("echo begun > begun; until [ -e go ]; do sleep 0.01; done; {last}"));
    let mut worker = tokio::process::Command::new(example())
        .args(["sync".as_ref(), story.dir.path().as_os_str()])
        .args(["sh", "-c", &text])
        .process_group(0)
        .stdout(Stdio::null())
        .spawn()
        .expect("the worker starts");
    content(&story.dir.path().join("checkout/begun")).await;
    killpg(Pid::from_raw(worker.id().expect("lives") as i32), Signal::SIGKILL).expect("is killed");
    worker.wait().await.expect("is reaped");
    let (log, exit) = (story.dir.path().join("log"), story.dir.path().join("exit.json"));
    assert!(is_held(&log).expect("asks"), "a restarted worker sees that the sync still runs");
    fs::write(story.dir.path().join("checkout/go"), "").expect("writes");
    until("the sync is over", || !is_held(&log).expect("asks")).await;
    let record = ExitRecord::read(&exit).expect("reads").expect("is there");
    let scratch = story.dir.path().join("scratch");
    (judge_unwatched(&record.outcome, &scratch, &end_of(story.log().as_bytes())), story.log())
}

#[tokio::test]
async fn a_sync_outlives_its_killed_worker_and_its_genuine_end_is_told() {
    let (outcome, log) = judged_after_the_worker_died(r#"echo '{"action":"skipped","details":"same"}'"#).await;
    assert_eq!(brought(&outcome), (SyncAction::Skipped, "same"), "{log}");
    let (outcome, _) = judged_after_the_worker_died(r#"echo '{"action":"created","details":"unmasked"}' > "$NAVVY_RESULT""#).await;
    let (action, details) = brought(&outcome);
    assert!(action == SyncAction::Created && !details.contains("unmasked"), "{details}");
    let (outcome, _) = judged_after_the_worker_died("exit 9").await;
    assert!(failure(&outcome).1.contains("exit code 9"), "{outcome:?}");
}
