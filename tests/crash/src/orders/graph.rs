//! The graph that is played, and what its orders do.

use super::points::OrdersScenario;
use serde_json::{Value, json};
use std::{fmt::Write as _, fs, io, path::Path};

/// One order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    pub name: &'static str,
    pub needs: &'static [&'static str],
    /// It need not succeed, and neither need what it waits for.
    pub optional: bool,
    /// Its last command fails.
    pub fails: bool,
}

const fn node(name: &'static str, needs: &'static [&'static str]) -> Node {
    Node { name, needs, optional: false, fails: false }
}

/// The diamond, and what stands on its side.
pub const DIAMOND: &[Node] = &[
    node("base", &[]),
    node("left", &["base"]),
    node("right", &["base"]),
    node("join", &["left", "right"]),
    Node { optional: true, fails: true, ..node("side", &["base"]) },
    Node { optional: true, ..node("tidy", &["side"]) },
];

/// What a run consists of, by the number of each order. Leaves come after the diamond.
pub fn nodes(leaves: usize) -> Vec<Node> {
    DIAMOND.iter().copied().chain(std::iter::repeat_n(node("leaf", &["base"]), leaves)).collect()
}

/// The name of an order, which leaves share but for their number.
pub fn name_of(no: usize, node: &Node) -> String {
    if node.name == "leaf" { format!("leaf-{no}") } else { node.name.to_owned() }
}

/// The job whose orders write into `dir`.
pub fn request(scenario: &OrdersScenario, dir: &Path, trace: &str) -> Value {
    let orders: Vec<Value> = nodes(scenario.leaves)
        .iter()
        .enumerate()
        .map(|(no, node)| {
            let name = name_of(no, node);
            json!({
                "order_name": name, "dependencies": node.needs, "must_succeed": !node.optional, "timeout": scenario.timeout_s,
                "cmds": commands(&name, dir, scenario.hold == Some(node.name), node.fails),
            })
        })
        .collect();
    job(trace, &orders)
}

/// A job of one order, to see that the fleet is well.
pub fn single(dir: &Path, trace: &str) -> Value {
    job(trace, &[json!({"order_name": "alone", "timeout": 60, "cmds": commands("alone", dir, false, false)})])
}

fn job(trace: &str, orders: &[Value]) -> Value {
    json!({"username": "crash", "trace_id": trace, "orders": orders})
}

fn commands(name: &str, dir: &Path, holds: bool, fails: bool) -> Vec<String> {
    let dir = dir.display();
    let mut commands = vec![format!("echo '{name} begin' >> '{dir}/effects'")];
    if holds {
        let mut hold = format!("echo 1 > '{dir}/holding'; n=0; ");
        // Not for ever: one whose runner was killed has nobody to end it.
        let _ = write!(hold, "while [ -e '{dir}/hold' ] && [ $n -lt 900 ]; do sleep 0.1; n=$((n + 1)); done");
        commands.push(hold);
    }
    commands.push(r#"echo '{"event_type": "told", "status": "ok"}' > "$AWS_EXE_SYS_EVENTS_DIR/told.json""#.to_owned());
    commands.push(if fails { "exit 3".to_owned() } else { format!("echo '{name} end' >> '{dir}/effects'") });
    commands
}

/// What the orders wrote: name and `begin` or `end`, in order.
pub fn effects(dir: &Path) -> io::Result<Vec<(String, String)>> {
    let text = match fs::read_to_string(dir.join("effects")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(name, what)| (name.to_owned(), what.to_owned())).collect())
}
