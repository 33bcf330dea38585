//! What a point does in a build that has them.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fmt::Debug,
    fs::OpenOptions,
    io::Write as _,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Stands in every binary that has points, and in no other: a test looks for it.
const MARK: &str = "navvy-failpoints-are-compiled-in";

/// The point that this process dies at.
#[derive(Debug)]
struct Armed {
    name: String,
    /// Times that the point may still be passed.
    left: AtomicU32,
    hits: Option<std::ffi::OsString>,
}

fn armed() -> Option<&'static Armed> {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    let read = || {
        let text = std::env::var_os("NAVVY_FAILPOINT")?.into_string().ok()?;
        let (name, nth) = match text.rsplit_once(':') {
            Some((name, nth)) => (name, nth.parse().unwrap_or(1)),
            None => (text.as_str(), 1),
        };
        Some(Armed { name: name.to_owned(), left: AtomicU32::new(nth), hits: std::env::var_os("NAVVY_FAILPOINT_HITS") })
    };
    ARMED.get_or_init(read).as_ref()
}

/// The name of a point that depends on a value.
pub fn named(name: &str, value: &impl Debug) -> String {
    let shown = format!("{value:?}");
    let word: String = shown.chars().skip_while(|c| !c.is_alphanumeric()).take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    format!("{name}.{word}")
}

/// The process comes by a point, and ends here if it is the one.
pub fn reached(name: &str) {
    let Some(armed) = armed().filter(|armed| armed.name == name) else { return };
    // Past zero it wraps around and never comes back: whoever is second while the first one dies goes on for a moment.
    if armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
        die(armed);
    }
}

fn die(armed: &Armed) -> ! {
    if let Some(path) = &armed.hits {
        let line = format!("{}\n", armed.name);
        let written = OpenOptions::new().append(true).create(true).open(path).and_then(|mut file| {
            file.write_all(line.as_bytes())?;
            file.sync_all()
        });
        if let Err(error) = written {
            tell(&format!("{MARK}: the hit cannot be written: {error}"));
        }
    }
    let sent = kill(Pid::this(), Signal::SIGKILL);
    // A signal to oneself is delivered before the call returns, so this line is never reached.
    tell(&format!("{MARK}: SIGKILL was not delivered: {sent:?}"));
    std::process::abort()
}

fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Sample {
        JobQueued,
        Ended { _why: u8 },
    }

    #[test]
    fn a_point_is_named_by_the_first_word_of_its_value() {
        assert_eq!(named("a.b", &"apply"), "a.b.apply");
        assert_eq!(named("a", &Sample::JobQueued), "a.JobQueued");
        assert_eq!(named("a", &Sample::Ended { _why: 1 }), "a.Ended");
    }
}
