//! Stores a valid job: its pages sealed, then its trigger; only then it is accepted.
//!
//! What if this process dies on the way, or a twin is under way at the same time? As for a deployment (`deploy::admit`):
//! pages without a trigger are bundles without a run, sealed, which the bucket's age removes; a job that may come again has
//! the same run, the same pages and the same message id every time, so the INBOX keeps one trigger of it.

use super::Intake;
use crate::{
    answers::{FieldProblem, Refusal, chain},
    app::App,
    deploy::Admitted,
    telling::{Callback, Method},
};
use bus::BusError;
use jiff::Timestamp;
use proto::{
    PoolName, RunId,
    message::{InboxMessage, RunSpec, Trigger},
};

/// Takes a job in. Its callbacks are checked here, because which hosts may be called is this gateway's setting.
pub(super) async fn take_in(app: &App, mut intake: Intake) -> Result<Admitted, Refusal> {
    intake.job.spec.callbacks = callbacks(app, &intake)?;
    tracing::Span::current().record("run", tracing::field::display(intake.identity.run));
    let trigger = trigger(&intake);
    let shown = trigger.clone();
    // A large job is hundreds of pages: as long as any request may take, and not the moment that one look at the store gets.
    let admitted = tokio::time::timeout(app.limits.request_timeout, admit(app, &intake, trigger));
    let admitted = admitted.await.map_err(|_| Refusal::Unavailable)??;
    failpoint::failpoint!("gateway.admitted");
    if !admitted.replayed {
        // Seen in the list at once, even while no scheduler looks.
        app.index.accepted(shown);
    }
    tracing::info!(run = %admitted.run, replayed = admitted.replayed, orders = intake.job.bundles.len(), "accepted");
    Ok(admitted)
}

fn callbacks(app: &App, intake: &Intake) -> Result<Vec<String>, Refusal> {
    let (mut sealed, mut problems) = (Vec::new(), Vec::new());
    for (n, callback) in intake.job.callbacks.iter().enumerate() {
        let text = callback.expose();
        let (method, address) = text.strip_prefix("PUT ").map_or((Method::Post, text), |address| (Method::Put, address));
        let mut problem = |why: String| problems.push(FieldProblem::new("callbacks", format!("callbacks[{n}] {why}")));
        match Callback::parse(method, address, &app.orders.callback_hosts) {
            Ok(_) if method == Method::Post && !app.orders.may_sign => {
                problem("cannot be signed: the operator has set no gateway.callback_secret".to_owned());
            }
            Ok(callback) => sealed.push(app.callbacks.seal(&callback).map_err(|error| {
                tracing::error!(error = chain(&error), "a callback cannot be sealed");
                Refusal::Internal
            })?),
            Err(bad) => problem(bad.to_string()),
        }
    }
    if problems.is_empty() { Ok(sealed) } else { Err(Refusal::BadInput(problems)) }
}

fn trigger(intake: &Intake) -> Trigger {
    Trigger {
        run: intake.identity.run,
        accepted_at: Timestamp::now(),
        by: intake.by.clone(),
        spec: RunSpec::Orders(intake.job.spec.clone()),
        pool: PoolName::default(),
        has_secrets: true,
        request_digest: intake.identity.digest.clone(),
        traceparent: service::telemetry::current_traceparent(),
    }
}

async fn admit(app: &App, intake: &Intake, trigger: Trigger) -> Result<Admitted, Refusal> {
    let (identity, run) = (&intake.identity, intake.identity.run);
    if identity.digest.is_some()
        && let Some(known) = app.find_run(run).await?
    {
        return if known.request_digest == identity.digest { Ok(Admitted { run, replayed: true }) } else { Err(Refusal::KeyReused) };
    }
    for (page, plain) in (0..).zip(&intake.pages) {
        let sealed = app.sealing.seal_bytes(run, plain).await?;
        app.bus.sealed().put_page(run, page, &sealed).await?;
    }
    failpoint::failpoint!("gateway.sealed");
    let traceparent = trigger.traceparent.clone();
    let message = InboxMessage::Trigger(Box::new(trigger));
    match app.bus.inbox().publish(run, &message, &identity.message_id, traceparent.as_deref()).await {
        Ok(stored) if !stored.duplicate => Ok(Admitted { run, replayed: false }),
        Ok(_) if app.bus.inbox().first_trigger(run).await?.is_some() => Ok(Admitted { run, replayed: true }),
        Ok(_) => {
            remove(app, intake, run).await;
            Err(Refusal::KeyReused)
        }
        // Whether it is stored is not known: the pages stay.
        Err(BusError::Timeout { what }) => match app.bus.inbox().first_trigger(run).await? {
            Some(_) => Ok(Admitted { run, replayed: false }),
            None => Err(BusError::Timeout { what }.into()),
        },
        Err(error) => {
            // Certainly not stored. A twin may count on the pages of a job that can come again: those stay.
            if identity.digest.is_none() {
                remove(app, intake, run).await;
            }
            Err(error.into())
        }
    }
}

/// Removes the pages of a run that will never be. Should it fail, the bucket's age removes them.
async fn remove(app: &App, intake: &Intake, run: RunId) {
    for page in 0..intake.pages.len() as u32 {
        if let Err(error) = app.bus.sealed().delete_page(run, page).await {
            tracing::debug!(%run, page, error = chain(&error), "bundles without a run stay behind");
        }
    }
}
