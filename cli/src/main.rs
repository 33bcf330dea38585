//! `navvy`: one binary with every role and every client verb.
//!
//! Here only the first steps: the hidden ways in (`runner`, git's askpass) before anything else happens, then the
//! command line, then the verb. What a verb does is in `verbs` (clients), `roles` and `up` (servers), `doctor`,
//! `operator` (configuration, migration, completions).

mod api;
mod args;
mod doctor;
mod environment;
mod exit;
mod files;
#[cfg(test)]
mod golden;
mod output;
mod problem;
#[cfg(test)]
mod reference;
mod verbs;

use std::process::ExitCode;
use clap::Parser as _;

fn main() -> ExitCode {
    let cli = args::Cli::try_parse().unwrap();
    let out = output::Out::open(cli.global.json, cli.global.color);
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match rt.block_on(verbs::run(&out, &cli.global, &cli.verb)) {
        Some(Ok(e)) => e.into(),
        Some(Err(e)) => { out.error(&e); e.exit().into() }
        None => exit::Exit::Ok.into(),
    }
}
