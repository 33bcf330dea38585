//! What is told of a run of orders and of a terraform run, compared with files; and that places stay what they are.

use super::{
    Entry, Event, Input, JobKind, JobPlan, Narrator, Policy, Told, accept, decide,
    orders_tests::{at, order, trigger},
    state::{AttemptEnd, Ending},
};
use proto::{
    AttemptNo, JobNo, PoolName,
    message::{AttemptOutcome, Evidence, Failure, JobResult, ProbeSpec, ReportWhat, RunSpec, Trigger},
    orders::{DoneSummary, OrderEvent, OrderResult},
};

const ONE: AttemptNo = AttemptNo::FIRST;

/// Compares with a file next to this one; on a difference, what it should hold now is shown.
fn assert_golden(golden: &str, told: &[Told]) {
    let text: String = told.iter().map(|told| serde_json::to_string(told).unwrap() + "\n").collect();
    assert!(golden == text, "the file should hold:\n{text}");
}

fn failure(message: &str) -> Failure {
    Failure { kind: "exit_code".into(), phase: "orders".into(), message: message.into(), next_action: "look at its log".into() }
}

fn own(event_type: &str) -> OrderEvent {
    OrderEvent { event_type: event_type.into(), status: "info".into(), data: serde_json::json!({ "adds": 3 }) }
}

/// A log as the core itself writes it.
struct Story {
    run: super::Run,
    log: Vec<Entry>,
}

impl Story {
    fn new(trigger: &Trigger) -> Self {
        let (run, events) = accept(trigger, at(0), &Policy::default());
        Self { run, log: vec![Entry::new(String::new(), at(0), events)] }
    }

    fn feed(&mut self, input: &Input) {
        let now = at(self.log.len() as i64);
        let events = decide(&mut self.run, input, now, &Policy::default()).unwrap();
        self.log.push(Entry::new(String::new(), now, events));
    }

    fn dispatch(&mut self, places: u32) {
        self.feed(&Input::Dispatch { places: vec![(PoolName::default(), places)] });
    }

    fn begin(&mut self, no: u32) {
        let (job, worker, nonce) = (JobNo(no), "w1".parse().unwrap(), "n".to_owned());
        let attempt = self.run.job(job).unwrap().current().unwrap().no;
        self.feed(&Input::Begin { job, attempt, worker, nonce });
        let (worker, nonce) = ("w1".parse().unwrap(), "n".to_owned());
        self.feed(&Input::StartEffects { job, attempt, worker, nonce, serial_before: None });
    }

    fn report(&mut self, no: u32, what: ReportWhat) {
        let job = JobNo(no);
        let attempt = self.run.job(job).unwrap().current().unwrap().no;
        self.feed(&Input::Report { job, attempt, worker: "w1".parse().unwrap(), what });
    }
}

fn told(log: &[Entry], summary: DoneSummary) -> Vec<Told> {
    let narrator = Narrator::of(&log[0]).unwrap();
    (10_u64..).zip(log).flat_map(|(seq, entry)| narrator.tell(seq, entry, Some(summary)).collect::<Vec<_>>()).collect()
}

/// One succeeds and tells something, one fails, one needs it, one is lost, one has not begun when the run is cancelled.
fn story_of_orders() -> Story {
    let orders = vec![order(&[], false), order(&[], false), order(&[1], false), order(&[2], false), order(&[], true), order(&[], false)];
    let mut story = Story::new(&trigger(orders));
    story.dispatch(3);
    story.begin(0);
    story.report(0, ReportWhat::Phase { phase: "commands".into() });
    story.report(0, ReportWhat::OrderEvents { events: vec![own("tf_plan"), own("completed")] });
    story.report(0, ReportWhat::Ended(AttemptOutcome::Succeeded { result: JobResult::Order(OrderResult { commands: 2 }) }));
    story.begin(1);
    story.report(1, ReportWhat::Ended(AttemptOutcome::Failed { failure: failure("command 1 ended with 2") }));
    story.begin(4);
    story.feed(&Input::WorkerLost { job: JobNo(4), attempt: ONE, seen: "no sign of life for 30 s".into() });
    story.report(4, ReportWhat::Ended(AttemptOutcome::Stopped { clean: false, timed_out: true }));
    story.feed(&Input::Cancel { by: "ann".into(), force: false });
    story
}

#[test]
fn a_run_of_orders_is_told_in_the_words_of_the_replaced_engine() {
    let story = story_of_orders();
    assert!(story.run.is_over());
    let summary = DoneSummary { succeeded: 1, failed: 3, timed_out: 1, cancelled: 1 };
    assert_golden(include_str!("told_orders.jsonl"), &told(&story.log, summary));
}

#[test]
fn the_end_of_its_time_is_told_of_every_order_that_it_ended() {
    let mut story = Story::new(&trigger(vec![order(&[], false), order(&[0], false)]));
    story.dispatch(1);
    let events = decide(&mut story.run, &Input::Tick, at(4000), &Policy::default()).unwrap();
    story.log.push(Entry::new(String::new(), at(4000), events));
    let told = told(&story.log, DoneSummary::default());
    let of = |name: &str| told.iter().filter(|told| told.order_name == name).map(|told| (&*told.event_type, &*told.status)).collect();
    let ends: [Vec<(&str, &str)>; 2] = [of("order-0"), of("order-1")];
    assert_eq!(ends, [vec![("dispatched", "queued"), ("completed", "timed_out")], vec![("completed", "timed_out")]]);
    let run: Vec<(&str, &str)> = of("_job");
    assert_eq!(run, [("job_started", "running"), ("job_timeout", "timed_out"), ("job_completed", "timed_out")]);
}

/// Every other event, by hand: the log of a terraform run that went through everything that a log may tell.
fn log_of_a_terraform_run() -> Vec<Entry> {
    let plan = |name: &str, kind, needs: &[u32]| JobPlan {
        name: name.into(),
        kind,
        needs: needs.iter().copied().map(JobNo).collect(),
        service: None,
    };
    let jobs = vec![
        plan("plan", JobKind::TerraformPlan, &[]),
        plan("approval", JobKind::Approval, &[0]),
        plan("apply", JobKind::TerraformApply, &[1]),
    ];
    let trigger = Trigger { spec: RunSpec::Probe(ProbeSpec::default()), has_secrets: false, ..trigger(Vec::new()) };
    let [first, gate, last] = [0, 1, 2].map(JobNo);
    let (two, by) = (AttemptNo(2), || "ann".to_owned());
    let ended = |job, attempt, end| Event::AttemptEnded { job, attempt, end, result: None };
    let permitted = |job| Event::Permitted { job, attempt: ONE, worker: "w1".parse().unwrap(), nonce: "secret-nonce".into() };
    let evidence = Evidence { seen: "no sign of life".into(), ..Evidence::default() };
    let decisions = vec![
        vec![Event::Accepted { trigger: Box::new(trigger), locks: Vec::new(), jobs }],
        vec![Event::LocksGranted, Event::JobQueued { job: first, attempt: ONE }],
        vec![ended(first, ONE, AttemptEnd::NotStarted), Event::JobQueued { job: first, attempt: two }],
        vec![ended(first, two, AttemptEnd::Lost), Event::JobQueued { job: first, attempt: AttemptNo(3) }],
        vec![permitted(first), Event::CommitPinned { commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap() }],
        vec![ended(first, AttemptNo(3), AttemptEnd::Succeeded), Event::JobSucceeded { job: first }],
        vec![Event::ApprovalOpened { job: gate, expires_at: at(99) }],
        vec![Event::ApprovalGiven { job: gate, by: by() }, Event::JobSucceeded { job: gate }, Event::JobQueued { job: last, attempt: ONE }],
        vec![Event::ApprovalRefused { job: gate, by: by() }, Event::JobCancelled { job: gate }, Event::JobSkipped { job: last }],
        vec![Event::ApprovalExpired { job: gate }],
        vec![permitted(last)],
        vec![Event::EffectsStarted { job: last, attempt: ONE, serial_before: Some(4) }],
        vec![ended(last, ONE, AttemptEnd::Lost), Event::JobUnknown { job: last, evidence }],
        vec![
            Event::Resolved { job: last, by: by(), succeeded: false, reason: "looked at it".into() },
            Event::JobFailed { job: last, failure: failure("settled as failed") },
            Event::RunEnded { ending: Ending::Failed },
        ],
    ];
    (0_i64..).zip(decisions).map(|(n, events)| Entry::new(String::new(), at(n), events)).collect()
}

#[test]
fn a_terraform_run_is_told_with_its_jobs_names_and_without_nonces() {
    let told = told(&log_of_a_terraform_run(), DoneSummary { failed: 1, succeeded: 2, ..DoneSummary::default() });
    assert_golden(include_str!("told_terraform.jsonl"), &told);
    assert!(!include_str!("told_terraform.jsonl").contains("secret-nonce"));
}

#[test]
fn an_entry_that_tells_everything_again_tells_the_same_and_says_how_much_that_is() {
    let mut log = story_of_orders().log;
    let narrator = Narrator::of(&log[0]).unwrap();
    let bare = |told: Vec<Told>| told.into_iter().map(|told| Told { seq: 0, n: 0, ..told }).collect::<Vec<_>>();
    let summary = DoneSummary { succeeded: 1, failed: 3, timed_out: 1, cancelled: 1 };
    let once = told(&log, summary);
    let last = log.pop().unwrap();
    let again = Entry { before: log, ..last };
    let told: Vec<Told> = Narrator::of(&again).unwrap().tell(7, &again, Some(summary)).collect();
    assert!((0..).zip(&told).all(|(n, told)| (told.seq, told.n) == (7, n)));
    assert_eq!(narrator.repeated(&again) + narrator.tell(7, &Entry { before: Vec::new(), ..again.clone() }, None).count(), told.len());
    assert_eq!(bare(told), bare(once));
    assert!(Narrator::of(&Entry::new(String::new(), at(0), vec![Event::LocksGranted])).is_none());
}
