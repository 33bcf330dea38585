//! Every exit code of `navvy`, in one table.
//!
//! Scripts decide by these numbers, so they are part of the interface: the table is printed into
//! `docs/reference/cli.md` and a number never changes its meaning. Most follow BSD `sysexits.h`.

use std::process::ExitCode;

/// How a `navvy` process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok,
    /// The run that was waited for or asked about did not succeed, or a check found something broken.
    RunFailed,
    /// The command line is wrong, or a field of the request or of a job of orders.
    Usage,
    /// The gateway understood and refused: no such run, wrong state, an idempotency key used for something else.
    Refused,
    /// The gateway or NATS cannot be reached, or says that it cannot serve now.
    Unreachable,
    /// Something that should not happen: an answer nobody understands, a role that stopped by itself.
    Broken,
    /// A file or the terminal cannot be read or written.
    Io,
    /// The run is not over: waited as long as allowed, or asked too early. It goes on.
    WaitTimeout,
    /// No key, a wrong key, or a key without the needed scope.
    Denied,
    /// The configuration is refused.
    Configuration,
    /// Interrupted; what runs in the fleet goes on.
    Interrupted,
    /// The reader of stdout went away.
    StdoutClosed,
}

/// Code and meaning, for the reference page and for tests.
#[cfg(test)]
pub(crate) const TABLE: [(Exit, &str); 12] = [
    (Exit::Ok, "done"),
    (
        Exit::RunFailed,
        "the run that was waited for (`--wait`, `--watch`, `--follow`) or asked about (`run done`) failed, was cancelled, ran out of \
         time or has an unknown outcome; \
         or `doctor` or `admin migrate --check` found something broken",
    ),
    (Exit::Usage, "wrong command line, or a field of the request or of a job of orders is refused (it is named)"),
    (Exit::Refused, "the gateway refused: no such run, wrong state for this verb, idempotency key used for another request"),
    (Exit::Unreachable, "gateway or NATS not reachable, or not able to serve now; try again"),
    (Exit::Broken, "an unexpected answer, or a role of this process stopped by itself"),
    (Exit::Io, "a file cannot be read or written"),
    (Exit::WaitTimeout, "not over yet: waited as long as `--wait-timeout` allows, or `run done` asked before the end; the run goes on"),
    (Exit::Denied, "no token, a wrong token, or a token without the needed scope"),
    (Exit::Configuration, "the configuration is refused; every problem is listed"),
    (Exit::Interrupted, "interrupted (Ctrl-C); what runs in the fleet goes on"),
    (Exit::StdoutClosed, "the reader of stdout went away (as in `navvy runs | head -1`)"),
];

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::RunFailed => 1,
            Self::Usage => 64,
            Self::Refused => 65,
            Self::Unreachable => 69,
            Self::Broken => 70,
            Self::Io => 74,
            Self::WaitTimeout => 75,
            Self::Denied => 77,
            Self::Configuration => 78,
            Self::Interrupted => 130,
            Self::StdoutClosed => 141,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_code_once_in_order() {
        let codes: Vec<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [0, 1, 64, 65, 69, 70, 74, 75, 77, 78, 130, 141]);
    }
}
