//! What the end of an apply means, case by case.

use super::*;
use crate::terraform::Exit;

fn ran(code: Option<i32>, signal: Option<i32>, interrupted: bool, said: &str) -> Streamed {
    Streamed { exit: Exit { code, signal, interrupted }, tail: said.as_bytes().to_vec() }
}

fn word(ran: &Streamed, errored_state: Option<&str>) -> &'static str {
    match judge(Step::Apply, "terraform", ran, errored_state.map(PathBuf::from), str::to_owned) {
        Ok(()) => "done",
        Err(Unfinished::Failed(_)) => "failed",
        Err(Unfinished::Stopped { clean: true }) => "stopped",
        Err(Unfinished::Stopped { clean: false }) => "stopped, lock left",
        Err(Unfinished::NotStarted { .. }) => "not started",
        Err(Unfinished::Unclear(_)) => "unclear",
    }
}

#[test]
fn only_exit_codes_0_and_1_with_a_saved_state_are_clear() {
    let boxed = |text: &str| format!("╷\n│ Error: {text}\n╵\n");
    for (code, signal, interrupted, said, errored_state, expected) in [
        (Some(0), None, false, "Apply complete!", None, "done"),
        (Some(0), None, true, "Apply complete!", None, "done"),
        (Some(1), None, false, &*boxed("creating x"), None, "failed"),
        (Some(1), None, true, "Interrupt received", None, "stopped"),
        (Some(1), None, true, &*boxed("Error releasing the state lock"), None, "stopped, lock left"),
        (Some(1), None, false, &*boxed("Failed to save state"), None, "unclear"),
        (Some(1), None, false, &*boxed("Failed to save state"), Some("/x/errored.tfstate"), "unclear"),
        (Some(0), None, false, "Apply complete!", Some("/x/errored.tfstate"), "unclear"),
        (Some(1), None, true, &*boxed("Two interrupts received. Exiting immediately."), None, "unclear"),
        (Some(2), None, false, "panic: boom", None, "unclear"),
        (Some(11), None, false, "TERRAFORM CRASH", None, "unclear"),
        (None, Some(9), false, "", None, "unclear"),
        (None, Some(9), true, "", None, "unclear"),
    ] {
        let ran = ran(code, signal, interrupted, said);
        assert_eq!(word(&ran, errored_state), expected, "{ran:?}");
    }
}

#[test]
fn an_unclear_end_says_what_to_look_at() {
    let said = "╷\n│ Error: Failed to save state\n│\n│ Lock Info:\n│   ID:        1c12915d-49cd\n╵\n";
    let end = judge(Step::Destroy, "tofu", &ran(Some(1), None, false, said), Some("/x/errored.tfstate".into()), str::to_owned);
    let Unfinished::Unclear(unclear) = with_serial(end.expect_err("unclear"), Some(7)) else { panic!("not unclear") };
    assert_eq!(unclear.errored_state.as_deref(), Some(Path::new("/x/errored.tfstate")));
    assert_eq!((unclear.evidence.serial_before, unclear.evidence.state_lock.as_deref()), (Some(7), Some("1c12915d-49cd")));
    assert!(unclear.evidence.seen.starts_with("tofu could not save its state at the end of its destroy"), "{}", unclear.evidence.seen);
    assert!(unclear.evidence.check.iter().any(|line| line.contains("force-unlock 1c12915d-49cd")));
}
