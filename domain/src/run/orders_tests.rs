//! Runs of orders, told to the pure core: the decision table cell by cell, cascades, limits, time.

use super::*;
use jiff::{SignedDuration, Timestamp};
use proto::{
    AttemptNo, JobNo, PoolName, RunId, ShardNo, WorkerId,
    message::{AttemptOutcome, Failure, JobResult, ReportWhat, RunSpec, Trigger},
    orders::{Graph, OrderEvent, OrderNode, OrderResult, OrdersSpec},
    view::RunStatus,
};

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("in range")
}

fn worker() -> WorkerId {
    "w1".parse().expect("a name")
}

/// An order that needs these; `optional` is `must_succeed: false`.
pub(crate) fn order(needs: &[u32], optional: bool) -> OrderNode {
    let needs = needs.iter().map(|no| JobNo(*no)).collect();
    OrderNode { name: String::new(), needs, optional, timeout_s: 100, pool: PoolName::default() }
}

pub(crate) fn trigger(orders: Vec<OrderNode>) -> Trigger {
    let named = (0..).zip(orders).map(|(n, order): (u32, _)| OrderNode { name: format!("order-{n}"), ..order }).collect();
    let spec = OrdersSpec {
        trace_id: "0123abcd".to_owned(),
        username: "ada".to_owned(),
        flow_label: "exec".to_owned(),
        pull_request: None,
        search_tag: "tag".to_owned(),
        job_timeout_s: 3600,
        max_parallel: 64,
        priority: 5,
        callbacks: Vec::new(),
        page_starts: vec![0],
        graph: Graph(named),
    };
    Trigger {
        run: RunId::from_repeatable(&["orders"], ShardNo(0)),
        accepted_at: at(0),
        by: "ada".to_owned(),
        spec: RunSpec::Orders(spec),
        pool: PoolName::default(),
        has_secrets: true,
        request_digest: None,
        traceparent: None,
    }
}

/// What an order ends as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Succeeded,
    Failed,
    TimedOut,
}

struct Story {
    run: Run,
    log: Vec<Entry>,
    now: i64,
}

impl Story {
    fn new(orders: Vec<OrderNode>) -> Self {
        Self::of(&trigger(orders))
    }

    fn of(trigger: &Trigger) -> Self {
        let (run, events) = accept(trigger, at(0), &Policy::default());
        let mut story = Self { run, log: vec![Entry::new(String::new(), at(0), events)], now: 0 };
        story.dispatch();
        story
    }

    fn feed(&mut self, input: &Input) -> Result<(), Refusal> {
        let events = decide(&mut self.run, input, at(self.now), &Policy::default())?;
        self.log.push(Entry::new(String::new(), at(self.now), events));
        assert_eq!(fold(&self.log).as_ref(), Some(&self.run), "the log tells the same story");
        check_tally(&self.run);
        Ok(())
    }

    fn dispatch(&mut self) {
        match self.feed(&Input::Dispatch { places: vec![(PoolName::default(), u32::MAX)] }) {
            Ok(()) | Err(Refusal::NothingDue) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn attempt(&self, no: u32) -> AttemptNo {
        self.run.jobs[no as usize].current().expect("an attempt").no
    }

    fn begin(&mut self, no: u32) {
        let (job, attempt) = (JobNo(no), self.attempt(no));
        self.feed(&Input::Begin { job, attempt, worker: worker(), nonce: "n".to_owned() }).expect("may begin");
    }

    fn go(&mut self, no: u32) {
        let (job, attempt) = (JobNo(no), self.attempt(no));
        let go = Input::StartEffects { job, attempt, worker: worker(), nonce: "n".to_owned(), serial_before: None };
        self.feed(&go).expect("may start");
    }

    fn report(&mut self, no: u32, outcome: AttemptOutcome) -> Result<(), Refusal> {
        let (job, attempt) = (JobNo(no), self.attempt(no));
        self.feed(&Input::Report { job, attempt, worker: worker(), what: ReportWhat::Ended(outcome) })
    }

    fn end(&mut self, no: u32, end: End) {
        let outcome = match end {
            End::Succeeded => AttemptOutcome::Succeeded { result: JobResult::Order(OrderResult { commands: 1 }) },
            End::Failed => AttemptOutcome::Failed { failure: failure() },
            End::TimedOut => AttemptOutcome::Stopped { clean: false, timed_out: true },
        };
        self.report(no, outcome).expect("is heard");
        self.dispatch();
    }

    /// An order from its place to its end.
    fn play(&mut self, no: u32, end: End) {
        self.begin(no);
        self.go(no);
        self.end(no, end);
    }

    fn state(&self, no: u32) -> JobState {
        self.run.jobs[no as usize].state
    }

    fn status(&self) -> RunStatus {
        status(&self.run)
    }
}

fn failure() -> Failure {
    Failure { kind: "exit_code".to_owned(), phase: "run".to_owned(), message: "exit code 1".to_owned(), next_action: String::new() }
}

/// What is counted on the way is what counting afresh gives.
fn check_tally(run: &Run) {
    let orders = run.orders.as_ref().expect("a run of orders");
    let count = |state| run.jobs.iter().filter(|job| job.state == state).count() as u32;
    let counts = &orders.counts;
    assert_eq!(counts.blocked, count(JobState::Blocked));
    assert_eq!(counts.queued, count(JobState::Queued));
    assert_eq!(counts.running, count(JobState::Running));
    assert_eq!(counts.unknown, count(JobState::Unknown));
    assert_eq!(counts.succeeded, count(JobState::Succeeded));
    assert_eq!(counts.failed, count(JobState::Failed) + count(JobState::Skipped));
    assert_eq!(counts.timed_out, count(JobState::TimedOut));
    assert_eq!(orders.out_count(), counts.queued + counts.running + counts.unknown);
    let ready = run.jobs.iter().filter(|job| job.state == JobState::Blocked && job.unmet == 0).count() as u32;
    assert_eq!(orders.ready_count(), ready);
    assert_eq!(run.open_jobs, run.jobs.iter().filter(|job| !job.state.is_over()).count() as u32);
}

/// The decision table of the replaced engine (docs/reference/orders.md): two needs, each running, succeeded, failed or timed
/// out, for a dependent that must succeed and for one that need not. `Q` goes out, `W` waits, `F` fails at once.
#[test]
fn the_decision_table_cell_by_cell() {
    let ends = [None, Some(End::Succeeded), Some(End::Failed), Some(End::TimedOut)];
    #[rustfmt::skip]
    let must_succeed = [
        // running, succeeded, failed, timed out
        ['W', 'W', 'F', 'F'],
        ['W', 'Q', 'F', 'F'],
        ['F', 'F', 'F', 'F'],
        ['F', 'F', 'F', 'F'],
    ];
    #[rustfmt::skip]
    let optional = [
        ['W', 'W', 'W', 'W'],
        ['W', 'Q', 'Q', 'Q'],
        ['W', 'Q', 'Q', 'Q'],
        ['W', 'Q', 'Q', 'Q'],
    ];
    for (is_optional, table) in [(false, must_succeed), (true, optional)] {
        for (row, first) in ends.into_iter().enumerate() {
            for (column, second) in ends.into_iter().enumerate() {
                let mut story = Story::new(vec![order(&[], false), order(&[], false), order(&[0, 1], is_optional)]);
                for no in [0, 1] {
                    story.begin(no);
                    story.go(no);
                }
                for (no, end) in [(0, first), (1, second)] {
                    if let Some(end) = end {
                        story.end(no, end);
                    }
                }
                let expected = match table[row][column] {
                    'Q' => JobState::Queued,
                    'F' => JobState::Skipped,
                    _ => JobState::Blocked,
                };
                assert_eq!(story.state(2), expected, "optional: {is_optional}, needs: {first:?} and {second:?}");
            }
        }
    }
}

#[test]
fn without_needs_an_order_goes_out_at_once() {
    for optional in [false, true] {
        assert_eq!(Story::new(vec![order(&[], optional)]).state(0), JobState::Queued);
    }
}

#[test]
fn a_failure_closes_a_chain_of_ten_thousand_in_one_decision_that_fits_into_a_message() {
    let chain = (0..10_000_u32).map(|n| order(&n.checked_sub(1).into_iter().collect::<Vec<_>>(), false)).collect();
    let (mut run, events) = accept(&trigger(chain), at(0), &Policy::default());
    let bytes = |events: &[Event]| serde_json::to_vec(&Entry::new(String::new(), at(0), events.to_vec())).expect("JSON").len();
    assert!(bytes(&events) < 512 * 1024, "{}", bytes(&events));
    let mut decide = |input: Input| super::decide(&mut run, &input, at(1), &Policy::default()).expect("decided");
    decide(Input::Dispatch { places: vec![(PoolName::default(), 9)] });
    let (job, attempt, nonce) = (JobNo(0), AttemptNo::FIRST, "n".to_owned());
    decide(Input::Begin { job, attempt, worker: worker(), nonce: nonce.clone() });
    decide(Input::StartEffects { job, attempt, worker: worker(), nonce, serial_before: None });
    let what = ReportWhat::Ended(AttemptOutcome::Failed { failure: failure() });
    let events = decide(Input::Report { job, attempt, worker: worker(), what });
    assert!(bytes(&events) < 256 * 1024, "{}", bytes(&events));
    assert_eq!((status(&run), run.orders.as_ref().map(|orders| orders.counts.failed)), (RunStatus::Failed, Some(10_000)));
}

#[test]
fn an_order_that_need_not_succeed_stops_nobody_but_those_who_need_its_success() {
    // lint (optional) fails; deploy must succeed and needs it; notify is optional and needs both.
    let mut story = Story::new(vec![order(&[], true), order(&[0], false), order(&[0, 1], true)]);
    story.play(0, End::Failed);
    assert_eq!((story.state(1), story.state(2)), (JobState::Skipped, JobState::Queued), "the flag asked is the dependent's");
    story.play(2, End::Succeeded);
    assert_eq!(story.status(), RunStatus::Failed, "deploy must succeed, and did not");
}

#[test]
fn a_run_ends_by_what_must_succeed_and_a_time_out_weighs_more() {
    use End::{Failed, Succeeded, TimedOut};
    for (ends, expected) in [
        ([(false, Succeeded), (false, Succeeded)], RunStatus::Success),
        ([(false, Succeeded), (true, Failed)], RunStatus::Success),
        ([(false, Succeeded), (true, TimedOut)], RunStatus::Success),
        ([(false, Failed), (false, Succeeded)], RunStatus::Failed),
        ([(false, Failed), (false, TimedOut)], RunStatus::TimedOut),
        ([(true, TimedOut), (false, Failed)], RunStatus::Failed),
    ] {
        let mut story = Story::new(ends.iter().map(|(optional, _)| order(&[], *optional)).collect());
        for (no, (_, end)) in (0..).zip(ends) {
            story.play(no, end);
        }
        assert_eq!(story.status(), expected, "{ends:?}");
    }
}

#[test]
fn a_diamond_waits_for_both_sides_and_the_others_go_on_after_a_failure() {
    let mut story = Story::new(vec![order(&[], false), order(&[0], false), order(&[0], false), order(&[1, 2], false), order(&[2], false)]);
    story.play(0, End::Succeeded);
    story.play(1, End::Failed);
    assert_eq!((story.state(3), story.state(2)), (JobState::Skipped, JobState::Queued));
    story.play(2, End::Succeeded);
    story.play(4, End::Succeeded);
    assert_eq!(story.status(), RunStatus::Failed);
}

#[test]
fn a_run_keeps_to_what_it_may_have_out() {
    let mut trigger = trigger((0..100).map(|_| order(&[], false)).collect());
    if let RunSpec::Orders(spec) = &mut trigger.spec {
        spec.max_parallel = 7;
    }
    let mut story = Story::of(&trigger);
    assert_eq!(story.run.orders.as_ref().map(Orders::out_count), Some(7));
    story.play(3, End::Succeeded);
    assert_eq!(story.state(7), JobState::Queued, "the next in line, when one is over");
    assert_eq!(story.run.orders.as_ref().map(Orders::out_count), Some(7));
}

#[test]
fn a_lost_order_is_tried_again_before_its_commands_and_never_after() {
    let mut story = Story::new(vec![order(&[], false), order(&[0], false)]);
    story.begin(0);
    let lost = |attempt| Input::WorkerLost { job: JobNo(0), attempt, seen: "no heartbeat".to_owned() };
    story.feed(&lost(AttemptNo(1))).expect("noted");
    assert_eq!((story.state(0), story.attempt(0)), (JobState::Queued, AttemptNo(2)));
    story.begin(0);
    story.go(0);
    story.feed(&lost(AttemptNo(2))).expect("noted");
    assert_eq!((story.state(0), story.status()), (JobState::Unknown, RunStatus::Running), "the other order is open");
    // A genuine late result settles it, as long as its time is not over.
    story.end(0, End::Succeeded);
    assert_eq!(story.state(1), JobState::Queued);
}

#[test]
fn the_watchdog_ends_what_is_not_heard_of_and_a_late_result_changes_nothing() {
    for lost in [false, true] {
        let mut story = Story::new(vec![order(&[], false), order(&[0], true)]);
        story.begin(0);
        story.go(0);
        if lost {
            story.feed(&Input::WorkerLost { job: JobNo(0), attempt: AttemptNo(1), seen: String::new() }).expect("noted");
        }
        story.now = 160;
        assert_eq!(story.feed(&Input::Tick), Err(Refusal::NothingDue), "its time and a minute");
        story.now = 161;
        story.feed(&Input::Tick).expect("due");
        assert_eq!(story.state(0), JobState::TimedOut);
        let kind = story.run.jobs[0].order.as_ref().and_then(|order| order.failure.as_ref()).map(|failure| failure.kind.clone());
        assert_eq!(kind.as_deref(), Some("watchdog"));
        let late = AttemptOutcome::Succeeded { result: JobResult::Order(OrderResult { commands: 1 }) };
        assert_eq!(story.report(0, late), Err(Refusal::AttemptOver));
        story.dispatch();
        story.play(1, End::Succeeded);
        assert_eq!(story.status(), RunStatus::TimedOut);
    }
}

#[test]
fn the_time_of_the_whole_run_stops_what_runs_and_starts_nothing_more() {
    let mut story = Story::new(vec![order(&[], false), order(&[], false), order(&[0], false), order(&[1], true)]);
    story.now = 3590;
    story.begin(0);
    story.go(0);
    story.now = 3600;
    story.feed(&Input::Tick).expect("due");
    assert_eq!([0, 1, 2, 3].map(|no| story.state(no)), [JobState::Running, JobState::TimedOut, JobState::TimedOut, JobState::TimedOut]);
    let stops = outstanding(&story.run).into_iter().filter(|effect| matches!(effect, Effect::Stop { .. })).count();
    assert_eq!(stops, 1);
    assert_eq!(story.feed(&Input::Tick), Err(Refusal::NothingDue), "once");
    story.report(0, AttemptOutcome::Stopped { clean: true, timed_out: false }).expect("is heard");
    assert_eq!((story.state(0), story.status()), (JobState::TimedOut, RunStatus::TimedOut));
    let page = jobs_page(&story.run, 0, 9).expect("a page");
    assert!(page.jobs.iter().all(|job| job.failure.as_ref().is_some_and(|failure| failure.kind == "job_timeout")), "{page:?}");
}

/// The look at what is due comes now and then; what asks in between is not let through.
#[test]
fn nothing_starts_after_the_time_of_the_run_even_before_anybody_has_looked() {
    let mut story = Story::new(vec![order(&[], false), order(&[], false), order(&[], false), order(&[0], true)]);
    for no in [0, 1] {
        story.begin(no);
    }
    story.go(0);
    story.now = 3600;
    let ask = |job| Input::Begin { job: JobNo(job), attempt: AttemptNo(1), worker: worker(), nonce: "n".to_owned() };
    assert_eq!(story.feed(&ask(2)), Err(Refusal::Cancelling), "it was sent out in time");
    let go = Input::StartEffects { job: JobNo(1), attempt: AttemptNo(1), worker: worker(), nonce: "n".to_owned(), serial_before: None };
    assert_eq!(story.feed(&go), Err(Refusal::Cancelling), "it has not changed anything yet");
    story.end(0, End::Succeeded);
    assert_eq!([0, 2, 3].map(|no| story.state(no)), [JobState::Succeeded, JobState::TimedOut, JobState::TimedOut]);
}

#[test]
fn after_a_cancel_nothing_new_starts_and_what_runs_is_stopped() {
    let mut story = Story::new(vec![order(&[], false), order(&[], false), order(&[0], true)]);
    story.begin(0);
    story.go(0);
    story.feed(&Input::Cancel { by: "ada".to_owned(), force: false }).expect("may cancel");
    assert_eq!([0, 1, 2].map(|no| story.state(no)), [JobState::Running, JobState::Cancelled, JobState::Cancelled]);
    // It was done before the stop reached it: that is what counts, and nothing follows from it.
    story.end(0, End::Succeeded);
    assert_eq!(story.status(), RunStatus::Cancelled);
}

#[test]
fn what_an_order_tells_stands_in_the_log_and_is_bounded() {
    let mut story = Story::new(vec![order(&[], false)]);
    story.begin(0);
    let event = OrderEvent { event_type: "tf_plan".to_owned(), status: "ok".to_owned(), data: serde_json::json!({ "adds": 3 }) };
    let told = |events| Input::Report { job: JobNo(0), attempt: AttemptNo(1), worker: worker(), what: ReportWhat::OrderEvents { events } };
    assert_eq!(story.feed(&told(Vec::new())), Err(Refusal::NothingDue));
    story.feed(&told(vec![event.clone(); OrderEvent::MAX_PER_ORDER + 1])).expect("is kept");
    let kept = story.log.last().map(|entry| entry.events.clone());
    assert!(matches!(kept.as_deref(), Some([Event::OrderTold { events, .. }]) if events.len() == OrderEvent::MAX_PER_ORDER));
}

#[test]
fn a_success_without_the_word_to_start_is_not_believed() {
    let mut story = Story::new(vec![order(&[], false)]);
    story.begin(0);
    story.end(0, End::Succeeded);
    assert_eq!(story.status(), RunStatus::Failed);
}

#[test]
fn a_job_that_waits_too_long_for_a_worker_has_timed_out() {
    let policy = Policy { queue_deadline: Some(SignedDuration::from_secs(5)), ..Policy::default() };
    let mut story = Story::new(vec![order(&[], false)]);
    decide(&mut story.run, &Input::Tick, at(6), &policy).expect("due");
    assert_eq!(story.status(), RunStatus::TimedOut);
}

#[test]
fn a_view_shows_counts_and_pages_instead_of_every_order() {
    let mut story = Story::new((0..70).map(|n| order(if n < 65 { &[] } else { &[0] }, n == 1)).collect());
    story.play(0, End::Failed);
    let view = view(&story.run, 7);
    let counts = view.orders.expect("counts");
    assert!(view.jobs.is_empty() && matches!(&view.spec, RunSpec::Orders(spec) if spec.graph.0.is_empty()));
    assert_eq!((counts.total, counts.failed, counts.queued, counts.ready, counts.blocked), (70, 6, 64, 0, 0));
    let pages: Vec<_> = (0..4).map(|page| jobs_page(&story.run, page, 7).expect("a run of orders").jobs.len()).collect();
    assert_eq!(pages, [32, 32, 6, 0]);
    let last = &jobs_page(&story.run, 2, 7).expect("a page").jobs[5];
    assert_eq!((last.n, last.status.as_str()), (JobNo(69), "failed"));
    assert_eq!(last.failure.as_ref().map(|failure| failure.kind.as_str()), Some("dependency_failed"));
}
