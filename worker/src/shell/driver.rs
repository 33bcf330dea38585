//! The driver: a constant script that runs the commands one after the other and stops at the first that fails.
//!
//! Each command lies in a file of mode 0600, because it may hold a secret and argv is public. The driver uses only what
//! every POSIX shell has built in (dash, bash, busybox), so that an order's `PATH` means nothing to it.

use super::small_file;
use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

/// The shell of driver and commands.
pub(super) const SHELL: &str = "/bin/sh";

/// Where the driver writes down how far it came, in the folder of the commands.
const AT: &str = "at";
/// Most commands that are counted where only their files can say it.
const MAX_COMMANDS: u32 = 10_000;
/// Longest such note, in bytes.
const MAX_NOTE: usize = 64;

/// `$0` is the shell, `$1` the folder of the commands, `$2` how many there are.
///
/// A trapped signal is not ignored by the commands: they die of it, or do not, and the driver lives to say so. It starts
/// nothing after it. `ESC E` begins a line of its own, should a command have left one open. The names of its variables
/// are such that no order exports them.
const SCRIPT: &str = r#"
_navvy_stopped=
trap '_navvy_stopped=yes' HUP INT TERM
_navvy_no=1
while [ "$_navvy_no" -le "$2" ]; do
    [ -z "$_navvy_stopped" ] || exit 143
    _navvy_mark='$ '
    while IFS= read -r _navvy_line || [ -n "$_navvy_line" ]; do
        printf '%s%s\n' "$_navvy_mark" "$_navvy_line"
        _navvy_mark=
    done < "$1/$_navvy_no"
    { printf '%s' "$_navvy_no" > "$1/at"; } 2>/dev/null
    "$0" "$1/$_navvy_no"
    _navvy_code=$?
    printf '\033EExit code: %s\n' "$_navvy_code"
    { printf '%s %s' "$_navvy_no" "$_navvy_code" > "$1/at"; } 2>/dev/null
    [ "$_navvy_code" -eq 0 ] || exit "$_navvy_code"
    _navvy_no=$((_navvy_no + 1))
done
exit 0
"#;

/// The arguments of the shell that runs the commands in `folder`.
pub(super) fn arguments(folder: &str, count: usize) -> Vec<String> {
    ["-c", SCRIPT, SHELL, folder, &count.to_string()].map(str::to_owned).to_vec()
}

/// Writes every command into a file of its own in a new folder.
pub(super) fn write_commands(folder: &Path, commands: &[String]) -> io::Result<()> {
    make_folder(folder)?;
    for (at, command) in commands.iter().enumerate() {
        let path = folder.join((at + 1).to_string());
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(command.as_bytes())?;
        file.write_all(b"\n")?;
    }
    Ok(())
}

/// Makes a folder of mode 0700 that was not there before.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// How far an order came. An order can forge this, and would deceive nobody but its own reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last command that was begun, counted from 1; 0 before the first, or if nobody knows.
    pub command: u32,
    /// That command has ended.
    pub ended: bool,
    /// How many commands the order has.
    pub of: u32,
}

impl Progress {
    /// What the driver noted, in the scratch of an order.
    pub fn read(scratch: &Path) -> Self {
        let folder = scratch.join(super::COMMANDS);
        let of = (1..=MAX_COMMANDS).take_while(|no| std::fs::symlink_metadata(folder.join(no.to_string())).is_ok()).count() as u32;
        let unknown = Self { of, ..Self::default() };
        let Ok(note) = small_file::read(&folder.join(AT), MAX_NOTE) else { return unknown };
        let note = String::from_utf8_lossy(&note);
        let mut words = note.split_ascii_whitespace();
        match words.next().and_then(|word| word.parse().ok()) {
            Some(command) if command <= of => Self { command, ended: words.next().is_some(), of },
            Some(_) | None => unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_noted_is_read_and_nonsense_is_not() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join(super::super::COMMANDS);
        write_commands(&folder, &["a".to_owned(), "b".to_owned()]).unwrap();
        let read = |note: &str| {
            std::fs::write(folder.join(AT), note).unwrap();
            Progress::read(scratch.path())
        };
        assert_eq!(Progress::read(scratch.path()), Progress { command: 0, ended: false, of: 2 });
        assert_eq!(read("2"), Progress { command: 2, ended: false, of: 2 });
        assert_eq!(read("2 7"), Progress { command: 2, ended: true, of: 2 });
        for nonsense in ["", "3 0", "-1", "x", &"1".repeat(100)] {
            assert_eq!(read(nonsense), Progress { command: 0, ended: false, of: 2 }, "{nonsense}");
        }
    }
}
