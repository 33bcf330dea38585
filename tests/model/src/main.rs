//! `navvy-model`: exhausts the configurations and prints a table. Exits with 1 when an invariant was broken or something was
//! never met.

use model::{check, configurations};
use std::{io::Write as _, process::ExitCode, thread};

const USAGE: &str = "navvy-model [--large] [NAME…]
  looks at every state of the configurations that CI looks at, or of the named ones;
  with --large, of those that CI has no time for";

fn main() -> ExitCode {
    let (flags, names): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word.starts_with('-'));
    let mut out = std::io::stdout().lock();
    if flags.iter().any(|flag| flag != "--large") {
        let _ = writeln!(out, "{USAGE}");
        return ExitCode::from(2);
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let all = if flags.is_empty() { configurations::all() } else { configurations::large() };
    let (mut good, mut states, mut seconds) = (true, 0, 0.0);
    // Nobody reads it: the exit code says the same.
    let _ = writeln!(out, "{}", check::HEAD);
    for settings in all.into_iter().filter(|settings| names.is_empty() || names.iter().any(|name| name == settings.name)) {
        let about = settings.about;
        let done = check::exhaust(settings, threads);
        let _ = writeln!(out, "{done}  {about}");
        for (name, steps) in &done.broken {
            let _ = writeln!(out, "  BROKEN: {name}, after {} steps:\n    {}", steps.len(), steps.join("\n    "));
        }
        let _ = out.flush();
        good &= done.complete && done.missed.is_empty();
        states += done.unique;
        seconds += done.took.as_secs_f64();
    }
    let _ = writeln!(out, "{states} states in {seconds:.1} s");
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
