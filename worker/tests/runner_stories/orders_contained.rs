//! Stories about shell orders that use too much: each is killed, and says what it used and what was allowed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use worker::runner::{ExitRecord, OverLimit, Resource, RunnerEvent, StartStep};
use worker::shell::Outcome;

use crate::kit::{content, next, until};
use crate::orders_kit::{OrderStory, Over};

const MIB: u64 = 1024 * 1024;
/// Holds all that it reads in memory, and fails when that is refused.
const HOG: &str = "head -c 2000000000 /dev/zero | tail -c 2000000000 > /dev/null";

fn assert_over(over: &Over, resource: Resource, limit: u64, kind: &str) -> OverLimit {
    let found = over.exit.over.unwrap_or_else(|| panic!("not over: {over:?}"));
    assert!(found.resource == resource && found.limit == limit && found.used >= limit, "{found:?}");
    assert_eq!(over.failure(), (kind, format!("command 1 of 2 was killed: {found}").as_str()));
    assert!(over.log.ends_with(&format!("killed: {found}\n")) && !over.log.contains("never"), "{}", over.log);
    found
}

#[tokio::test]
async fn a_memory_hog_is_killed_and_its_exit_record_says_why() {
    let story = OrderStory::new(&[HOG, "echo never"]).with(|story| story.bounds.family.memory_bytes = Some(64 * MIB));
    let over = story.run().await;
    let found = assert_over(&over, Resource::Memory, 64 * MIB, "out_of_memory");
    assert!(found.to_string().ends_with("MiB of 64 MiB"), "{found}");
    let record = ExitRecord::read(&story.dir.path().join("exit.json")).expect("reads").expect("is there");
    let later = worker::shell::judge_unwatched(&record.outcome, &story.scratch(), "running");
    assert_eq!(later, over.outcome, "a worker that was not there says the same");
}

#[tokio::test]
async fn the_sum_counts_and_not_the_single_process() {
    let each = "head -c 40000000 /dev/zero | tail -c 40000000 | (read -r x; sleep 10000)";
    let story = OrderStory::new(&[&format!("{each} & {each} & {each}"), "echo never"]);
    let over = story.with(|story| story.bounds.family.memory_bytes = Some(90 * MIB)).run().await;
    assert_over(&over, Resource::Memory, 90 * MIB, "out_of_memory");
}

#[tokio::test]
async fn one_that_starts_too_many_processes_is_killed_with_all_of_them() {
    // Bounded, should nothing hold it.
    let script = "n=0; while [ $n -lt 3000 ]; do sleep 10000 & n=$((n+1)); done; wait";
    let story = OrderStory::new(&[script, "echo never"]).with(|story| story.bounds.family.processes = Some(100));
    let over = story.run().await;
    assert_over(&over, Resource::Processes, 100, "too_many_processes");
    assert_eq!(over.exit.leftovers, 0);
}

#[tokio::test]
async fn one_that_fills_the_disk_is_killed_whether_with_one_file_or_many() {
    let large = "head -c 2000000000 /dev/zero > large";
    let small = r#"n=0; while :; do head -c 9000 /dev/zero > "$TMPDIR/$n"; n=$((n+1)); done"#;
    for script in [large, small] {
        let story = OrderStory::new(&[script, "echo never"]).with(|story| story.bounds.family.disk_bytes = Some(4 * MIB));
        fs::write(story.path("checkout"), vec![7; 8 << 20]).expect("writes");
        let over = story.run().await;
        assert_over(&over, Resource::Disk, 4 * MIB, "disk_full");
        let written = fs::metadata(story.path("large")).map_or(0, |file| file.blocks() * 512);
        assert!(written <= 6 * MIB, "the kernel stops one file shortly behind the limit: {written}");
    }
}

#[tokio::test]
async fn what_was_there_before_and_a_disk_that_is_tidied_up_do_not_count() {
    let tidy = "for n in 1 2 3 4 5 6; do head -c 2000000 /dev/zero > file; rm file; done";
    let story = OrderStory::new(&[tidy]).with(|story| story.bounds.family.disk_bytes = Some(4 * MIB));
    fs::write(story.path("checkout"), vec![7; 8 << 20]).expect("writes");
    assert_eq!(story.run().await.outcome, Outcome::Succeeded { commands: 1 });
}

#[tokio::test]
async fn processor_time_is_that_of_all_together() {
    let story = OrderStory::new(&["(while :; do :; done) & while :; do :; done", "echo never"]);
    let over = story.with(|story| story.bounds.family.processor = Some(Duration::from_secs(1))).run().await;
    let found = over.exit.over.expect("over");
    assert!(found.resource == Resource::Processor && found.limit == 1 && found.used > 1, "{found:?}");
    assert_eq!(over.failure().0, "processor_time");
}

/// A cgroup of this machine's in which others can be made, with a controller; nothing where a machine gives none.
fn cgroup(controller: &str, file: &str) -> Option<PathBuf> {
    let version_one = Path::new("/sys/fs/cgroup").join(controller);
    let mut places = vec![version_one, PathBuf::from("/sys/fs/cgroup")];
    places.retain(|place| {
        let probe = place.join(format!("navvy-probe-{}-{controller}", std::process::id()));
        let made = fs::create_dir(&probe).is_ok();
        let has = made && probe.join(file).exists();
        if made {
            fs::remove_dir(&probe).expect("an empty group can be removed");
        }
        has
    });
    places.into_iter().next()
}

#[tokio::test]
async fn a_fork_bomb_is_held_by_its_cgroup() {
    let Some(group) = cgroup("pids", "pids.max") else { return eprintln!("skipped: no cgroup for processes here") };
    let story = OrderStory::new(&["bomb() { bomb & bomb & }; bomb 2>/dev/null; wait; sleep 10000", "echo never"]).with(|story| {
        story.bounds.family.processes = Some(64);
        story.bounds.family.cgroups = vec![group.clone()];
    });
    let runner = story.start().await;
    let made = group.join(format!("navvy-{}", runner.pid()));
    until("the group is made", || made.exists() || story.dir.path().join("exit.json").exists()).await;
    let over = story.end(runner).await;
    assert_over(&over, Resource::Processes, 64, "too_many_processes");
    assert_eq!(over.exit.leftovers, 0);
    assert!(!made.exists(), "the group is gone with its order");
}

#[tokio::test]
async fn what_the_kernel_refuses_while_everything_dies_is_no_reason() {
    let Some(group) = cgroup("pids", "pids.max") else { return eprintln!("skipped: no cgroup for processes here") };
    let breeding = "(trap '' TERM; while :; do (:); done) & echo x > ready;";
    let story = |end: &str| {
        OrderStory::new(&[&format!("{breeding} {end}"), "echo never"]).with(|story| {
            story.bounds.family.processes = Some(500);
            story.bounds.family.cgroups = vec![group.clone()];
        })
    };
    assert_eq!(story("exit 7").run().await.failure(), ("exit_code", "command 1 of 2 ended with exit code 7"));
    let story = story("wait");
    let mut runner = story.start().await;
    content(&story.path("ready")).await;
    runner.kill().await.expect("the runner lives");
    assert_eq!(story.end(runner).await.outcome, Outcome::Stopped { timed_out: false });
}

#[tokio::test]
async fn a_memory_hog_is_held_by_its_cgroup() {
    let group = cgroup("memory", "memory.limit_in_bytes").or_else(|| cgroup("memory", "memory.max"));
    let Some(group) = group else { return eprintln!("skipped: no cgroup for memory here") };
    let story = OrderStory::new(&[HOG, "echo never"]).with(|story| {
        story.bounds.family.memory_bytes = Some(64 * MIB);
        story.bounds.family.cgroups = vec![group];
    });
    assert_over(&story.run().await, Resource::Memory, 64 * MIB, "out_of_memory");
}

#[tokio::test]
async fn a_cgroup_that_cannot_be_used_starts_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    for (place, word) in [(folder.path().join("none"), "No such file"), (folder.path().to_owned(), "neither the controller")] {
        let story = OrderStory::new(&["echo x > ran"]).with(|story| {
            story.bounds.family.processes = Some(64);
            story.bounds.family.cgroups = vec![place];
        });
        let mut runner = story.start().await;
        let Some(RunnerEvent::Failed(failure)) = next(&mut runner).await else { panic!("it started") };
        assert!(failure.step == StartStep::SetLimits && failure.to_string().contains(word), "{failure}");
        assert!(!story.path("ran").exists());
    }
    assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 0, "nothing is left behind");
}
