//! Random histories: gateways that race, stall and die, a forge that loses answers, people that delete. Whatever happens, a run
//! has one comment, and in the end it shows the end.

use super::*;
use crate::forge::{BadSignature, Forge, Page, RemoteComment, Signed, comment::Identity};
use axum::http::HeaderMap;
use futures_util::{FutureExt as _, future::BoxFuture};
use proptest::prelude::*;
use proto::{RunId, ShardNo, orders::PullRequest};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const GATEWAYS: [&str; 3] = ["a", "b", "c"];

/// What happens to the next calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fair,
    /// What is asked is done and the answer lost.
    Deaf,
    Down,
    Limited,
}

/// What a history is made of.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A gateway looks what is due and claims it.
    Look(usize),
    /// One call of a gateway that has claimed; after the last it stores what came of them.
    Call(usize, Weather),
    /// A gateway dies between two calls, or before it has stored anything.
    Die(usize),
    Pass(u64),
    /// The run changes.
    Change,
    /// A person deletes the comment.
    Delete,
}

/// A forge with one pull request, in memory.
#[derive(Debug)]
struct Memory {
    weather: Mutex<Weather>,
    comments: Mutex<Vec<RemoteComment>>,
    created: Mutex<u64>,
}

impl Memory {
    /// Done when it is asked for the second time: between two calls everybody else may do something.
    fn call<'a, T>(&'a self, done: impl FnOnce() -> Result<T, ForgeError> + Send + 'a) -> BoxFuture<'a, Result<T, ForgeError>> {
        let lost = || ForgeError::Unavailable("no answer".into());
        async move {
            tokio::task::yield_now().await;
            let weather = *self.weather.lock().unwrap();
            match weather {
                Weather::Fair => done(),
                Weather::Deaf => done().and(Err(lost())),
                Weather::Down => Err(lost()),
                Weather::Limited => Err(ForgeError::Limited { retry_after: Duration::from_mins(2) }),
            }
        }
        .boxed()
    }

    fn change(&self, id: CommentId, change: impl FnOnce(&mut Vec<RemoteComment>, usize)) -> Result<(), ForgeError> {
        let mut comments = self.comments.lock().unwrap();
        let at = comments.iter().position(|comment| comment.id == id).ok_or(ForgeError::NotThere("comment".into()))?;
        change(&mut comments, at);
        Ok(())
    }
}

impl Forge for Memory {
    fn verify(&self, _: &HeaderMap, _: &[u8]) -> Result<Signed, BadSignature> {
        Err(BadSignature::NoSecret)
    }

    fn comments<'a>(&'a self, _: &'a PullRequest, _: u32) -> BoxFuture<'a, Result<Page, ForgeError>> {
        self.call(|| Ok(Page { comments: self.comments.lock().unwrap().clone(), more: false }))
    }

    fn create<'a>(&'a self, _: &'a PullRequest, body: &'a str) -> BoxFuture<'a, Result<CommentId, ForgeError>> {
        self.call(|| {
            let mut created = self.created.lock().unwrap();
            *created += 1;
            self.comments.lock().unwrap().push(RemoteComment { id: CommentId(*created), body: body.to_owned() });
            Ok(CommentId(*created))
        })
    }

    fn update<'a>(&'a self, _: &'a PullRequest, id: CommentId, body: &'a str) -> BoxFuture<'a, Result<(), ForgeError>> {
        self.call(move || self.change(id, |comments, at| body.clone_into(&mut comments[at].body)))
    }

    fn delete<'a>(&'a self, _: &'a PullRequest, id: CommentId) -> BoxFuture<'a, Result<(), ForgeError>> {
        self.call(move || self.change(id, |comments, at| drop(comments.remove(at))))
    }
}

/// What a gateway has in hand between its claim and the end of its calls.
struct InHand {
    turn: BoxFuture<'static, Outcome>,
    wanted: Wanted,
    shown: Shown,
    revision: u64,
    since: Timestamp,
}

struct World {
    forge: Arc<Memory>,
    pace: Pace,
    /// Compared and swapped by its revision.
    stored: (Shown, u64),
    in_hand: [Option<InHand>; 3],
    now: Timestamp,
    version: u32,
    over: bool,
    deletions: u64,
}

impl World {
    fn new() -> Self {
        let forge = Memory { weather: Mutex::new(Weather::Fair), comments: Mutex::default(), created: Mutex::default() };
        Self {
            forge: Arc::new(forge),
            pace: Pace::new(Duration::from_secs(10)),
            stored: (Shown::default(), 0),
            in_hand: [None, None, None],
            now: Timestamp::from_second(1_700_000_000).unwrap(),
            version: 0,
            over: false,
            deletions: 0,
        }
    }

    fn identity() -> Identity {
        Identity::new("tag", &RunId::from_repeatable(&["history"], ShardNo(0)), "ada:0-exec")
    }

    fn wanted(&self) -> Wanted {
        let body = format!("version {}\n\n{}", self.version, Self::identity().line());
        Wanted { digest: hex::encode(Sha256::digest(&body)), body, last: self.over }
    }

    fn around(&self, who: usize) -> Around<'_> {
        Around { now: self.now, me: GATEWAYS[who], quiet_until: None, pace: &self.pace }
    }

    fn look(&mut self, who: usize) -> Step {
        let wanted = self.wanted();
        let step = next(&self.stored.0, &wanted, &self.around(who));
        if let Step::Write(write) = step
            && self.in_hand[who].is_none()
        {
            let shown = self.stored.0.claimed(&self.around(who));
            self.stored = (shown.clone(), self.stored.1 + 1);
            let turn = self.turn(write, wanted.clone());
            self.in_hand[who] = Some(InHand { turn, wanted, shown, revision: self.stored.1, since: self.now });
        }
        step
    }

    fn turn(&self, write: Write, wanted: Wanted) -> BoxFuture<'static, Outcome> {
        let (forge, pace) = (Arc::clone(&self.forge), self.pace);
        let on = PullRequest { repo: "a/b".into(), number: 1 };
        async move { perform(&*forge, &on, &Self::identity(), write, &wanted, &pace).await }.boxed()
    }

    fn call(&mut self, who: usize, weather: Weather) {
        let Some(mut hand) = self.in_hand[who].take() else { return };
        // A turn that takes longer than half a claim is ended, as `perform` does by a clock of its own.
        if pace::later(hand.since, self.pace.claim / 2) < self.now {
            return;
        }
        *self.forge.weather.lock().unwrap() = weather;
        match hand.turn.as_mut().now_or_never() {
            None => self.in_hand[who] = Some(hand),
            Some(outcome) if self.stored.1 == hand.revision => {
                self.stored = (hand.shown.after(&hand.wanted, &outcome, &self.around(who)), hand.revision + 1);
            }
            Some(_) => {}
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Look(who) => drop(self.look(who)),
            Event::Call(who, weather) => self.call(who, weather),
            Event::Die(who) => self.in_hand[who] = None,
            Event::Pass(seconds) => self.now = pace::later(self.now, Duration::from_secs(seconds)),
            Event::Change => self.version += 1,
            Event::Delete => self.deletions += self.forge.comments.lock().unwrap().drain(..).count() as u64,
        }
    }

    /// The run ends, the weather is fair, and one gateway is left.
    fn end(&mut self) {
        (self.version, self.over, self.in_hand) = (self.version + 1, true, [None, None, None]);
        for _ in 0..40 {
            match self.look(0) {
                Step::Nothing => return,
                Step::WaitUntil(until) => self.now = until,
                Step::Write(_) => {
                    while self.in_hand[0].is_some() {
                        self.call(0, Weather::Fair);
                    }
                }
            }
        }
        panic!("it never ends: {:?}", self.stored.0);
    }
}

fn event() -> impl Strategy<Value = Event> {
    let weather = prop_oneof![4 => Just(Weather::Fair), 2 => Just(Weather::Deaf), 1 => Just(Weather::Down), 1 => Just(Weather::Limited)];
    prop_oneof![
        4 => (0..3_usize).prop_map(Event::Look),
        12 => (0..3_usize, weather).prop_map(|(who, weather)| Event::Call(who, weather)),
        1 => (0..3_usize).prop_map(Event::Die),
        2 => prop_oneof![1..20_u64, 1..400_u64].prop_map(Event::Pass),
        2 => Just(Event::Change),
        1 => Just(Event::Delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn there_is_one_comment_and_it_shows_the_end(history in proptest::collection::vec(event(), 0..120)) {
        // The timers of turns need one; nothing waits for them.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let mut world = World::new();
        for event in history {
            world.happen(event);
            assert!(world.forge.comments.lock().unwrap().len() <= 1, "two comments");
        }
        world.end();
        let comments = world.forge.comments.lock().unwrap();
        assert!(*world.forge.created.lock().unwrap() <= 1 + world.deletions, "made for nothing");
        if comments.is_empty() {
            assert!(world.deletions >= u64::from(DELETIONS), "nobody took it away twice");
        } else {
            assert_eq!(comments[0].body, world.wanted().body);
        }
    }
}
