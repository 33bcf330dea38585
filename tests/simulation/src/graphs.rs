//! Runs of orders to be submitted: chains, diamonds, fans, and graphs without a shape; some orders need not succeed, some
//! runs may have little out at a time or have little time.

use crate::core::Core;
use proto::{
    JobNo, PoolName,
    orders::{Graph, OrderNode, OrdersSpec},
};

/// Orders of a run, at most.
const MOST_ORDERS: u32 = 12;
/// Time limits of orders in seconds.
const TIMEOUTS: [u32; 4] = [5, 20, 60, 240];

/// A run of orders as chance has it.
pub(crate) fn spec(core: &Core) -> OrdersSpec {
    let needs = shape(core);
    let orders = (0_u32..).zip(needs).map(|(no, needs)| order(core, no, needs)).collect();
    OrdersSpec {
        trace_id: "0123abcd".to_owned(),
        username: "ada".to_owned(),
        flow_label: "exec".to_owned(),
        pull_request: None,
        search_tag: "tag".to_owned(),
        // No shorter than any order's, as the gateway demands.
        job_timeout_s: if core.chance(150) { 240 } else { 3_600 },
        max_parallel: [1, 2, 3, 64][core.draw(4) as usize],
        priority: core.draw(3) as u8,
        callbacks: Vec::new(),
        page_starts: vec![0],
        graph: Graph(orders),
    }
}

fn order(core: &Core, no: u32, needs: Vec<u32>) -> OrderNode {
    let pool = if core.chance(250) { "gpu".parse().expect("a name") } else { PoolName::default() };
    OrderNode {
        name: format!("order-{no}"),
        needs: needs.into_iter().map(JobNo).collect(),
        optional: core.chance(300),
        timeout_s: TIMEOUTS[core.draw(4) as usize],
        pool,
    }
}

/// What each order needs: an order comes after those that it needs.
fn shape(core: &Core) -> Vec<Vec<u32>> {
    let count = 2 + core.draw(MOST_ORDERS - 1);
    match core.draw(6) {
        0 => (0..count).map(|no| no.checked_sub(1).into_iter().collect()).collect(),
        1 => vec![vec![], vec![0], vec![0], vec![1, 2]],
        2 => (0..count).map(|no| if no == 0 { vec![] } else { vec![0] }).collect(),
        3 => (0..count).map(|no| if no + 1 == count { (0..no).collect() } else { vec![] }).collect(),
        4 => (0..count).map(|_| vec![]).collect(),
        _ => (0..count).map(|no| some_of(core, no)).collect(),
    }
}

/// Up to three of those before it.
fn some_of(core: &Core, no: u32) -> Vec<u32> {
    let wanted = core.draw(4);
    let mut chosen: Vec<u32> = (0..wanted.min(no)).map(|_| core.draw(no)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}
