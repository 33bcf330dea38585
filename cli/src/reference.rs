//! Writes `docs/reference/cli.md` from the clap definition, so that the page cannot drift. A test compares; with
//! `UPDATE_GOLDEN=1` it rewrites.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::args::Cli;
use crate::exit;

const HEAD: &str = "\
# Command line

`navvy` is one program: it runs every role and it is the client of the gateway. This page is generated from the
program's own definition (`UPDATE_GOLDEN=1 cargo test -p navvy reference` rewrites it).

Data goes to stdout; progress, hints, warnings and errors go to stderr. `--json` makes both machine-readable: JSON on
stdout (one object, or one object a line for `logs`, `deploy --follow` and `orders submit --watch`), and on an error one object
`{\"error\", \"code\", \"field\", \"status\", \"next\", \"exit\", \"problems\"}` on stderr; `problems` lists everything that is wrong with
a request, each `{\"field\", \"message\"}`. `navvy` never asks questions.

The API key comes from `--token-file`, `NAVVY_TOKEN` or `NAVVY_TOKEN_FILE`. Secrets of a run come from files and from the
environment; what stands in arguments can be seen by every user of the machine, and `navvy` says so.
Colours are off when `NO_COLOR` is set, when `TERM` is `dumb`, and where the output is no terminal; `--color` overrides.
Output of tools is shown without control sequences other than colours; `logs --json` passes it through unchanged.
";

/// The whole page.
fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut text = HEAD.to_owned();
    text.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (exit, meaning) in exit::TABLE {
        let _ = writeln!(text, "| {} | {} |", exit.code(), cell(meaning));
    }
    text.push_str("\n## Global options\n\n");
    let global: Vec<&Arg> = root.get_arguments().filter(|arg| arg.is_global_set()).collect();
    table(&mut text, &global);
    for verb in root.get_subcommands().filter(|verb| verb.get_name() != "help") {
        section(&mut text, verb, &format!("navvy {}", verb.get_name()));
    }
    text
}

fn section(text: &mut String, verb: &Command, name: &str) {
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n## {name}\n\n{about}.\n", about = about.trim_end_matches('.'));
    let arguments: Vec<&Arg> =
        verb.get_arguments().filter(|arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help").collect();
    if !arguments.is_empty() {
        text.push('\n');
        table(text, &arguments);
    }
    for below in verb.get_subcommands().filter(|below| below.get_name() != "help") {
        section(text, below, &format!("{name} {}", below.get_name()));
    }
}

fn table(text: &mut String, arguments: &[&Arg]) {
    text.push_str("| argument | meaning |\n|---|---|\n");
    for argument in arguments {
        let _ = writeln!(text, "| {} | {} |", spelling(argument), meaning(argument));
    }
}

fn spelling(argument: &Arg) -> String {
    let value = match argument.get_action() {
        ArgAction::Set | ArgAction::Append => {
            let names = argument.get_value_names().unwrap_or_default();
            names.first().map_or_else(String::new, |name| format!(" {name}"))
        }
        _ => String::new(),
    };
    let short = argument.get_short().map_or_else(String::new, |short| format!("`-{short}`, "));
    match argument.get_long() {
        Some(long) => format!("{short}`--{long}{value}`"),
        None => format!("`{}`", value.trim()),
    }
}

fn meaning(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    if !text.ends_with(['.', ']']) {
        text.push('.');
    }
    let words: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set() && !matches!(argument.get_action(), ArgAction::SetTrue))
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !words.is_empty() {
        let _ = write!(text, " One of {}.", words.join(", "));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(text, " Environment: `{}`.", variable.to_string_lossy());
    }
    let defaults: Vec<String> = argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if !defaults.is_empty() && !matches!(argument.get_action(), ArgAction::SetTrue) {
        let _ = write!(text, " Default: `{}`.", defaults.join(" "));
    }
    if argument.is_required_set() {
        text.push_str(" Required.");
    }
    cell(&text)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn the_reference_page_is_what_the_program_says() {
    crate::golden::compare("../docs/reference/cli.md", &page());
}
