//! Everything a person or a script sees: the one place that writes to stdout and stderr.
//!
//! stdout carries data (or JSON), stderr carries progress, hints, warnings and errors. A closed stdout ends the verb
//! quietly; a closed stderr is ignored. The pictures (`run`, `lists`, `findings` …) are pure: values in, text out.

pub(crate) mod ansi;
pub(crate) mod findings;
pub(crate) mod graph;
mod levels;
pub(crate) mod lists;
pub(crate) mod mapping;
pub(crate) mod orders;
pub(crate) mod outputs;
pub(crate) mod plan;
pub(crate) mod problem;
pub(crate) mod run;
pub(crate) mod settings;
pub(crate) mod style;
pub(crate) mod syncs;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod words;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod samples;

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::args::ColorWhen;
use crate::environment;
use crate::problem::CliError;
use style::{Ink, Style};

/// Where and how this process writes.
#[derive(Debug)]
pub(crate) struct Out {
    json: bool,
    stdout: Style,
    stderr: Style,
    bar: ProgressBar,
    bar_visible: bool,
}

impl Out {
    /// Looks at the terminal and at the wishes of the user.
    pub(crate) fn open(json: bool, color: ColorWhen) -> Self {
        let stderr_is_terminal = std::io::stderr().is_terminal();
        let dumb = environment::text("TERM").is_some_and(|term| term == "dumb");
        let quiet_color = environment::is_set("NO_COLOR") || dumb;
        let wants = |terminal: bool| match color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => terminal && !quiet_color,
        };
        Self {
            json,
            stdout: Style::new(!json && wants(std::io::stdout().is_terminal())),
            stderr: Style::new(wants(stderr_is_terminal)),
            bar: ProgressBar::hidden().with_style(ProgressStyle::default_spinner()),
            bar_visible: stderr_is_terminal && !dumb && !json,
        }
    }

    /// Whether `--json` was given.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// How to colour what goes to stdout.
    pub(crate) fn style(&self) -> Style {
        self.stdout
    }

    /// Whether log lines may be coloured.
    pub(crate) fn colors_stderr(&self) -> bool {
        self.stderr.color()
    }

    /// Writes text and a line end to stdout.
    pub(crate) fn line(&self, text: &str) -> Result<(), CliError> {
        self.bar.suspend(|| {
            let mut stdout = std::io::stdout().lock();
            let mut bytes = Vec::with_capacity(text.len() + 1);
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b'\n');
            stdout.write_all(&bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
                ErrorKind::BrokenPipe => CliError::StdoutClosed,
                _ => CliError::Stdout(error),
            })
        })
    }

    /// Writes a value as one line of JSON to stdout.
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> Result<(), CliError> {
        self.line(&serde_json::to_string(value).expect("values for output have string keys only"))
    }

    /// A remark for people on stderr; machines do not get it.
    pub(crate) fn hint(&self, text: &str) {
        if !self.json {
            self.to_stderr(&self.stderr.paint(Ink::Dim, text));
        }
    }

    /// Something a person should see before it hurts, on stderr.
    pub(crate) fn warn(&self, text: &str) {
        if self.json {
            self.to_stderr(&serde_json::json!({ "warning": text }).to_string());
        } else {
            self.to_stderr(&format!("{} {text}", self.stderr.paint(Ink::Warn, "warning:")));
        }
    }

    /// An error, on stderr: one JSON object with `--json`.
    pub(crate) fn error(&self, error: &CliError) {
        self.done_waiting();
        let text = if self.json { problem::json(error).to_string() } else { problem::text(error, self.stderr) };
        self.to_stderr(&text);
    }

    /// What is being waited for: a spinner on a terminal, a line when it changes otherwise.
    pub(crate) fn waiting(&self, text: &str) {
        if self.bar_visible {
            if self.bar.is_hidden() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
                self.bar.enable_steady_tick(Duration::from_millis(120));
            }
            self.bar.set_message(text.to_owned());
        } else if !self.json && self.bar.message() != text {
            self.bar.set_message(text.to_owned());
            self.to_stderr(text);
        }
    }

    /// Takes the spinner away.
    pub(crate) fn done_waiting(&self) {
        self.bar.disable_steady_tick();
        self.bar.finish_and_clear();
        // Otherwise the next line to be written would draw it once more.
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
    }

    fn to_stderr(&self, text: &str) {
        self.bar.suspend(|| {
            // Nobody is left to tell that stderr is closed.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        });
    }
}
