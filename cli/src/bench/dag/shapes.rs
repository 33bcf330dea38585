//! Graphs of no-op orders.

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

/// How orders depend on one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// None needs another.
    Wide,
    /// Each needs the one before it.
    Deep,
    /// Each needs up to three earlier ones.
    Random,
    /// The last one needs all others, a thousand at most; the rest stands beside it.
    FanIn,
}

/// Most orders that the last one of [`Shape::FanIn`] needs.
const FAN_IN: usize = 1_000;
/// Orders of a run that are out at a time.
const PARALLEL: usize = 64;

impl Shape {
    pub(crate) const ALL: [Self; 4] = [Self::Wide, Self::Deep, Self::Random, Self::FanIn];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Deep => "deep",
            Self::Random => "random",
            Self::FanIn => "fan-in",
        }
    }

    /// What each of so many orders needs, by number.
    pub(super) fn needs(self, orders: usize) -> Vec<Vec<usize>> {
        // The same graph every time: a generator of our own, because the choice need not be good, only repeatable.
        let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |bound: usize| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (noise >> 33) as usize % bound
        };
        let needs = |no: usize| match self {
            Self::Deep => no.checked_sub(1).into_iter().collect(),
            Self::Random if no > 0 => {
                let mut needs: Vec<usize> = (0..=below(3)).map(|_| below(no)).collect();
                needs.sort_unstable();
                needs.dedup();
                needs
            }
            Self::FanIn if no + 1 == orders => (0..no.min(FAN_IN)).collect(),
            Self::Wide | Self::Random | Self::FanIn => Vec::new(),
        };
        (0..orders).map(needs).collect()
    }

    /// The job of such orders.
    pub(super) fn job(self, orders: usize) -> Value {
        let name = |no: usize| format!("o{no}");
        let order = |(no, needs): (usize, Vec<usize>)| {
            let needs: Vec<String> = needs.into_iter().map(name).collect();
            json!({"order_name": name(no), "cmds": ["true"], "timeout": 600, "dependencies": needs})
        };
        let orders: Vec<Value> = self.needs(orders).into_iter().enumerate().map(order).collect();
        json!({"username": "bench", "job_timeout": 86_400, "max_parallel": PARALLEL, "orders": orders})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_needs_earlier_orders_only() {
        for shape in Shape::ALL {
            let needs = shape.needs(1_500);
            assert_eq!(needs.len(), 1_500);
            assert!(needs.iter().enumerate().all(|(no, needs)| needs.iter().all(|need| *need < no)), "{shape:?}");
            assert_eq!(needs, shape.needs(1_500), "the same every time");
        }
    }

    #[test]
    fn shapes_are_what_they_are_called() {
        let edges = |shape: Shape| shape.needs(1_500).iter().map(Vec::len).collect::<Vec<_>>();
        assert!(edges(Shape::Wide).iter().all(|needs| *needs == 0));
        assert!(edges(Shape::Deep).iter().skip(1).all(|needs| *needs == 1));
        assert!(edges(Shape::Random).iter().skip(1).all(|needs| (1..=3).contains(needs)));
        assert_eq!((edges(Shape::FanIn).last(), edges(Shape::FanIn).iter().sum::<usize>()), (Some(&1_000), 1_000));
    }
}
