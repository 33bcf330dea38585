//! Random histories: gateways that race, stall and die, a forge that loses answers, people that delete. Whatever happens, a run
//! has one comment, and in the end it shows the end.

use super::*;
use crate::forge::{BadSignature, Forge, Page, RemoteComment, Signed, comment::Identity};
use axum::http::HeaderMap;
use futures_util::{FutureExt as _, future::BoxFuture};
use proptest::prelude::*;
use proto::{RunId, ShardNo, orders::PullRequest};
use std::{sync::Mutex, time::Duration};

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
    /// A gateway that has claimed goes to the forge and stores what came of it.
    Act(usize, Weather),
    /// The same, and dies before it has stored anything.
    ActAndDie(usize, Weather),
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
    fn call<T: Send + 'static>(&self, done: impl FnOnce() -> Result<T, ForgeError>) -> BoxFuture<'_, Result<T, ForgeError>> {
        let lost = || ForgeError::Unavailable("no answer".into());
        let answer = match *self.weather.lock().unwrap() {
            Weather::Fair => done(),
            Weather::Deaf => done().and(Err(lost())),
            Weather::Down => Err(lost()),
            Weather::Limited => Err(ForgeError::Limited { retry_after: Duration::from_secs(120) }),
        };
        std::future::ready(answer).boxed()
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
        self.call(|| self.change(id, |comments, at| body.clone_into(&mut comments[at].body)))
    }

    fn delete<'a>(&'a self, _: &'a PullRequest, id: CommentId) -> BoxFuture<'a, Result<(), ForgeError>> {
        self.call(|| self.change(id, |comments, at| drop(comments.remove(at))))
    }
}

/// What a gateway has in hand between its claim and its calls.
#[derive(Debug, Clone)]
struct InHand {
    write: Write,
    wanted: Wanted,
    shown: Shown,
    revision: u64,
    since: Timestamp,
}

struct World {
    forge: Memory,
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
            forge,
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
            self.in_hand[who] = Some(InHand { write, wanted, shown, revision: self.stored.1, since: self.now });
        }
        step
    }

    async fn act(&mut self, who: usize, weather: Weather, dies: bool) {
        let Some(hand) = self.in_hand[who].take() else { return };
        // A turn that takes longer than half a claim has been ended, as `perform` does.
        if pace::later(hand.since, self.pace.claim / 2) < self.now {
            return;
        }
        *self.forge.weather.lock().unwrap() = weather;
        let on = PullRequest { repo: "a/b".into(), number: 1 };
        let outcome = perform(&self.forge, &on, &Self::identity(), hand.write, &hand.wanted, &self.pace).await;
        if !dies && self.stored.1 == hand.revision {
            self.stored = (hand.shown.after(&hand.wanted, &outcome, &self.around(who)), hand.revision + 1);
        }
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Look(who) => drop(self.look(who)),
            Event::Act(who, weather) => self.act(who, weather, false).await,
            Event::ActAndDie(who, weather) => self.act(who, weather, true).await,
            Event::Pass(seconds) => self.now = pace::later(self.now, Duration::from_secs(seconds)),
            Event::Change => self.version += 1,
            Event::Delete => self.deletions += self.forge.comments.lock().unwrap().drain(..).count() as u64,
        }
    }

    /// The run ends, the weather is fair, and one gateway is left.
    async fn end(&mut self) {
        (self.version, self.over, self.in_hand) = (self.version + 1, true, [None, None, None]);
        for _ in 0..20 {
            match self.look(0) {
                Step::Nothing => return,
                Step::WaitUntil(until) => self.now = until,
                Step::Write(_) => self.act(0, Weather::Fair, false).await,
            }
        }
        panic!("it never ends: {:?}", self.stored.0);
    }
}

fn event() -> impl Strategy<Value = Event> {
    let weather = prop_oneof![Just(Weather::Fair), Just(Weather::Deaf), Just(Weather::Down), Just(Weather::Limited)];
    prop_oneof![
        4 => (0..3_usize).prop_map(Event::Look),
        4 => (0..3_usize, weather.clone()).prop_map(|(who, weather)| Event::Act(who, weather)),
        1 => (0..3_usize, weather).prop_map(|(who, weather)| Event::ActAndDie(who, weather)),
        4 => (1..400_u64).prop_map(Event::Pass),
        2 => Just(Event::Change),
        1 => Just(Event::Delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn there_is_one_comment_and_it_shows_the_end(history in proptest::collection::vec(event(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for event in history {
                world.happen(event).await;
                assert!(world.forge.comments.lock().unwrap().len() <= 1, "two comments");
            }
            world.end().await;
            let comments = world.forge.comments.lock().unwrap();
            assert!(*world.forge.created.lock().unwrap() <= 1 + world.deletions, "made for nothing");
            if comments.is_empty() {
                assert!(world.deletions >= u64::from(DELETIONS), "nobody took it away twice");
            } else {
                assert_eq!(comments[0].body, world.wanted().body);
            }
        });
    }
}
