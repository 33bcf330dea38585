//! What the fake tool wrote down: the only witness of what was really done.

use std::{io, path::Path};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// What the test calls the run.
    pub label: String,
    /// Name of the attempt's folder, which begins with the run's id.
    pub attempt: String,
    pub pid: String,
    /// `begin`, `end`, `stopped`, `stale`, `overlap`, or what a test had it write.
    pub what: String,
}

/// How often something was begun and brought to its end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub begun: usize,
    pub ended: usize,
    /// Ended early because somebody asked for it.
    pub stopped: usize,
}

/// All lines of a folder, in order. A line that was half written when its process died counts as far as it goes.
pub fn read(dir: &Path) -> io::Result<Vec<Effect>> {
    let text = match std::fs::read_to_string(dir.join("effects")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let parse = |line: &str| {
        let mut words = line.splitn(4, ' ').map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        Effect { label: next(), attempt: next(), pid: next(), what: next() }
    };
    Ok(text.lines().map(parse).collect())
}

/// The tally of one run, by its id.
pub fn tally(effects: &[Effect], run: &str) -> Tally {
    let mut tally = Tally::default();
    for effect in effects.iter().filter(|effect| effect.attempt.starts_with(run)) {
        match effect.what.as_str() {
            "begin" => tally.begun += 1,
            "end" => tally.ended += 1,
            "stopped" => tally.stopped += 1,
            _ => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_run() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), []);
        std::fs::write(dir.path().join("effects"), "main r1.2.1 7 begin\nmain r1.2.1 7 end\nnext r2.2.1 8 begin\n").unwrap();
        let effects = read(dir.path()).unwrap();
        assert_eq!(tally(&effects, "r1"), Tally { begun: 1, ended: 1, stopped: 0 });
        assert_eq!(tally(&effects, "r2"), Tally { begun: 1, ended: 0, stopped: 0 });
    }
}
