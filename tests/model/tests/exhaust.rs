//! Every state of every configuration that CI looks at.

use model::{check, configurations};
use std::thread;

#[test]
fn every_state_of_every_configuration_keeps_the_invariants() {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    for settings in configurations::all() {
        let done = check::exhaust(settings, threads);
        println!("{done}");
        assert_eq!(done.broken, [], "{}", done.name);
        assert!(done.complete, "{}: not every state was looked at", done.name);
        assert_eq!(done.missed, Vec::<&str>::new(), "{}: never met", done.name);
    }
}
