//! Takes in a delivery that comes from its forge: first the run it makes, then its record; only then it is answered.
//!
//! What if this process dies on the way, or a twin of the delivery is under way at the same time?
//!
//! - Before the run is stored: nothing happened, and the forge was told nothing. It comes again, or a person has it sent again.
//! - Between run and record: the delivery comes again and finds no record. It makes the same run (its id follows from source and
//!   body, see [`identity`]), which is there already, and stores the record.
//! - After the record: what comes again is answered from it. A record that says `accepted` is stored after its run, so it never
//!   stands for a run that is not there.
//! - Twins: both make the same run, of which the INBOX keeps one trigger, and one of them stores the record.
//! - What was ignored and comes again is judged anew (see [`mod@super::anew`]): nothing was made of it, so nothing is done twice.
//! - The same body under another id: the same run, and a record of its own, which says so. After a day the INBOX has forgotten
//!   the trigger; then the run itself is found.

use super::{
    anew::{self, Anew},
    foresee::{Foreseen, foresee},
    judge::{Facts, Ignored, Meaning, Moved},
    proof::Proven,
    record::{self, BodyDigest, Delivery, Verdict},
};
use crate::{
    answers::Refusal,
    app::{App, in_time},
    deploy::identity::{Identity, Repeatable},
    sources::Source,
    syncs::{self, Wanted},
};
use bus::BusError;
use proto::{
    RunId,
    message::RunSpec,
    sync::{ReleaseKind, ReleaseOrder, SyncWanted},
};
use std::net::IpAddr;

/// A delivery that comes from its forge.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) source: &'a Source,
    pub(crate) event: String,
    /// The forge's id of it.
    pub(crate) delivery: String,
    pub(crate) body: BodyDigest,
    pub(crate) proven: Proven,
    pub(crate) moved: Moved,
    pub(crate) meaning: Meaning,
    pub(crate) from: Option<IpAddr>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It makes a run.
    Run {
        run: RunId,
        commit: String,
        foreseen: Foreseen,
    },
    /// It had come before, or another one of the same: what became of that.
    Before(Box<Delivery>),
    Ignored(Ignored),
}

/// An outcome, and the key of the record that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) key: String,
    pub(crate) outcome: Outcome,
}

/// Takes it in.
pub(crate) async fn accept(app: &App, received: Received<'_>) -> Result<Taken, Refusal> {
    let source = received.source;
    let key = record::key(&source.id, &received.delivery, &received.body);
    let (earlier, foreseen) =
        tokio::join!(in_time(earlier(app, source, &received.delivery, &key)), foreseen(app, source, &received.meaning));
    let id_reused = match earlier? {
        Earlier::Same(record) => {
            let outcome = came_again(app, received, &key, *record, foreseen).await?;
            return Ok(Taken { key, outcome });
        }
        Earlier::OtherBody => true,
        Earlier::Nothing => false,
    };
    let (bound_id, by) = (received.bound_id(), received.by());
    let identity = || identity(app, source, bound_id.as_deref(), &received.body);
    let Received { event, delivery, proven, moved, meaning, .. } = &received;
    if id_reused {
        app.gateway_metrics.delivery_id_reused();
        tracing::error!(alarm = "delivery_id_reuse", source = %source.id, delivery = key, key_id = %proven.key,
            "two deliveries of one id have different bodies: whoever holds the secret sends what the forge does not");
    }
    let mut record = Delivery::new(source, event, delivery, Verdict::Ignored).telling(moved.clone(), proven, &received.body);
    (record.id_reused, record.bound_id) = (id_reused, bound_id.clone());
    record.from = received.from.map(|from| from.to_string());
    let outcome = match meaning {
        Meaning::Nothing(why) => {
            record.reason = why.to_string();
            Outcome::Ignored(why.clone())
        }
        Meaning::Sync(facts) => {
            let commit = short(facts);
            let (run, first) = run(app, source, &identity(), &by, &key, facts.clone()).await?;
            record.run = Some(run);
            record.verdict = if first { Verdict::Accepted } else { Verdict::Duplicate };
            if first { Outcome::Run { run, commit, foreseen } } else { Outcome::Before(Box::new(record.clone())) }
        }
    };
    failpoint::failpoint!("gateway.delivery.recording");
    store(app, &key, &record).await?;
    failpoint::failpoint!("gateway.delivery.recorded");
    app.gateway_metrics.delivery(source.id.as_str(), record.verdict.as_str());
    tracing::info!(source = %source.id, delivery = key, event = record.event, verdict = record.verdict.as_str(), reason = record.reason,
        key_id = %proven.key, sender = record.sender, run = record.run.map(tracing::field::display), "a delivery");
    Ok(Taken { key, outcome })
}

/// A delivery that has come before. One that was ignored is judged anew: the settings may have been corrected since.
async fn came_again(app: &App, received: Received<'_>, key: &str, record: Delivery, foreseen: Foreseen) -> Result<Outcome, Refusal> {
    let source = received.source;
    let (bound_id, by) = (received.bound_id(), received.by());
    let known = |record| {
        app.gateway_metrics.delivery(source.id.as_str(), Verdict::Duplicate.as_str());
        tracing::info!(source = %source.id, delivery = key, "a delivery has come before");
        Outcome::Before(Box::new(record))
    };
    match (record.verdict, received.meaning) {
        (Verdict::Ignored, Meaning::Nothing(why)) => Ok(known(Delivery { reason: why.to_string(), ..record })),
        (Verdict::Ignored, Meaning::Sync(facts)) => {
            let commit = short(&facts);
            let anew = Anew { identity: identity(app, source, bound_id.as_deref(), &received.body), facts, by: &by, asked: None };
            let done = anew::anew(app, source, key, anew).await?;
            Ok(match done.record.run {
                Some(run) if done.made => Outcome::Run { run, commit, foreseen },
                Some(_) | None => known(done.record),
            })
        }
        (Verdict::Accepted | Verdict::Duplicate | Verdict::Refused | Verdict::Redelivered, Meaning::Nothing(_) | Meaning::Sync(_)) => {
            Ok(known(record))
        }
    }
}

impl Received<'_> {
    /// The forge's id of it, where which run it is hangs on that too. A forge's signature covers the body and not the delivery's id
    /// (but for Standard Webhooks, which cover both): what is the same body is the same run, whatever id it comes with. Where no
    /// signature covers the body, the id decides as well.
    fn bound_id(&self) -> Option<String> {
        self.proven.signed_id.clone().or_else(|| self.proven.unbound.then(|| self.delivery.clone()))
    }

    /// For the run's record.
    fn by(&self) -> String {
        format!("webhook/{}", self.source.id)
    }
}

/// The first eight digits of where the branch was put.
fn short(facts: &Facts) -> String {
    facts.push.after.as_str().chars().take(8).collect()
}

/// What stands under a delivery's id already.
enum Earlier {
    Nothing,
    Same(Box<Delivery>),
    OtherBody,
}

async fn earlier(app: &App, source: &Source, delivery: &str, key: &str) -> Result<Earlier, Refusal> {
    let deliveries = app.bus.deliveries();
    match deliveries.last_of::<Delivery>(&source.id, &record::delivery_name(delivery)).await? {
        None => Ok(Earlier::Nothing),
        Some((there, record)) if there == key => Ok(Earlier::Same(Box::new(record))),
        Some(_) => Ok(deliveries.get::<Delivery>(key).await?.map_or(Earlier::OtherBody, |record| Earlier::Same(Box::new(record)))),
    }
}

/// Which run a delivery makes. `bound_id`: see [`Received::bound_id`].
pub(super) fn identity(app: &App, source: &Source, bound_id: Option<&str>, body: &BodyDigest) -> Identity {
    let key = format!("{} {}", bound_id.unwrap_or_default(), body.0);
    let caller = format!("webhook of {}", source.id);
    let request = Repeatable { caller: &caller, key: &key, body: b"", secret: app.auth.secret() };
    Identity::repeatable(&request, syncs::shard_of(&source.environment, app.shards))
}

/// Stores the run. Whether this delivery is the one that made it, now or before it came again.
pub(super) async fn run(
    app: &App,
    source: &Source,
    identity: &Identity,
    by: &str,
    key: &str,
    facts: Facts,
) -> Result<(RunId, bool), Refusal> {
    let release = source.auto_stage.then_some(ReleaseOrder { kind: ReleaseKind::Staging, from: None, strict: false });
    let wanted = Wanted {
        environment: source.environment.clone(),
        git_ref: source.git_ref.clone(),
        services: SyncWanted::Changed(facts.push),
        force: false,
        triggered_by: facts.sender,
        delivery: Some(key.to_owned()),
        deployment_id: None,
        release,
    };
    let admitted = syncs::start(app, source, identity, by, wanted).await?;
    if !admitted.replayed {
        return Ok((admitted.run, true));
    }
    let made_by_it = in_time(async {
        let view = app.find_run(admitted.run).await?;
        Ok(view.is_some_and(|view| matches!(&view.spec, RunSpec::Sync(spec) if spec.delivery.as_deref() == Some(key))))
    });
    Ok((admitted.run, made_by_it.await?))
}

/// Best effort: an answer without it is an answer.
async fn foreseen(app: &App, source: &Source, meaning: &Meaning) -> Foreseen {
    let Meaning::Sync(facts) = meaning else { return Foreseen::Nothing };
    let known = in_time(async { Ok(app.bus.services().source(&source.id).await?.value) }).await.ok().flatten();
    foresee(&facts.push, &source.projects, known.as_ref())
}

/// Stores a record where there is none.
pub(super) async fn store(app: &App, key: &str, record: &Delivery) -> Result<(), Refusal> {
    in_time(async {
        match app.bus.deliveries().create(key, record).await {
            // A twin was faster, and says the same.
            Ok(()) | Err(BusError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    })
    .await
}
