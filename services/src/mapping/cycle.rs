//! Finds services that wait for themselves. A chain may be a thousand long, so nothing here recurses.

use proto::sync::ServiceId;
use std::collections::BTreeMap;

/// Names of a cycle that are told.
const MOST_TOLD: usize = 20;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Done,
}

/// One cycle for each service at which a search comes back on its way, such as `[a, b]` for a -> b -> a. Empty: there is none.
pub(super) fn cycles<'a>(after: &BTreeMap<&'a ServiceId, &'a [ServiceId]>) -> Vec<Vec<&'a ServiceId>> {
    let mut states: BTreeMap<&ServiceId, State> = BTreeMap::new();
    let mut found = Vec::new();
    for start in after.keys().copied() {
        if states.contains_key(start) {
            continue;
        }
        states.insert(start, State::Open);
        // Each frame: a service, and how many of those before it were looked at.
        let mut way: Vec<(&ServiceId, usize)> = vec![(start, 0)];
        while let Some((service, looked)) = way.last_mut() {
            let Some(next) = after.get(*service).and_then(|before| before.get(*looked)) else {
                states.insert(*service, State::Done);
                way.pop();
                continue;
            };
            *looked += 1;
            match states.get(next) {
                None => {
                    states.insert(next, State::Open);
                    way.push((next, 0));
                }
                Some(State::Open) => {
                    found.push(way.iter().map(|(service, _)| *service).skip_while(|service| *service != next).collect());
                }
                Some(State::Done) => {}
            }
        }
    }
    found
}

/// The cycle for people: `a -> b -> a`.
pub(super) fn told(cycle: &[&ServiceId]) -> String {
    let mut names: Vec<String> = cycle.iter().take(MOST_TOLD).map(ToString::to_string).collect();
    if cycle.len() > MOST_TOLD {
        names.push(format!("({} more)", cycle.len() - MOST_TOLD));
    }
    names.extend(cycle.first().map(ToString::to_string));
    names.join(" -> ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: usize) -> ServiceId {
        format!("p/s{number:06}").parse().unwrap()
    }

    fn found(edges: &[Vec<usize>]) -> Vec<Vec<String>> {
        let graph: Vec<(ServiceId, Vec<ServiceId>)> =
            edges.iter().enumerate().map(|(from, to)| (id(from), to.iter().map(|to| id(*to)).collect())).collect();
        let after = graph.iter().map(|(service, after)| (service, after.as_slice())).collect();
        cycles(&after).into_iter().map(|cycle| cycle.into_iter().map(ToString::to_string).collect()).collect()
    }

    #[test]
    fn depth_is_no_matter_and_long_cycles_are_cut() {
        let mut chain: Vec<Vec<usize>> = (0..50_000).map(|number| vec![number + 1]).collect();
        assert!(found(&chain).is_empty());
        chain.push(vec![0]);
        assert_eq!(found(&chain).iter().map(Vec::len).collect::<Vec<_>>(), [50_001]);
        let ids: Vec<ServiceId> = (0..30).map(id).collect();
        let text = told(&ids.iter().collect::<Vec<_>>());
        assert!(text.ends_with("p/s000019 -> (10 more) -> p/s000000"), "{text}");
        assert_eq!(found(&[vec![0]]), [["p/s000000"]], "itself");
    }

    proptest! {
        #[test]
        fn what_is_found_is_a_cycle_and_none_is_missed(edges in prop::collection::vec((0_usize..8, 0_usize..8), 0..20)) {
            let mut graph = vec![Vec::new(); 8];
            for (from, to) in &edges {
                graph[*from].push(*to);
            }
            let found = found(&graph);
            for cycle in &found {
                for (at, name) in cycle.iter().enumerate() {
                    let number = |name: &str| name[3..].parse::<usize>().unwrap();
                    prop_assert!(graph[number(name)].contains(&number(&cycle[(at + 1) % cycle.len()])));
                }
            }
            // Taking away whoever waits for nobody, again and again, leaves nothing exactly if there is no cycle.
            let mut left: Vec<usize> = (0..8).collect();
            while let Some(at) = left.iter().position(|one| graph[*one].iter().all(|to| !left.contains(to))) {
                left.remove(at);
            }
            prop_assert_eq!(found.is_empty(), left.is_empty());
        }
    }
}
