//! Tells something of a run once: whoever is about to has claimed it in NOTICES; what was received, or given up, stands there.

use super::{
    deliver::Delivery,
    follow::{GIVE_UP_AFTER, Next, Telling},
};
use bus::{BusError, Held};
use jiff::{SignedDuration, Timestamp};
use proto::view::RunView;
use serde::{Deserialize, Serialize};

/// Longer than any try takes.
const CLAIM: SignedDuration = SignedDuration::from_secs(60);
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// How far it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Called {
    /// Received, or given up.
    over: bool,
    tries: u32,
    not_before: Option<Timestamp>,
    /// What the last try met, for people.
    problem: Option<String>,
    by: String,
    held_until: Option<Timestamp>,
}

impl Telling {
    /// One try, if one is due. `what` names the kind of thing for the log and the metrics; `deliver` is only begun when it is
    /// this gateway's turn.
    pub(super) async fn once(
        &self,
        view: &RunView,
        key: &str,
        what: &str,
        deliver: impl Future<Output = Delivery>,
    ) -> Result<Next, BusError> {
        let (notices, now) = (self.app.bus.notices(), Timestamp::now());
        let mut held: Held<Called> = notices.get(key).await?;
        let called = &held.value;
        if called.over {
            return Ok(Next::Settled);
        }
        let others = called.held_until.filter(|_| called.by != self.me);
        if let Some(until) = [others, called.not_before].into_iter().flatten().max().filter(|until| *until > now) {
            return Ok(Next::At(until));
        }
        (held.value.by, held.value.held_until) = (self.me.clone(), now.checked_add(CLAIM).ok());
        held.revision = notices.change(key, &held).await?;
        let delivery = deliver.await;
        self.app.gateway_metrics.told(what, word(&delivery));
        let next = note_delivery(&mut held.value, delivery, view, Timestamp::now());
        if let Some(problem) = &held.value.problem {
            tracing::warn!(run = %view.id, what, key, problem, over = held.value.over, "something of a run could not be told outside");
        }
        notices.change(key, &held).await?;
        Ok(next)
    }
}

fn word(delivery: &Delivery) -> &'static str {
    match delivery {
        Delivery::Done => "done",
        Delivery::Later(_) => "later",
        Delivery::Never(_) => "never",
    }
}

fn note_delivery(called: &mut Called, delivery: Delivery, view: &RunView, now: Timestamp) -> Next {
    called.held_until = None;
    called.tries += 1;
    let too_long = view.ended_at.is_some_and(|ended| now.duration_since(ended) > GIVE_UP_AFTER);
    match delivery {
        Delivery::Done => {
            (called.over, called.problem, called.not_before) = (true, None, None);
            Next::Settled
        }
        Delivery::Never(why) => {
            (called.over, called.problem) = (true, Some(why));
            Next::Settled
        }
        Delivery::Later(why) => {
            let pause = (FIRST_PAUSE * 2_i32.saturating_pow(called.tries.saturating_sub(1).min(10))).min(LONGEST_PAUSE);
            let at = now.checked_add(pause).unwrap_or(Timestamp::MAX);
            (called.over, called.problem, called.not_before) = (too_long, Some(why), Some(at));
            if too_long { Next::Settled } else { Next::At(at) }
        }
    }
}
