//! What is copied and called, what is left alone, and what nobody knows.

use crate::rig::{CANARY, Rig, brought, failure};
use proto::message::AttemptOutcome;
use proto::sync::SyncAction;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

const UP: [&str; 12] = [
    "compose",
    "-p",
    "redis-staging",
    "-f",
    "files/platform/02.redis/compose.yaml",
    "--env-file",
    "env",
    "up",
    "-d",
    "--remove-orphans",
    "--build",
    "--force-recreate",
];

#[tokio::test]
async fn a_line_that_is_cut_in_the_middle_of_a_secret_shows_no_half_of_it() {
    let rig = Rig::new();
    // The cut falls behind the first part of the secret, in the output and in the reason that is told.
    rig.host.docker_ends(&format!("line=$(printf '%1990s' '' | tr ' ' x)'{CANARY}'; echo \"$line\"; echo \"$line\" >&2; exit 17"));
    let told = format!("{:?}", failure(&rig.sync().await));
    let log = rig.log.lock().expect("not poisoned").join("\n");
    assert!(log.contains("xxxx") && told.contains("xxxx"), "{told}\n{log}");
    assert!(!log.contains("c4nary") && !told.contains("c4nary"), "{told}\n{log}");
}

/// Masked, so long a line becomes short: the place where it was cut would be shown.
#[tokio::test]
async fn a_line_that_is_too_long_to_keep_shows_no_half_of_a_secret_and_says_that_it_was_cut() {
    let rig = Rig::new();
    rig.host.docker_ends(&format!("head -c 200000 /dev/zero | sed 's|\\x00|{CANARY}|g' >&2; exit 17"));
    let told = format!("{:?}", failure(&rig.sync().await));
    let log = rig.log.lock().expect("not poisoned").join("\n");
    assert!(told.contains("*** … (the line is longer than 64 KiB") && log.contains("its rest is not shown"), "{told}\n{log}");
    assert!(!log.contains("c4n") && !told.contains("c4n"), "{told}\n{log}");
}

#[tokio::test]
async fn a_service_is_copied_and_started_and_then_left_alone() {
    let rig = Rig::new();
    let first = rig.sync().await;
    let result = brought(&first);
    assert_eq!((result.action, rig.words()), (SyncAction::Created, 1));
    assert_eq!(rig.host.docker_calls(), [UP]);
    let conf = rig.host.path("stand-in-for-docker/files/platform/02.redis/redis.conf");
    assert_eq!(fs::read_to_string(conf).expect("copied before docker was called"), "port 6379\n");
    let (env, identity) = (rig.env(), result.hash.clone().expect("an identity"));
    for line in [
        "ENV_SUFFIX=-staging",
        "GREETING='it is $5 # now'",
        &format!("IAC_CONFIG_HASH={identity}"),
        &format!("NAVVY_DEPLOYED_HASH={identity}"),
    ] {
        assert!(env.lines().any(|other| other == line), "{line}: {env}");
    }
    let before = fs::read_to_string(rig.host.path("stand-in-for-docker/env")).expect("the variables");
    assert!(!before.contains("NAVVY_DEPLOYED_HASH"), "not before docker has ended well");
    assert_eq!(fs::metadata(rig.place("env")).expect("is there").permissions().mode() & 0o777, 0o600);
    let log = rig.log.lock().expect("not poisoned").join("\n");
    assert!(log.contains("a stand-in for docker was called"), "{log}");

    let second = rig.sync().await;
    assert_eq!((brought(&second).action, rig.words()), (SyncAction::Skipped, 0));
    assert_eq!(rig.host.docker_calls(), [] as [Vec<String>; 0]);
}

#[tokio::test]
async fn a_change_is_deployed_and_what_is_gone_from_the_commit_is_gone_from_the_host() {
    let mut rig = Rig::new();
    rig.sync().await;
    let credentials = ["VAULT_ROLE_ID=\"a b\"", "VAULT_SECRET_ID=c4nary-of-the-service"];
    fs::write(rig.place("env"), format!("{}{}\nOLD=1\n", rig.env(), credentials.join("\n"))).expect("written");
    rig.host.docker_ends("grep VAULT_SECRET_ID env\n");
    rig.files.remove("redis.conf");
    rig.files.insert("compose.yaml".to_owned(), "services:\n  redis:\n    image: redis:8\n".to_owned());
    assert_eq!(brought(&rig.sync().await).action, SyncAction::Updated);
    assert!(!rig.place("files/platform/02.redis/redis.conf").exists() && rig.place("files/platform/02.redis/compose.yaml").exists());
    let (env, calls) = (rig.env(), rig.host.docker_calls());
    assert!(credentials.iter().all(|line| env.contains(line)) && !env.contains("OLD"), "{env}");
    assert_eq!(calls.last().map(Vec::len), Some(10), "without files nothing is built or mounted: {calls:?}");
    assert!(!calls.concat().concat().contains("c4nary"), "no variable is an argument");
    assert!(rig.log.lock().expect("not poisoned").contains(&"VAULT_SECRET_ID=***".to_owned()), "what is read there is masked");
    rig.force = true;
    let forced = rig.sync().await;
    assert!(brought(&forced).action == SyncAction::Updated && brought(&forced).details.contains("forced"));
}

#[tokio::test]
async fn a_docker_that_fails_is_a_failure_and_the_next_sync_deploys_again() {
    let rig = Rig::new();
    rig.host.docker_ends("echo 'no space left on device' >&2; exit 17");
    let outcome = rig.sync().await;
    assert!(
        failure(&outcome).0 == "compose_failed" && failure(&outcome).1.ends_with("exit code 17: no space left on device"),
        "{outcome:?}"
    );
    rig.host.docker_ends("");
    assert_eq!(brought(&rig.sync().await).action, SyncAction::Updated, "its identity is stored, but not as deployed");
    assert_eq!(rig.host.docker_calls().len(), 2);
}

#[tokio::test]
async fn a_host_with_another_key_or_that_lets_nobody_in_is_not_deployed_to() {
    let mut rig = Rig::new();
    let good = rig.settings.clone();
    rig.settings.ssh_known_hosts_file = Some(rig.host.known_hosts("other_host_key"));
    let outcome = rig.sync().await;
    assert!(failure(&outcome).0 == "remote_unreadable" && failure(&outcome).1.contains("Host key verification failed"), "{outcome:?}");
    rig.settings = good.clone();
    rig.settings.ssh_known_hosts_file = Some(rig.host.known_hosts("host_key"));
    rig.settings.ssh_key_file = Some(rig.host.path("other_user_key"));
    rig.force = true;
    let outcome = rig.sync().await;
    assert!(failure(&outcome).0 == "remote_unreadable" && failure(&outcome).1.contains("Permission denied"), "{outcome:?}");
    assert_eq!((rig.words(), rig.host.docker_calls().len()), (0, 0));
    assert!(!rig.host.path("it's here").exists(), "nothing was touched");
}

#[tokio::test]
async fn nothing_is_touched_without_the_last_word() {
    let mut rig = Rig::new();
    rig.refusal = Some("the run was cancelled".to_owned());
    assert_eq!(rig.sync().await, AttemptOutcome::NotStarted { reason: "the run was cancelled".to_owned() });
    assert!(!rig.host.path("it's here").exists());
}

/// Ends the connection that docker was started over: the process of sshd that its shell is a child of.
const CUT: &str = "kill -9 $(ps -o ppid= -p $PPID)\n";

#[tokio::test]
async fn a_lost_connection_is_looked_behind() {
    let rig = Rig::new();
    rig.host.docker_ends(&format!("exec >/dev/null 2>&1\n{CUT}"));
    let outcome = rig.sync().await;
    assert_eq!(brought(&outcome).action, SyncAction::Created, "the host went on by itself");
    assert_eq!(rig.host.docker_calls().len(), 1);
}

#[tokio::test]
async fn what_nobody_saw_the_end_of_is_unclear() {
    let rig = Rig::new();
    // Docker and the shell that it was started from go down with the connection.
    rig.host.docker_ends(&format!("shell=$PPID\n{CUT}kill -9 $shell $$\n"));
    let outcome = rig.sync().await;
    let AttemptOutcome::Unclear { evidence } = &outcome else { panic!("{outcome:?}") };
    assert!(evidence.seen.contains("how it ended is not known") && !evidence.check.is_empty(), "{evidence:?}");
    assert_eq!(rig.host.docker_calls().len(), 1, "it is not started again");
}

#[tokio::test]
async fn a_data_folder_is_made_with_its_owner_and_mode() {
    let mut rig = Rig::new();
    let folder = rig.host.path("data of $(service)");
    let about = fs::metadata(rig.host.path("user_key")).expect("a file");
    rig.target["data"] = serde_json::json!({ "path": folder, "uid": about.uid(), "gid": about.gid(), "mode": "750" });
    assert_eq!(brought(&rig.sync().await).action, SyncAction::Created);
    assert_eq!(fs::metadata(&folder).expect("is there").permissions().mode() & 0o7777, 0o750);
    rig.target["data"]["path"] = "/proc/cannot/be".into();
    let outcome = rig.sync().await;
    assert!(failure(&outcome).0 == "data_folder" && failure(&outcome).1.contains("nothing was deployed"), "{outcome:?}");
    assert_eq!(rig.host.docker_calls().len(), 1);
}

#[tokio::test]
async fn a_project_that_docker_would_not_take_is_refused_before_anything_is_asked() {
    let mut rig = Rig::new();
    for project in ["-p x", "Redis", "{service}; rm", ""] {
        rig.target["project"] = project.into();
        let outcome = rig.sync().await;
        assert!(failure(&outcome).0 == "service" && failure(&outcome).1.contains("compose project"), "{outcome:?}");
    }
    assert_eq!(rig.words(), 0);
}
