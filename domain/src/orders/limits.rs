//! How large a job may be. Asked first, because everything behind it costs time by the order: over a limit there is one
//! problem and no further look.

use super::{
    given::{Given, Texts},
    problems::Problem,
    request::{JobRequest, MOST_ORDERS, OrderRequest},
};

/// Bounds of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Orders of a job; never more than [`Limits::MOST_ORDERS`].
    pub max_orders: usize,
    /// Dependencies of all orders together.
    pub max_dependencies: usize,
    /// Bytes of one order as it is stored.
    pub max_order_bytes: usize,
    /// Commands of one order.
    pub max_commands: usize,
    /// Orders of a job that are out at a time, where the job does not say.
    pub default_parallel: u32,
    /// The most that a job may say.
    pub max_parallel: u32,
}

impl Limits {
    /// No setting raises the number of orders above this.
    pub const MOST_ORDERS: usize = MOST_ORDERS;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_orders: 10_000,
            max_dependencies: 100_000,
            max_order_bytes: 256 * 1024,
            max_commands: 1_000,
            default_parallel: 10,
            max_parallel: 1_000,
        }
    }
}

/// What is too large, if anything is.
pub(super) fn too_large(job: &JobRequest, limits: &Limits) -> Result<(), Problem> {
    let Given::Value(orders) = &job.orders else { return Ok(()) };
    let problem = |field: String, text: String| Err(Problem { field, text });
    let most = limits.max_orders.min(MOST_ORDERS);
    if orders.count > most {
        return problem("orders".to_owned(), format!("the job has {} orders, more than {most}: split it", orders.count));
    }
    let mut dependencies = 0;
    for (index, order) in orders.kept.iter().enumerate() {
        let Given::Value(order) = order else { continue };
        let commands = count(&order.cmds);
        if commands > limits.max_commands {
            let text = format!("order[{index}]: cmds has {commands} commands, more than {}: put them into a script", limits.max_commands);
            return problem(format!("orders[{index}].cmds"), text);
        }
        let bytes = stored_bytes(order);
        if bytes > limits.max_order_bytes {
            let text = format!("order[{index}]: the order has {bytes} bytes, more than {}: keep files out of it", limits.max_order_bytes);
            return problem(format!("orders[{index}]"), text);
        }
        dependencies += count(&order.dependencies);
        if dependencies > limits.max_dependencies {
            let text = format!("the job has more than {} dependencies in all: split it", limits.max_dependencies);
            return problem(format!("orders[{index}].dependencies"), text);
        }
    }
    Ok(())
}

fn count(list: &Given<Texts>) -> usize {
    items(list).len()
}

fn items(list: &Given<Texts>) -> &[String] {
    match list {
        Given::Value(texts) => &texts.items,
        Given::Absent | Given::Wrong(_) => &[],
    }
}

/// How long an order's texts are once they are JSON again: a control character grows to six.
fn stored_bytes(order: &OrderRequest) -> usize {
    let lists = [&order.cmds, &order.ssm_paths, &order.secret_manager_paths, &order.dependencies];
    let in_lists: usize = lists.into_iter().flat_map(items).map(|text| json_bytes(text)).sum();
    let single = [
        &order.order_name,
        &order.queue_id,
        &order.git_repo,
        &order.git_folder,
        &order.commit_hash,
        &order.s3_location,
        &order.sops_key,
        &order.execution_target,
    ];
    let in_texts: usize = single.into_iter().map(|text| if let Given::Value(text) = text { json_bytes(text) } else { 0 }).sum();
    let in_variables: usize = match &order.env_vars {
        Given::Value(variables) => variables.values.iter().map(|(name, value)| json_bytes(name) + json_bytes(value.expose())).sum(),
        Given::Absent | Given::Wrong(_) => 0,
    };
    in_lists + in_texts + in_variables
}

fn json_bytes(text: &str) -> usize {
    const QUOTES_AND_COMMA: usize = 3;
    let bytes = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(bytes).sum::<usize>() + QUOTES_AND_COMMA
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_as_they_are_stored() {
        for text in ["", "plain", "tab\tnul\0quote\"back\\slash", "ü\u{7f}\u{1b}[2J\r\n\u{8}\u{c}"] {
            assert_eq!(json_bytes(text), serde_json::to_string(text).unwrap().len() + 1, "{text:?}");
        }
    }
}
