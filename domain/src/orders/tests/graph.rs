//! Ids and who waits for whom.

use super::*;
use std::fmt::Write as _;

fn graph(orders: &[(&str, &str, &[&str])]) -> Value {
    let node =
        |(name, id, needs): &(&str, &str, &[&str])| with(order(), &json!({"order_name": name, "queue_id": id, "dependencies": needs}));
    job(&Value::Array(orders.iter().map(node).collect()))
}

#[test]
fn what_waits_for_itself_is_told_with_the_ids_in_between() {
    for (orders, expected) in [
        (graph(&[("A", "", &["B"]), ("B", "", &["A"])]), vec!["cyclic dependency involving A -> B -> A"]),
        (graph(&[("x", "A", &["y"]), ("y", "B", &["A"])]), vec!["cyclic dependency involving A -> B -> A"]),
        (graph(&[("", "", &["0002"]), ("", "", &["order-0001"])]), vec!["cyclic dependency involving 0001 -> 0002 -> 0001"]),
        (
            graph(&[("A", "", &["B"]), ("B", "", &["A"]), ("free", "", &[]), ("C", "", &["D", "A"]), ("D", "", &["E"]), ("E", "", &["C"])]),
            vec!["cyclic dependency involving A -> B -> A", "cyclic dependency involving C -> D -> E -> C"],
        ),
        (graph(&[("A", "q", &["q"])]), vec!["A: cyclic dependency involving q -> q: the order waits for itself"]),
    ] {
        assert_eq!(texts(&orders), expected, "{orders}");
    }
}

#[test]
fn ids_are_unique_over_names_and_queue_ids() {
    for (orders, expected) in [
        (graph(&[("a", "1", &[]), ("b", "1", &[])]), "b: queue_id '1' belongs to order[0] already: names and queue ids must be unique"),
        (graph(&[("a", "b", &[]), ("b", "x", &[])]), "b: order_name 'b' belongs to order[0] already: names and queue ids must be unique"),
        (graph(&[("0002", "", &[]), ("b", "", &[])]), "b: queue_id '0002' belongs to order[0] already: names and queue ids must be unique"),
    ] {
        assert_eq!(texts(&orders), [expected], "{orders}");
    }
    assert!(validate(&graph(&[("a", "a", &[]), ("b", "b", &["a"])])).is_ok(), "an order may be called the same twice");
}

#[test]
fn ids_are_plain_words() {
    for name in ["vpc", "a.b/c-d_e", "0001", "_x", &"x".repeat(128)] {
        assert!(validate(&graph(&[(name, "", &[])])).is_ok(), "{name}");
    }
    for name in ["a:b", "*", "a>", "a b", "a\nb", "a\0", "ü", "-x", ".x", "/x", &"x".repeat(129)] {
        let told = texts(&graph(&[(name, "", &[]), ("b", "", &[name])]));
        assert_eq!(told.len(), 1, "{told:?}: whoever waits for it is not told that it is unknown");
        assert!(told[0].starts_with("order[0]: order_name '") && !told[0].contains(['\n', '\0']), "{told:?}");
    }
    assert_eq!(texts(&graph(&[("_job", "", &[])])), ["order[0]: order_name '_job' is reserved for the job itself"]);
}

#[test]
fn a_chain_of_ten_thousand_is_no_deeper_than_any_other() {
    let mut orders: Vec<Value> = (1..=10_000_u32)
        .map(|n| json!({"cmds": ["true"], "timeout": 1, "dependencies": if n == 1 { vec![] } else { vec![format!("{:04}", n - 1)] }}))
        .collect();
    let valid = validate(&job(&json!(orders))).unwrap();
    assert_eq!((valid.bundles.len(), &valid.spec.graph.0[9_999].needs), (10_000, &vec![JobNo(9_998)]));
    orders[0]["dependencies"] = json!(["10000"]);
    let told = texts(&job(&json!(orders)));
    let mut expected = "cyclic dependency involving 0001 -> 10000".to_owned();
    for n in (9953..10_000).rev().chain([9_952]) {
        write!(expected, " -> {n}").unwrap();
    }
    assert_eq!(told, [expected + " -> (9950 more) -> 0001"]);
}
