//! A commenter that is driven by hand: the clock and what is kept are the test's.

use super::{Hub, comment, configured, end, identity, progress, pull, start};
use gateway::forge::{
    Forge as _, ForgeError, RemoteComment,
    comment::{Comment, Moment, State},
    commenter::{Around, Outcome, Pace, Shown, Step, Wanted, Write, next, perform},
    find_by_tag,
    github::GitHub,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::time::Duration;

/// What drives a commenter: a store for one run, and a clock that it sets.
struct Driver {
    forge: GitHub,
    shown: Shown,
    now: Timestamp,
    pace: Pace,
    quiet_until: Option<Timestamp>,
}

impl Driver {
    fn new(hub: &Hub) -> Self {
        let pace = Pace::new(Duration::from_secs(10));
        Self { forge: hub.forge(), shown: Shown::default(), now: Timestamp::from_second(1_700_000_000).unwrap(), pace, quiet_until: None }
    }

    fn around(&self) -> Around<'_> {
        Around { now: self.now, me: "me", quiet_until: self.quiet_until, pace: &self.pace }
    }

    fn next(&self, comment: &Comment) -> Step {
        next(&self.shown, &Wanted::of(comment), &self.around())
    }

    /// One turn, which must be due.
    async fn turn(&mut self, comment: &Comment) -> (Write, Outcome) {
        let Step::Write(write) = self.next(comment) else { panic!("{:?}", self.next(comment)) };
        let wanted = Wanted::of(comment);
        self.shown = self.shown.claimed(&self.around());
        let outcome = perform(&self.forge, &pull(), &comment.identity, write, &wanted, &self.pace).await;
        self.shown = self.shown.after(&wanted, &outcome, &self.around());
        self.quiet_until = outcome.quiet_until(self.now);
        (write, outcome)
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.checked_add(SignedDuration::try_from(time).unwrap()).unwrap();
    }

    /// Lets the time pass that must be waited for.
    fn wait(&mut self, comment: &Comment) {
        let Step::WaitUntil(until) = self.next(comment) else { panic!("{:?}", self.next(comment)) };
        self.now = until;
    }

    /// Every comment there is.
    async fn there(&self) -> Vec<RemoteComment> {
        self.forge.comments(&pull(), 1).await.expect("a page").comments
    }
}

#[tokio::test]
async fn a_run_has_one_comment_from_its_start_to_its_end() {
    let hub = Hub::start(&["--base", "/api/v3", "--issue", "team/app#7"]);
    let mut driver = Driver { forge: GitHub::new(&configured(&format!("{}/api/v3/", hub.url))).unwrap(), ..Driver::new(&hub) };
    let (write, outcome) = driver.turn(&start()).await;
    let Outcome::Written(id) = outcome else { panic!("{outcome:?}") };
    assert_eq!(write, Write::FindOrCreate);
    assert_eq!(driver.next(&start()), Step::Nothing);
    driver.wait(&progress());
    assert_eq!(driver.turn(&progress()).await, (Write::Update(id), Outcome::Written(id)));
    assert_eq!(driver.turn(&end()).await, (Write::Update(id), Outcome::Written(id)), "at once");
    assert_eq!(driver.there().await, [RemoteComment { id, body: end().render() }]);
    let writes: Vec<String> = hub.asked().await.into_iter().filter(|asked| !asked.starts_with("GET")).collect();
    let base = "/api/v3/repos/team/app/issues";
    assert_eq!(
        writes,
        [format!("POST {base}/7/comments"), format!("PATCH {base}/comments/{}", id.0), format!("PATCH {base}/comments/{}", id.0)]
    );
}

#[tokio::test]
async fn a_comment_is_found_among_hundreds_when_its_number_is_forgotten() {
    let hub = Hub::start(&[]);
    let noise = |n: usize| (0..n).map(|n| format!("comment {n}\n\n###other### #{n}")).collect::<Vec<_>>();
    hub.control("seed", json!({"repo": "team/app", "number": 7, "bodies": noise(230)})).await;
    let mut driver = Driver::new(&hub);
    let (_, made) = driver.turn(&start()).await;
    hub.control("seed", json!({"repo": "team/app", "number": 7, "bodies": noise(120)})).await;
    driver.shown = Shown::default();
    assert_eq!(driver.turn(&end()).await, (Write::FindOrCreate, made));
    let page = |n: u32| format!("GET /repos/team/app/issues/7/comments?per_page=100&page={n}");
    let asked = hub.asked().await;
    assert_eq!(asked[..3], [page(1), page(2), page(3)]);
    assert_eq!(asked.iter().filter(|asked| asked.starts_with("POST")).count(), 1);
    let found = find_by_tag(&driver.forge, &pull(), &identity()).await.unwrap().expect("it is there");
    assert_eq!(found.body, end().render());
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_comment() {
    let hub = Hub::start(&[]);
    hub.faults(json!([{"kind": "lost", "method": "POST"}])).await;
    let mut driver = Driver::new(&hub);
    let (_, outcome) = driver.turn(&start()).await;
    assert!(matches!(outcome, Outcome::Failed(ForgeError::Unavailable(_))), "{outcome:?}");
    driver.wait(&start());
    let (write, outcome) = driver.turn(&start()).await;
    let there = driver.there().await;
    assert_eq!(there.len(), 1);
    assert_eq!((write, outcome), (Write::FindOrCreate, Outcome::Written(there[0].id)));
    assert_eq!(hub.asked().await.iter().filter(|asked| !asked.starts_with("GET")).count(), 1, "what is right is not written again");
}

#[tokio::test]
async fn a_request_that_never_arrived_is_sent_again() {
    let hub = Hub::start(&[]);
    // Twice, as an HTTP client may try a connection once more that was closed before anything came.
    hub.faults(json!([{"kind": "hang_up", "method": "POST", "times": 2}])).await;
    let mut driver = Driver::new(&hub);
    let mut tries = 0;
    while !matches!(driver.turn(&start()).await.1, Outcome::Written(_)) {
        driver.wait(&start());
        tries += 1;
        assert!(tries < 3, "{:?}", driver.shown);
    }
    assert!(tries > 0, "it met the fault");
    assert_eq!(driver.there().await.len(), 1);
}

#[tokio::test]
async fn limits_are_waited_out() {
    let hub = Hub::start(&[]);
    hub.faults(json!([
        {"kind": "primary_limit", "reset_in": 1800}, {"kind": "secondary_limit", "retry_after": 77}, {"kind": "secondary_limit"},
        {"kind": "status", "status": 429, "headers": {"Retry-After": "45"}},
    ]))
    .await;
    let mut driver = Driver::new(&hub);
    // The reset is a moment: seconds may have passed since it was named.
    let (_, outcome) = driver.turn(&start()).await;
    let Outcome::Failed(ForgeError::Limited { retry_after }) = outcome else { panic!("{outcome:?}") };
    assert!((Duration::from_mins(20)..=Duration::from_secs(1801)).contains(&retry_after), "{retry_after:?}");
    for seconds in [77, 60, 45] {
        driver.wait(&start());
        let (_, outcome) = driver.turn(&start()).await;
        assert_eq!(outcome, Outcome::Failed(ForgeError::Limited { retry_after: Duration::from_secs(seconds) }));
    }
    driver.wait(&start());
    assert!(matches!(driver.turn(&start()).await.1, Outcome::Written(_)));
    assert_eq!(driver.there().await.len(), 1);
}

#[tokio::test]
async fn an_outage_ends_and_the_last_word_is_shown() {
    let hub = Hub::start(&[]);
    let mut driver = Driver::new(&hub);
    driver.turn(&start()).await;
    hub.faults(json!([{"kind": "outage", "times": 3}])).await;
    driver.wait(&progress());
    assert!(matches!(driver.turn(&progress()).await.1, Outcome::Failed(ForgeError::Unavailable(_))));
    for _ in 0..2 {
        driver.wait(&end());
        assert!(matches!(driver.turn(&end()).await.1, Outcome::Failed(ForgeError::Unavailable(_))));
    }
    driver.wait(&end());
    driver.turn(&end()).await;
    assert_eq!(driver.there().await.iter().map(|c| c.body.clone()).collect::<Vec<_>>(), [end().render()]);
}

#[tokio::test]
async fn a_comment_that_a_person_deleted_comes_back_once_at_the_end() {
    let hub = Hub::start(&[]);
    let mut driver = Driver::new(&hub);
    driver.turn(&start()).await;
    let delete = async |driver: &Driver| driver.forge.delete(&pull(), driver.shown.comment.unwrap()).await.unwrap();
    delete(&driver).await;
    driver.wait(&progress());
    assert_eq!(driver.turn(&progress()).await.1, Outcome::Gone);
    driver.pass(Duration::from_hours(1));
    assert_eq!(driver.next(&progress()), Step::Nothing);
    assert!(matches!(driver.turn(&end()).await, (Write::FindOrCreate, Outcome::Written(_))));
    delete(&driver).await;
    let otherwise = comment(Moment::End { took: Duration::from_secs(10) }, State::Failed);
    assert_eq!(driver.turn(&otherwise).await.1, Outcome::Gone);
    driver.pass(Duration::from_hours(1));
    assert_eq!(driver.next(&otherwise), Step::Nothing);
    assert_eq!(driver.there().await, []);
}
