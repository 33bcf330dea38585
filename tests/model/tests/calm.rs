//! Small enough for an unoptimised build: nothing goes wrong, and every way leads to the end.

use model::{check, configurations::hunt, world::World};
use stateright::Model as _;
use std::collections::{HashMap, VecDeque};

#[test]
fn without_faults_both_runs_succeed_and_nothing_is_left() {
    let done = check::exhaust(hunt::two_runs(), 1);
    assert!(done.complete, "{:?}", done.broken);
}

/// More than that no state is a dead end: no state leads only in circles. Searched backwards from the ends.
#[test]
fn without_faults_the_end_can_be_reached_from_every_state() {
    let world = World::new(hunt::two_runs());
    let mut number = HashMap::new();
    let mut before: Vec<Vec<usize>> = Vec::new();
    let mut ends = Vec::new();
    let mut pending: VecDeque<_> = world.init_states().into();
    for state in &pending {
        number.insert(state.clone(), before.len());
        before.push(Vec::new());
    }
    while let Some(state) = pending.pop_front() {
        let from = number[&state];
        if world.is_done(&state) {
            ends.push(from);
        }
        for next in world.next_states(&state) {
            let to = *number.entry(next.clone()).or_insert_with(|| {
                before.push(Vec::new());
                pending.push_back(next);
                before.len() - 1
            });
            before[to].push(from);
        }
    }
    let mut reaches = vec![false; before.len()];
    while let Some(at) = ends.pop() {
        if !std::mem::replace(&mut reaches[at], true) {
            ends.extend(&before[at]);
        }
    }
    assert!(reaches.iter().all(|reaches| *reaches), "from {} states", reaches.iter().filter(|reaches| !**reaches).count());
}
