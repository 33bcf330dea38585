//! One configuration, exhausted.

use crate::{settings::Settings, world::World};
use stateright::{Checker, HasDiscoveries, Model};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// What came of a configuration.
#[derive(Debug)]
pub struct Exhausted {
    pub name: &'static str,
    pub unique: usize,
    pub generated: usize,
    pub depth: usize,
    pub took: Duration,
    /// No state was left out.
    pub complete: bool,
    /// Invariants that a state breaks, each with the steps that lead there.
    pub broken: Vec<(&'static str, Vec<String>)>,
    /// What should have been met and was not.
    pub missed: Vec<&'static str>,
    pub met: usize,
}

/// What stands over the lines that [`Exhausted`] prints.
pub const HEAD: &str = "configuration            unique    generated depth   seconds  looked at   met";

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, unique, generated, depth, missed, met, .. } = self;
        let all = if self.complete { "all" } else { "not all" };
        write!(f, "{name:<20} {unique:>10} {generated:>12} {depth:>5} {:>9.1}  {all:<10} {met:>2}", self.took.as_secs_f64())?;
        if missed.is_empty() { Ok(()) } else { write!(f, "  MISSED: {}", missed.join(", ")) }
    }
}

/// Looks at every state that can be reached.
pub fn exhaust(settings: Settings, threads: usize) -> Exhausted {
    run(settings, threads, HasDiscoveries::AllFailures)
}

/// Looks until an invariant is broken, or at every state.
pub fn hunt(settings: Settings) -> Exhausted {
    run(settings, 1, HasDiscoveries::AnyFailures)
}

fn run(settings: Settings, threads: usize, until: HasDiscoveries) -> Exhausted {
    let name = settings.name;
    let meets = settings.meets.clone();
    let began = Instant::now();
    let checker = World::new(settings).checker().threads(threads).finish_when(until).spawn_bfs().join();
    let took = began.elapsed();
    let found = checker.discoveries();
    let steps = |path: stateright::Path<_, _>| path.into_actions().iter().map(|action| format!("{action:?}")).collect();
    let missed: Vec<_> = meets.iter().copied().filter(|name| !found.contains_key(name)).collect();
    let met = meets.len() - missed.len();
    let broken: Vec<(_, Vec<String>)> =
        found.into_iter().filter(|(name, _)| !meets.contains(name)).map(|(name, path)| (name, steps(path))).collect();
    Exhausted {
        name,
        unique: checker.unique_state_count(),
        generated: checker.state_count(),
        depth: checker.max_depth(),
        took,
        complete: checker.is_done() && broken.is_empty(),
        broken,
        missed,
        met,
    }
}
