//! `navvy-sim`: histories by the thousand, each from a seed. Exits with 1 when a rule was broken, with 2 when it was not
//! understood.

use simulation::{
    choice::Choices,
    run::{self, Plan, Sum},
    shrink,
    sometimes::Case,
    world,
};
use std::{io::Write as _, process::ExitCode, time::Instant};

const USAGE: &str = "navvy-sim [--seeds N] [--steps M] [--first SEED] [--jobs J]
  tells N histories (default 2000) of M steps each (default 5000), from seed SEED (default 1) on
navvy-sim --trace --first SEED [--steps M]
  tells one, aloud";

/// Histories that shrinking may tell.
const SHRINK_BUDGET: u32 = 5_000;

fn main() -> ExitCode {
    let asked = match plan() {
        Ok(Some(asked)) => asked,
        Ok(None) => return say(USAGE, ExitCode::SUCCESS),
        Err(error) => return say(&format!("navvy-sim: {error}\n{USAGE}"), ExitCode::from(2)),
    };
    if asked.trace {
        let told = world::tell_aloud(Choices::random(asked.run.first), asked.run.steps, true);
        return say(&told.violation.unwrap_or_else(|| "no rule was broken".to_owned()), ExitCode::SUCCESS);
    }
    let plan = asked.run;
    let began = Instant::now();
    let sum = run::run(plan, || {});
    let text = report(&sum, plan, began.elapsed().as_secs_f64());
    match &sum.broken {
        None => say(&text, ExitCode::SUCCESS),
        Some((seed, violation)) => {
            say(&format!("{text}\nseed {seed} broke a rule: {violation}\nshrinking…"), ExitCode::FAILURE);
            say(&shrunk(*seed, plan.steps), ExitCode::FAILURE)
        }
    }
}

fn say(text: &str, code: ExitCode) -> ExitCode {
    // Nobody reads it: the exit code says the same.
    let _ = writeln!(std::io::stdout(), "{text}");
    code
}

struct Asked {
    run: Plan,
    trace: bool,
}

fn plan() -> Result<Option<Asked>, lexopt::Error> {
    use lexopt::prelude::{Long, ValueExt as _};
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut plan = Plan { first: 1, seeds: 2_000, steps: 5_000, jobs };
    let mut trace = false;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seeds") => plan.seeds = parser.value()?.parse()?,
            Long("steps") => plan.steps = parser.value()?.parse()?,
            Long("first") => plan.first = parser.value()?.parse()?,
            Long("jobs") => plan.jobs = parser.value()?.parse()?,
            Long("trace") => trace = true,
            Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(Asked { run: plan, trace }))
}

fn report(sum: &Sum, plan: Plan, seconds: f64) -> String {
    let mut lines = vec![format!(
        "{} seeds from {}, {} steps in all, {} runs, {:.1} days, {seconds:.1} s ({:.0} steps/s)",
        sum.seeds,
        plan.first,
        sum.steps,
        sum.runs,
        sum.passed as f64 / 86_400_000.0,
        sum.steps as f64 / seconds.max(0.001)
    )];
    lines.push("sometimes:".to_owned());
    lines.extend(Case::ALL.iter().map(|case| format!("{:>9}  {}", sum.counts.of(*case), case.word())));
    lines.join("\n")
}

fn shrunk(seed: u64, steps: u32) -> String {
    match shrink::shrink(seed, steps, SHRINK_BUDGET) {
        None => "the history did not fail when it was told again: the simulation is not deterministic".to_owned(),
        Some(shrunk) => format!(
            "shrunk to {} choices and {} steps after {} histories: {}\nfor tests/simulation/regressions.txt:\n{} {}",
            shrunk.choices.len(),
            shrunk.steps,
            shrunk.tries,
            shrunk.violation,
            shrunk.steps,
            shrunk.choices.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        ),
    }
}
