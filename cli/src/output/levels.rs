//! The levels of a graph: on the first what needs nobody, on each other what needs somebody on the one before it.
//!
//! A graph may be ten thousand nodes deep, so nothing here recurses.

/// Where each node stands.
#[derive(Debug)]
pub(super) struct Levels {
    /// The nodes of each level, in their order. What waits for itself, which no gateway allows, stands on one level after all others.
    pub(super) levels: Vec<Vec<usize>>,
    /// To each node the one that put it on its level.
    because_of: Vec<Option<usize>>,
}

impl Levels {
    /// From what each node needs. Needs that lead to no node are no needs.
    pub(super) fn of(needs: &[Vec<usize>]) -> Self {
        let count = needs.len();
        let mut needed_by = vec![Vec::new(); count];
        let mut unmet = vec![0_usize; count];
        for (node, of) in needs.iter().enumerate() {
            for need in of.iter().filter(|need| **need < count) {
                needed_by[*need].push(node);
                unmet[node] += 1;
            }
        }
        let mut because_of = vec![None; count];
        let mut level: Vec<usize> = (0..count).filter(|node| unmet[*node] == 0).collect();
        let mut levels = Vec::new();
        while !level.is_empty() {
            let mut next = Vec::new();
            for node in &level {
                for waiter in &needed_by[*node] {
                    unmet[*waiter] -= 1;
                    if unmet[*waiter] == 0 {
                        because_of[*waiter] = Some(*node);
                        next.push(*waiter);
                    }
                }
            }
            next.sort_unstable();
            levels.push(std::mem::replace(&mut level, next));
        }
        let left: Vec<usize> = (0..count).filter(|node| unmet[*node] > 0).collect();
        levels.extend(Some(left).filter(|left| !left.is_empty()));
        Self { levels, because_of }
    }

    /// One of the longest chains, each needing the one before it.
    pub(super) fn longest_chain(&self) -> Vec<usize> {
        let last = self.levels.last().and_then(|level| level.first()).copied();
        let mut chain: Vec<usize> = std::iter::successors(last, |node| self.because_of[*node]).collect();
        chain.reverse();
        chain
    }

    /// How many nodes the widest level has.
    pub(super) fn widest(&self) -> usize {
        self.levels.iter().map(Vec::len).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn levels_and_chains_are_what_one_would_draw() {
        let levels = Levels::of(&[vec![], vec![0], vec![0, 1], vec![], vec![3, 99]]);
        assert_eq!(levels.levels, [vec![0, 3], vec![1, 4], vec![2]]);
        assert_eq!((levels.longest_chain(), levels.widest()), (vec![0, 1, 2], 2));
        let nothing = Levels::of(&[]);
        assert!(nothing.levels.is_empty() && nothing.longest_chain().is_empty());
        assert_eq!(Levels::of(&[vec![1], vec![0], vec![], vec![0]]).levels, [vec![2], vec![0, 1, 3]], "a circle");
    }

    #[test]
    fn depth_is_no_matter() {
        let chain: Vec<Vec<usize>> = (0..100_000_usize).map(|node| node.checked_sub(1).into_iter().collect()).collect();
        let levels = Levels::of(&chain);
        assert_eq!((levels.levels.len(), levels.widest(), levels.longest_chain().len()), (100_000, 1, 100_000));
    }

    proptest! {
        #[test]
        fn a_node_stands_right_below_what_it_needs(edges in prop::collection::vec((0_usize..20, 0_usize..20), 0..60)) {
            let mut needs = vec![Vec::new(); 20];
            for (one, other) in edges {
                if one != other {
                    needs[one.max(other)].push(one.min(other));
                }
            }
            let levels = Levels::of(&needs);
            let mut at = [usize::MAX; 20];
            for (level, nodes) in levels.levels.iter().enumerate() {
                for node in nodes {
                    prop_assert_eq!(std::mem::replace(&mut at[*node], level), usize::MAX, "it stands once");
                }
            }
            for (node, of) in needs.iter().enumerate() {
                prop_assert_eq!(at[node], of.iter().map(|need| at[*need] + 1).max().unwrap_or(0));
            }
            let chain = levels.longest_chain();
            prop_assert_eq!(chain.len(), levels.levels.len());
            prop_assert!(chain.windows(2).all(|pair| needs[pair[1]].contains(&pair[0])));
        }
    }
}
