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
//! - The same body under another id: the same run, and a record of its own, which says so. After a day the INBOX has forgotten
//!   the trigger; then the run itself is found.

use super::{
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
    let Received { source, event, delivery, body, proven, moved, meaning, from } = received;
    let key = record::key(&source.id, &delivery, &body);
    let (earlier, foreseen) = tokio::join!(in_time(earlier(app, source, &delivery, &key)), foreseen(app, source, &meaning));
    let id_reused = match earlier? {
        Earlier::Same(record) => {
            app.gateway_metrics.delivery(source.id.as_str(), Verdict::Duplicate.as_str());
            tracing::info!(source = %source.id, delivery = key, "a delivery has come before");
            return Ok(Taken { key, outcome: Outcome::Before(record) });
        }
        Earlier::OtherBody => true,
        Earlier::Nothing => false,
    };
    if id_reused {
        app.gateway_metrics.delivery_id_reused();
        tracing::error!(alarm = "delivery_id_reuse", source = %source.id, delivery = key, key_id = %proven.key,
            "two deliveries of one id have different bodies: whoever holds the secret sends what the forge does not");
    }
    let mut record = Delivery::new(source, &event, &delivery, Verdict::Ignored).telling(moved, &proven, &body);
    record.id_reused = id_reused;
    record.from = from.map(|from| from.to_string());
    let outcome = match meaning {
        Meaning::Nothing(why) => {
            record.reason = why.to_string();
            Outcome::Ignored(why)
        }
        Meaning::Sync(facts) => {
            let identity = identity(app, source, &delivery, &body, &proven);
            let commit = facts.push.after.as_str().chars().take(8).collect();
            let (run, first) = run(app, source, &identity, &key, facts).await?;
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

/// A forge's signature covers the body and not the delivery's id (but for Standard Webhooks, which cover both): what is the same
/// body is the same run, whatever id it comes with. Where no signature covers the body, the id decides as well.
fn identity(app: &App, source: &Source, delivery: &str, body: &BodyDigest, proven: &Proven) -> Identity {
    let id = proven.signed_id.as_deref().or(proven.unbound.then_some(delivery)).unwrap_or_default();
    let key = format!("{id} {}", body.0);
    let caller = format!("webhook of {}", source.id);
    let request = Repeatable { caller: &caller, key: &key, body: b"", secret: app.auth.secret() };
    Identity::repeatable(&request, syncs::shard_of(&source.environment, app.shards))
}

/// Stores the run. Whether this delivery is the one that made it, now or before it came again.
async fn run(app: &App, source: &Source, identity: &Identity, key: &str, facts: Facts) -> Result<(RunId, bool), Refusal> {
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
    let admitted = syncs::start(app, source, identity, &format!("webhook/{}", source.id), wanted).await?;
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
