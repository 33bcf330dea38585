//! Judges anew what was ignored: the settings were corrected, and the forge sends the delivery again, or a person asks for it.
//!
//! Nothing was made of it, so nothing can be done twice. What if this process dies on the way, or a twin is under way?
//!
//! - Which run it makes follows from source and body, as at its first coming: twins, and whoever comes after a death, store the
//!   same run, of which the INBOX keeps one trigger.
//! - Its record is changed by whoever read it last, after the run is stored. The other one reads again, and finds what became of
//!   it.

use super::{
    accept::run,
    judge::Facts,
    record::{Delivery, Verdict},
};
use crate::{
    answers::Refusal,
    app::{App, in_time},
    deploy::identity::Identity,
    sources::Source,
};
use bus::BusError;
use proto::RunId;

/// How often the record is read again after somebody else has changed it.
const TRIES: u32 = 4;

/// What is to become of it.
#[derive(Debug)]
pub(super) struct Anew<'a> {
    pub(super) identity: Identity,
    pub(super) facts: Facts,
    /// Who is known to have asked, for the run's record.
    pub(super) by: &'a str,
    /// A person, and what a repeat of the request is known by.
    pub(super) asked: Option<(&'a str, Option<RunId>)>,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) record: Delivery,
    /// Whether that was done here: else it had come about before, or by another delivery of the same body.
    pub(super) made: bool,
}

/// Makes the run of a delivery whose record says that it was ignored, and has the record say so.
pub(super) async fn anew(app: &App, source: &Source, key: &str, anew: Anew<'_>) -> Result<Done, Refusal> {
    let Anew { identity, facts, by, asked } = anew;
    let deliveries = app.bus.deliveries();
    for _ in 0..TRIES {
        let held = in_time(async { Ok(deliveries.held::<Delivery>(key).await?) }).await?;
        let mut record = held.value.ok_or(Refusal::DeliveryNotFound)?;
        if record.verdict != Verdict::Ignored {
            return Ok(Done { record, made: false });
        }
        let (run, first) = run(app, source, &identity, by, key, facts.clone()).await?;
        record.run = Some(run);
        record.verdict = if first { Verdict::Accepted } else { Verdict::Duplicate };
        record.was_ignored = Some(std::mem::take(&mut record.reason));
        if let Some((person, asked_with)) = asked {
            (record.by, record.asked_with) = (Some(person.to_owned()), asked_with);
        }
        failpoint::failpoint!("gateway.delivery.recording");
        let changed = in_time(async {
            match deliveries.change(key, &record, held.revision).await {
                Ok(()) => Ok(true),
                Err(BusError::Conflict { .. }) => Ok(false),
                Err(error) => Err(error.into()),
            }
        });
        if changed.await? {
            app.gateway_metrics.delivery(source.id.as_str(), record.verdict.as_str());
            tracing::info!(source = %source.id, delivery = key, verdict = record.verdict.as_str(), was = record.was_ignored, by, %run,
                "a delivery that had been ignored is judged anew");
            return Ok(Done { record, made: first });
        }
    }
    Err(Refusal::Unavailable)
}
