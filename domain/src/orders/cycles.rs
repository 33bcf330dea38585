//! Finds what waits for itself. A graph may be ten thousand orders deep, so nothing here recurses.

use std::collections::VecDeque;

/// One cycle of each group of orders that wait for one another, in which the first order of the group is: `[a, b]` where
/// a needs b and b needs a. In the order of their first members; no order is in two of them.
pub(super) fn cycles(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let group = groups(needs);
    let mut size = vec![0_usize; needs.len()];
    for of in &group {
        size[*of] += 1;
    }
    let mut told = vec![false; needs.len()];
    // Groups have nothing in common, so all searches share one note of where they came from.
    let mut came_from = vec![None; needs.len()];
    let mut found = Vec::new();
    for (order, of) in group.iter().enumerate() {
        if size[*of] > 1 && !told[*of] {
            told[*of] = true;
            found.push(shortest(needs, &group, order, &mut came_from));
        }
    }
    found
}

/// To each order its group: two are in the same one when each can be reached from the other (Tarjan's algorithm).
fn groups(needs: &[Vec<usize>]) -> Vec<usize> {
    const UNSEEN: usize = usize::MAX;
    let count = needs.len();
    let (mut seen_at, mut low, mut group) = (vec![UNSEEN; count], vec![0; count], vec![UNSEEN; count]);
    let (mut clock, mut groups, mut open) = (0, 0, Vec::new());
    for start in 0..count {
        if seen_at[start] != UNSEEN {
            continue;
        }
        // Each frame: an order, and how many of its needs were looked at.
        let mut frames = vec![(start, 0)];
        while let Some((order, looked)) = frames.pop() {
            if looked == 0 {
                (seen_at[order], low[order]) = (clock, clock);
                clock += 1;
                open.push(order);
            } else {
                low[order] = low[order].min(low[needs[order][looked - 1]]);
            }
            let next = (looked..needs[order].len()).find(|at| {
                let need = needs[order][*at];
                if seen_at[need] != UNSEEN && group[need] == UNSEEN {
                    low[order] = low[order].min(seen_at[need]);
                }
                seen_at[need] == UNSEEN
            });
            if let Some(at) = next {
                frames.push((order, at + 1));
                frames.push((needs[order][at], 0));
            } else if low[order] == seen_at[order] {
                while let Some(member) = open.pop() {
                    group[member] = groups;
                    if member == order {
                        break;
                    }
                }
                groups += 1;
            }
        }
    }
    group
}

/// The shortest way from an order back to itself within its group; there is one.
fn shortest(needs: &[Vec<usize>], group: &[usize], start: usize, came_from: &mut [Option<usize>]) -> Vec<usize> {
    let mut queue = VecDeque::from([start]);
    while let Some(order) = queue.pop_front() {
        for need in &needs[order] {
            if *need == start {
                let mut way = vec![order];
                while let Some(before) = way.last().and_then(|last| came_from[*last]) {
                    way.push(before);
                }
                way.reverse();
                return way;
            }
            if group[*need] == group[start] && came_from[*need].is_none() {
                came_from[*need] = Some(order);
                queue.push_back(*need);
            }
        }
    }
    vec![start]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether `to` can be reached from `from` over one step or more.
    fn reaches(needs: &[Vec<usize>], from: usize, to: usize) -> bool {
        let mut seen = vec![false; needs.len()];
        let mut open = needs[from].clone();
        while let Some(order) = open.pop() {
            if !std::mem::replace(&mut seen[order], true) {
                open.extend(&needs[order]);
            }
        }
        seen[to]
    }

    proptest! {
        #[test]
        fn it_agrees_with_looking_from_everywhere(edges in prop::collection::vec((0_usize..12, 0_usize..12), 0..40)) {
            let mut needs = vec![Vec::new(); 12];
            for (from, to) in edges {
                if from != to {
                    needs[from].push(to);
                }
            }
            let found = cycles(&needs);
            for cycle in &found {
                prop_assert!(cycle.len() > 1);
                for (at, order) in cycle.iter().enumerate() {
                    prop_assert!(needs[*order].contains(&cycle[(at + 1) % cycle.len()]), "{cycle:?} of {needs:?}");
                }
            }
            // One cycle for each group of orders that reach one another, and it begins with the group's first.
            let firsts: Vec<usize> = (0..12)
                .filter(|order| reaches(&needs, *order, *order))
                .filter(|order| !(0..*order).any(|before| reaches(&needs, *order, before) && reaches(&needs, before, *order)))
                .collect();
            prop_assert_eq!(found.iter().map(|cycle| cycle[0]).collect::<Vec<_>>(), firsts);
        }
    }

    #[test]
    fn depth_is_no_matter() {
        let count = 100_000;
        let mut chain: Vec<Vec<usize>> = (0..count).map(|order| if order == 0 { vec![] } else { vec![order - 1] }).collect();
        assert!(cycles(&chain).is_empty());
        chain[0] = vec![count - 1];
        let found = cycles(&chain);
        assert_eq!((found.len(), found[0].len(), found[0][0]), (1, count, 0));
    }

    #[test]
    fn independent_cycles_are_told_apart_and_the_shortest_way_is_told() {
        // 0 -> 1 -> 2 -> 0 with the short cut 1 -> 0; 3 leads into 4 <-> 5; 6 needs nobody.
        let needs = vec![vec![1], vec![2, 0], vec![0], vec![4], vec![5], vec![4], vec![]];
        assert_eq!(cycles(&needs), [vec![0, 1], vec![4, 5]]);
    }
}
