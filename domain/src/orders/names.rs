//! What orders are called, and who waits for whom: names and queue ids are one set of ids, each of them belongs to one
//! order, and nobody waits for itself.

use super::{
    cycles::cycles,
    given::Given,
    problems::{Problems, Report, shown},
    request::OrderRequest,
};
use proto::{JobNo, orders::order_num};
use std::collections::BTreeMap;

/// What the engine calls its own events.
const RESERVED: &str = "_job";
const MAX_NAME: usize = 128;
/// Ids of a cycle that are told.
const MOST_IN_CYCLE: usize = 50;

/// What one order is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) order_name: String,
    queue_id: String,
    /// For its problems.
    pub(super) label: String,
    /// By which others most likely know it.
    known_as: String,
    /// Ids that are not valid, so that whoever waits for one is not told that it is unknown.
    invalid: Vec<String>,
}

/// Checks and completes an order's names.
pub(super) fn names(order: &OrderRequest, index: usize, problems: &mut Problems) -> Names {
    let number = order_num(JobNo(index as u32));
    let own_name = present(&order.order_name).filter(|name| is_id(name));
    let label = own_name.map_or_else(|| format!("order[{index}]"), str::to_owned);
    let mut invalid = Vec::new();
    let mut report = problems.of_order(index, &label);
    checked("order_name", &order.order_name, &mut invalid, &mut report);
    checked("queue_id", &order.queue_id, &mut invalid, &mut report);
    let own_id = present(&order.queue_id).filter(|id| is_id(id));
    Names {
        order_name: own_name.map_or_else(|| format!("order-{number}"), str::to_owned),
        queue_id: own_id.unwrap_or(&number).to_owned(),
        known_as: own_id.or(own_name).unwrap_or(&number).to_owned(),
        label,
        invalid,
    }
}

fn present(given: &Given<String>) -> Option<&str> {
    match given {
        Given::Value(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
        Given::Absent | Given::Wrong(_) => None,
    }
}

fn checked(field: &str, given: &Given<String>, invalid: &mut Vec<String>, report: &mut Report<'_>) {
    let Ok(Some(text)) = report.text(field, given) else { return };
    if text == RESERVED {
        report.add(field, format!("{field} '{RESERVED}' is reserved for the job itself"));
    } else if !is_id(text) {
        let rule = "must be 1 to 128 of letters, digits and . _ / -, starting with a letter, a digit or _";
        report.add(field, format!("{field} '{}' {rule}", shown(text)));
    } else {
        return;
    }
    invalid.push(text.to_owned());
}

/// A name becomes part of keys, of lines in comments and of addresses.
fn is_id(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text != RESERVED
        && !text.starts_with(['.', '/', '-'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b'-'))
}

/// What each order needs, by number and without repeats, or what is wrong with it.
pub(super) fn needs(orders: &[Given<OrderRequest>], names: &[Names], problems: &mut Problems) -> Vec<Vec<usize>> {
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unique = true;
    for (index, of) in names.iter().enumerate() {
        for (field, id) in [("order_name", &of.order_name), ("queue_id", &of.queue_id)] {
            let first = *ids.entry(id).or_insert(index);
            if first != index {
                unique = false;
                let message = format!("{field} '{id}' belongs to order[{first}] already: names and queue ids must be unique");
                problems.of_order(index, &of.label).add(field, message);
            }
        }
    }
    for (index, of) in names.iter().enumerate() {
        for id in &of.invalid {
            ids.entry(id).or_insert(index);
        }
    }
    let mut all = Vec::with_capacity(orders.len());
    for (index, (order, of)) in orders.iter().zip(names).enumerate() {
        let mut report = problems.of_order(index, &of.label);
        let mut needs = match order {
            Given::Value(order) => needs_of(order, index, &ids, &mut report),
            Given::Absent | Given::Wrong(_) => Vec::new(),
        };
        needs.sort_unstable();
        needs.dedup();
        all.push(needs);
    }
    // With an id that belongs to two orders nobody knows which of them was meant.
    if unique {
        tell_cycles(&all, names, problems);
    }
    all
}

fn needs_of(order: &OrderRequest, index: usize, ids: &BTreeMap<&str, usize>, report: &mut Report<'_>) -> Vec<usize> {
    let mut needs = Vec::new();
    for id in report.texts("dependencies", &order.dependencies).unwrap_or_default() {
        match ids.get(id.as_str()) {
            Some(need) if *need == index => {
                report.add("dependencies", format!("cyclic dependency involving {id} -> {id}: the order waits for itself", id = shown(id)));
            }
            Some(need) => needs.push(*need),
            None => {
                report.add("dependencies", format!("unknown dependency '{}': no order has this queue_id or order_name", shown(id)));
            }
        }
    }
    needs
}

fn tell_cycles(needs: &[Vec<usize>], names: &[Names], problems: &mut Problems) {
    for cycle in cycles(needs) {
        let mut told: Vec<&str> = cycle.iter().take(MOST_IN_CYCLE).map(|order| names[*order].known_as.as_str()).collect();
        let more = cycle.len().saturating_sub(MOST_IN_CYCLE);
        let left_out = format!("({more} more)");
        if more > 0 {
            told.push(&left_out);
        }
        told.push(&names[cycle[0]].known_as);
        problems.add("orders", format!("cyclic dependency involving {}", told.join(" -> ")));
    }
}
