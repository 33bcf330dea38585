//! Stories about output: what a tool writes and what of it stands in the log.

use std::fs;

use crate::kit::{Story, memory_kib, next};
use worker::runner::{LONGEST_LINE, RunnerEvent, SPLIT_MARK};

const CANARY: &str = "c4nary-Secret/Value+42=";

#[tokio::test]
async fn a_tool_sees_a_terminal_and_its_colours_reach_the_log() {
    let story = Story::script(r"test -t 1 && test -t 2 && printf '\033[31mred\033[0m\033[2K\n'; stty size < /dev/tty; cat; echo end");
    let ended = story.run().await;
    assert_eq!(ended.log, "\x1b[31mred\x1b[0m\n40 160\nend\n", "colours stay, erasing goes, input is empty");
    assert_eq!(ended.exit.log_len, ended.log.len() as u64);
    assert!(ended.events.contains(&RunnerEvent::Output { log_len: ended.exit.log_len }), "{:?}", ended.events);
}

#[tokio::test]
async fn a_secret_in_one_byte_writes_never_reaches_a_file() {
    let script = r#"
        echo "whole: $SECRET"
        rest=$SECRET; while [ -n "$rest" ]; do printf '%s' "${rest%"${rest#?}"}"; rest=${rest#?}; done; echo
        printf 'codes: '; printf '%s' "$SECRET" | sed 's/./&\x1b[1m\x1b[K/g'; echo
        printf 'base64: '; printf 'user:%s' "$SECRET" | base64
        echo 'error' >&2; echo "$SECRET" >&2
        printf 'no newline at the end %s' "$SECRET"
    "#;
    let secret = |spec: &mut worker::runner::RunnerSpec| {
        spec.env.push(("SECRET".into(), CANARY.into()));
        spec.secrets = vec![CANARY.into()];
    };
    let on_terminal = Story::script(script).with(secret);
    let ended = on_terminal.run().await;
    assert!(ended.log.starts_with("whole: ***\n***\ncodes: ***"), "{}", ended.log);
    assert!(ended.log.ends_with("error\n***\nno newline at the end ***"), "{}", ended.log);
    let on_pipes = Story::script(script).with(secret).captured(1 << 20);
    let captured = on_pipes.run().await;
    assert_eq!(captured.log, "error\n***\n");
    assert!(String::from_utf8_lossy(&captured.captured).contains(CANARY), "captured output is masked by its reader");
    for story in [&on_terminal, &on_pipes] {
        for entry in fs::read_dir(story.dir.path()).expect("lists") {
            let bytes = fs::read(entry.expect("an entry").path()).expect("reads");
            assert!(!String::from_utf8_lossy(&bytes).contains(&CANARY[..12]));
        }
    }
}

#[tokio::test]
async fn long_lines_are_split_and_broken_text_becomes_readable() {
    let story = Story::script(r"head -c 10000000 /dev/zero | tr '\0' x; echo; printf 'a\377\376b \303'; sleep 0; printf '\251\n'");
    let ended = story.run().await;
    assert!(ended.log.lines().all(|line| line.len() <= LONGEST_LINE + SPLIT_MARK.len()));
    let joined = ended.log.replace(SPLIT_MARK, "");
    let (long, rest) = joined.split_once('\n').expect("two lines");
    assert!(long.len() == 10_000_000 && long.bytes().all(|byte| byte == b'x'), "{} bytes", long.len());
    assert_eq!(rest, "a\u{fffd}\u{fffd}b é\n");
}

#[tokio::test]
async fn fifty_megabytes_pass_through_flat_memory() {
    let story = Story::script("yes 'aws_instance.web: Still creating... [10s elapsed]' | head -c 50000000")
        .with(|spec| spec.secrets = vec![CANARY.into(), "another-secret-value".into()]);
    let mut runner = story.start().await;
    let (mut peak, mut last) = (0, None);
    while let Some(event) = next(&mut runner).await {
        peak = memory_kib(runner.pid(), "VmHWM").unwrap_or(0).max(peak);
        last = Some(event);
    }
    let Some(RunnerEvent::Exited(exit)) = last else { panic!("no exit: {last:?}") };
    assert_eq!((exit.code, exit.log_len, exit.log_dropped), (Some(0), 50_000_000, 0));
    assert_eq!(fs::metadata(&story.spec.log).expect("stat").len(), 50_000_000);
    assert!(peak > 0 && peak < 64 * 1024, "the runner took {peak} KiB");
}

#[tokio::test]
async fn beyond_the_limit_the_log_ends_with_a_mark_and_the_tool_goes_on() {
    let story = Story::script(r#"yes | head -c 1000000; echo done > "$DIR/done""#).with(|spec| spec.log_limit_bytes = 5000);
    let ended = story.run().await;
    assert!(ended.log.ends_with("y\n[log truncated at 5000 bytes; the run goes on]\n"), "{:?}", ended.log.get(4990..));
    assert_eq!(ended.exit.log_dropped, 1_000_000 - 5000, "all but what stands before the mark");
    assert!(story.path("done").exists());
}

#[tokio::test]
async fn captured_output_comes_whole_in_events_and_errors_go_to_the_log() {
    let story = Story::script(r"head -c 300000 /dev/zero | tr '\0' '{'; echo problem >&2; test -t 1 || exit 4").captured(1 << 20);
    let ended = story.run().await;
    assert_eq!((ended.exit.code, ended.exit.captured_dropped), (Some(4), 0));
    assert!(ended.captured.len() == 300_000 && ended.captured.iter().all(|byte| *byte == b'{'));
    assert_eq!(ended.log, "problem\n");
}

#[tokio::test]
async fn capture_beyond_the_limit_is_counted_and_does_not_stop_the_tool() {
    let ended = Story::script(r"head -c 100000 /dev/zero; exit 3").captured(4096).run().await;
    assert_eq!((ended.exit.code, ended.captured.len()), (Some(3), 4096));
    assert_eq!(ended.exit.captured_dropped, 100_000 - 4096);
}
