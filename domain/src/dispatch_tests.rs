use super::*;
use crate::run::{Input, Policy, accept, decide};
use proto::{
    ShardNo,
    message::{RunSpec, Trigger},
    orders::{Graph, OrderNode, OrdersSpec},
};

struct Wanted {
    name: &'static str,
    by: &'static str,
    priority: u8,
    orders: u32,
    pool: &'static str,
}

fn wanted(name: &'static str, by: &'static str, orders: u32) -> Wanted {
    Wanted { name, by, priority: 5, orders, pool: "default" }
}

fn run(wanted: &Wanted) -> Run {
    let pool: PoolName = wanted.pool.parse().expect("a name");
    let node = |n| OrderNode { name: format!("o{n}"), needs: Vec::new(), optional: false, timeout_s: 1, pool: pool.clone() };
    let spec = OrdersSpec {
        trace_id: "0123abcd".to_owned(),
        username: wanted.by.to_owned(),
        flow_label: "exec".to_owned(),
        pull_request: None,
        search_tag: "tag".to_owned(),
        job_timeout_s: 3600,
        max_parallel: 10,
        priority: wanted.priority,
        callbacks: Vec::new(),
        page_starts: Vec::new(),
        graph: Graph((0..wanted.orders).map(node).collect()),
    };
    let trigger = Trigger {
        run: RunId::from_repeatable(&[wanted.name], ShardNo(0)),
        accepted_at: Timestamp::UNIX_EPOCH,
        by: wanted.by.to_owned(),
        spec: RunSpec::Orders(spec),
        pool: PoolName::default(),
        has_secrets: false,
        request_digest: None,
        traceparent: None,
    };
    accept(&trigger, Timestamp::UNIX_EPOCH, &Policy::default()).0
}

/// The places granted to each run, in the order of `runs`.
fn granted(dispatcher: &mut Dispatcher, runs: &[Run]) -> Vec<u32> {
    let grants = dispatcher.grants();
    let of = |run: &Run| grants.iter().filter(|grant| grant.run == run.id).map(|grant| grant.places).sum();
    runs.iter().map(of).collect()
}

fn told(limits: Limits, wants: &[Wanted]) -> (Dispatcher, Vec<Run>) {
    let mut dispatcher = Dispatcher::new(limits);
    let runs: Vec<Run> = wants.iter().map(run).collect();
    for run in &runs {
        dispatcher.note(run);
    }
    (dispatcher, runs)
}

/// Every run uses the places that it is granted, and tells so.
fn send_out(dispatcher: &mut Dispatcher, runs: &mut [Run]) {
    for grant in dispatcher.grants() {
        let run = runs.iter_mut().find(|run| run.id == grant.run).expect("one of them");
        let places = vec![(grant.pool, grant.places)];
        decide(run, &Input::Dispatch { places }, Timestamp::UNIX_EPOCH, &Policy::default()).expect("ready orders");
        dispatcher.note(run);
    }
}

const WIDE: Limits = Limits { all: 1000, per_pool: 1000 };

#[test]
fn a_run_gets_what_it_may_have_out_and_no_more() {
    let (mut dispatcher, runs) = told(WIDE, &[wanted("a", "ada", 100)]);
    assert_eq!(granted(&mut dispatcher, &runs), [10]);
    assert_eq!(granted(&mut dispatcher, &runs), [0], "once, until it tells how it stands");
}

#[test]
fn submitters_share_what_there_is() {
    let limits = Limits { all: 12, per_pool: 1000 };
    let (mut dispatcher, runs) = told(limits, &[wanted("a", "ada", 100), wanted("b", "ada", 100), wanted("c", "bob", 100)]);
    let places = granted(&mut dispatcher, &runs);
    assert_eq!((places[0] + places[1], places[2]), (6, 6));
}

#[test]
fn higher_priority_goes_first() {
    let urgent = Wanted { priority: 9, ..wanted("b", "ada", 100) };
    let (mut dispatcher, runs) = told(Limits { all: 12, per_pool: 1000 }, &[wanted("a", "bob", 100), urgent]);
    assert_eq!(granted(&mut dispatcher, &runs), [2, 10]);
}

#[test]
fn a_full_pool_holds_up_no_other() {
    let elsewhere = Wanted { pool: "gpu", ..wanted("b", "ada", 100) };
    let (mut dispatcher, runs) = told(Limits { all: 1000, per_pool: 4 }, &[wanted("a", "ada", 100), elsewhere]);
    assert_eq!(granted(&mut dispatcher, &runs), [4, 4]);
}

#[test]
fn what_is_out_counts_until_the_run_tells_otherwise_or_is_forgotten() {
    let limits = Limits { all: 8, per_pool: 1000 };
    let (mut dispatcher, mut runs) = told(limits, &[wanted("a", "ada", 100), wanted("b", "bob", 100)]);
    send_out(&mut dispatcher, &mut runs);
    assert_eq!(granted(&mut dispatcher, &runs), [0, 0], "all places are taken");
    dispatcher.forget(runs[0].id);
    assert_eq!(granted(&mut dispatcher, &runs), [0, 4]);
    let cancel = Input::Cancel { by: "bob".to_owned(), force: false };
    decide(&mut runs[1], &cancel, Timestamp::UNIX_EPOCH, &Policy::default()).expect("may cancel");
    dispatcher.note(&runs[1]);
    dispatcher.note(&runs[0]);
    assert_eq!(granted(&mut dispatcher, &runs), [4, 0], "what is cancelled wants nothing and holds nothing");
}

#[test]
fn a_run_that_ended_without_telling_gives_its_places_back() {
    let limits = Limits { all: 8, per_pool: 1000 };
    let (mut dispatcher, mut runs) = told(limits, &[wanted("a", "ada", 100), wanted("b", "bob", 100)]);
    send_out(&mut dispatcher, &mut runs);
    assert_eq!((granted(&mut dispatcher, &runs), dispatcher.taken()), (vec![0, 0], 8));
    // Another scheduler brings the first to its end; here nobody hears of it but from the list of what is open.
    dispatcher.keep(&BTreeSet::from([runs[1].id]));
    assert_eq!(dispatcher.taken(), 4);
    assert_eq!(granted(&mut dispatcher, &runs), [0, 4]);
}
