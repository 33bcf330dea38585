//! Why a sync's command failed, as far as its output tells.

/// What a person should know of a failure.
pub(super) struct Diagnosis {
    pub(super) kind: String,
    pub(super) summary: String,
    pub(super) next_action: String,
}

/// Looks at the end of the output.
pub(super) fn diagnose(output: &str) -> Diagnosis {
    let _ = output;
    Diagnosis {
        kind: "unknown_invoke_failure".to_owned(),
        summary: "its output names no known reason".to_owned(),
        next_action: "Look at the last lines of the log.".to_owned(),
    }
}
