//! `navvy`: one binary with every role and every client verb.
//!
//! A library only so that the crash tests can build the same program with points to die at (`tests/crash`).
//!
//! Here only the first steps: the hidden ways in (`runner`, git's askpass) before anything else happens, then the
//! command line, then the verb. What a verb does is in `verbs` (clients of the gateway), `roles` and `up` (servers),
//! `doctor`, `operator` (configuration, migration, completions).

mod api;
mod args;
mod bench;
mod doctor;
mod environment;
mod exit;
mod files;
#[cfg(test)]
mod golden;
mod operator;
mod output;
mod problem;
#[cfg(test)]
mod reference;
mod roles;
mod source;
mod up;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, ColorWhen, Verb};
use exit::Exit;
use output::Out;
use problem::CliError;

/// The whole life of the process.
pub fn main() -> ExitCode {
    if let Some(code) = hidden() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let out = Out::open(cli.global.json, cli.global.color);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out.error(&roles::role_failed("cannot start", "is the machine out of threads or memory?")(error));
            return Exit::Broken.into();
        }
    };
    let exit = runtime.block_on(run(&out, &cli)).unwrap_or_else(|error| {
        if !matches!(error, CliError::StdoutClosed) {
            out.error(&error);
        }
        error.exit()
    });
    // Blocking reads of others (DNS, say) must not hold up the end.
    runtime.shutdown_background();
    exit.into()
}

/// The ways in that are for programs only. Before clap and tokio: the runner must start with one thread, and both may
/// not be disturbed by anything a user has in the environment.
fn hidden() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    if worker::git::askpass::called_as(&program) {
        return Some(worker::git::askpass::main());
    }
    let first = arguments.next()?;
    (first == worker::runner::SUBCOMMAND).then(worker::runner::main)
}

async fn run(out: &Out, cli: &Cli) -> Result<Exit, CliError> {
    match &cli.verb {
        Verb::Up(args) => up::run(out, args).await,
        Verb::Gateway(args) => roles::run_gateway(out, args).await,
        Verb::Scheduler(args) => roles::run_scheduler(out, args).await,
        Verb::Worker(args) => roles::run_worker(out, args).await,
        Verb::Source(args) => source::source(out, args).await,
        Verb::Secrets(args) => doctor::secrets(out, args).await,
        Verb::Doctor(args) => doctor::run(out, &cli.global, args).await,
        Verb::Bench(args) => bench::verb(out, args).await,
        Verb::Config(args) => operator::config(out, args),
        Verb::Admin(args) => operator::admin(out, args).await,
        Verb::Completions(args) => operator::completions(out, args),
        Verb::Orders(args) => verbs::orders(out, &cli.global, args).await,
        Verb::Mapping(args) => verbs::mapping(out, args),
        Verb::Client(verb) => verbs::run(out, &cli.global, verb).await,
    }
}

/// What clap has to say: help and version are no errors, everything else is a wrong command line.
fn usage(error: &clap::Error) -> Exit {
    let asked_for_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && asked_for_json {
        let text = error.render().to_string();
        Out::open(true, ColorWhen::Never).error(&CliError::usage(first_paragraph(&text), "navvy --help"));
        return Exit::Usage;
    }
    // A closed stdout or stderr is nobody's problem here.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Ok }
}

/// What is wrong, in one line: clap lists the arguments that are missing on lines of their own.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_says_in_one_line_what_is_missing() {
        let error = Cli::try_parse_from(["navvy", "deploy", "--tool", "tofu"]).expect_err("arguments are missing");
        let told = first_paragraph(&error.render().to_string());
        assert_eq!(told, "the following required arguments were not provided: --git-url <URL> --git-ref <REF>");
    }
}
