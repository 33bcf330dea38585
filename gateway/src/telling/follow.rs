//! The loop: follows the views and tells what is due. Several gateways may run it; what is told stands in NOTICES, and who
//! tells has claimed it there. Whatever dies where: the claim ends by itself, and the next look finds what was not told.

use super::{
    callback::Sealer,
    comment::Commenting,
    deliver::{self, Delivery},
    event,
    notify::Hook,
    release::Publishing,
};
use crate::{answers::chain, app::App, runs::marker};
use bus::{BusError, ViewEvent};
use jiff::{SignedDuration, Timestamp};
use proto::{RunId, Secret, message::RunSpec, orders::OrdersSpec, subject, view::RunView};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::task::{Id, JoinSet};

/// Runs that are told of at a time. A receiver that hangs holds up one of them for half a minute.
const AT_ONCE: usize = 16;
/// How long after its end a run is still told of; then the receiver has been away for too long.
pub(super) const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// After trouble with the store.
const TRY_AGAIN: SignedDuration = SignedDuration::from_secs(2);

/// When to look at a run again without a change of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Next {
    At(Timestamp),
    /// Only when it changes.
    Settled,
}

/// What tells.
#[derive(Debug)]
pub(crate) struct Telling {
    pub(super) app: Arc<App>,
    /// A name of its own for every process.
    pub(super) me: String,
    pub(super) client: reqwest::Client,
    sealer: Sealer,
    commenting: Option<Commenting>,
    publishing: Option<Publishing>,
    notify: Vec<Hook>,
    hosts: Vec<String>,
    secret: Option<Secret>,
    pub(super) public_url: String,
}

/// What is to be told of a run, as far as this process knows.
#[derive(Debug)]
struct Pending {
    view: RunView,
    at: Timestamp,
    busy: bool,
}

/// What the settings say about it.
#[derive(Debug)]
pub(crate) struct Means {
    pub(crate) commenting: Option<Commenting>,
    pub(crate) publishing: Option<Publishing>,
    pub(crate) notify: Vec<Hook>,
    pub(crate) hosts: Vec<String>,
    /// Signs webhooks.
    pub(crate) secret: Option<Secret>,
    pub(crate) public_url: String,
}

impl Telling {
    pub(crate) fn new(app: &Arc<App>, means: Means) -> Result<Self, reqwest::Error> {
        let Means { commenting, publishing, notify, hosts, secret, public_url } = means;
        Ok(Self {
            app: Arc::clone(app),
            me: uuid::Uuid::new_v4().simple().to_string(),
            client: deliver::client()?,
            sealer: Sealer::new(app.auth.secret()),
            commenting,
            publishing,
            notify,
            hosts,
            secret,
            public_url,
        })
    }

    /// Tells for ever.
    pub(crate) async fn follow(self: Arc<Self>) {
        loop {
            match self.app.bus.views().watch().await {
                Ok(watch) => self.clone().round(watch).await,
                Err(error) => tracing::warn!(error = chain(&error), "runs cannot be followed, nothing is told outside; trying again"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn round(self: Arc<Self>, mut watch: bus::ViewWatch) {
        let mut pending: BTreeMap<RunId, Pending> = BTreeMap::new();
        let mut told: JoinSet<(u64, Next)> = JoinSet::new();
        let mut tasks: HashMap<Id, RunId> = HashMap::new();
        loop {
            self.start_due(&mut pending, &mut told, &mut tasks);
            let idle = until_next(&pending);
            tokio::select! {
                event = watch.next() => match event {
                    Some(ViewEvent::Put(view)) => self.note(&mut pending, view),
                    Some(ViewEvent::Gone(run)) => drop(pending.remove(&run)),
                    Some(ViewEvent::CaughtUp) => {}
                    None => return,
                },
                Some(done) = told.join_next_with_id(), if !told.is_empty() => {
                    let (task, seq, next) = match done {
                        Ok((task, (seq, next))) => (task, seq, next),
                        // A bug, and reported as one; the run is looked at again when it changes.
                        Err(error) => (error.id(), u64::MAX, Next::Settled),
                    };
                    if let Some(run) = tasks.remove(&task) {
                        settle(&mut pending, run, seq, next);
                    }
                }
                () = tokio::time::sleep(idle) => {}
            }
        }
    }

    fn note(&self, pending: &mut BTreeMap<RunId, Pending>, view: RunView) {
        let old = view.ended_at.is_some_and(|ended| Timestamp::now().duration_since(ended) > GIVE_UP_AFTER);
        if old || !self.concerns(&view) {
            return;
        }
        let at = Timestamp::now();
        match pending.get_mut(&view.id) {
            Some(known) => (known.view, known.at) = (view, at),
            None => drop(pending.insert(view.id, Pending { view, at, busy: false })),
        }
    }

    fn start_due(
        self: &Arc<Self>,
        pending: &mut BTreeMap<RunId, Pending>,
        told: &mut JoinSet<(u64, Next)>,
        tasks: &mut HashMap<Id, RunId>,
    ) {
        let now = Timestamp::now();
        for (run, due) in pending.iter_mut().filter(|(_, due)| !due.busy && due.at <= now) {
            if told.len() >= AT_ONCE {
                return;
            }
            due.busy = true;
            let (telling, view) = (Arc::clone(self), due.view.clone());
            let task = told.spawn(async move { (view.seq, telling.tell(&view).await) });
            tasks.insert(task.id(), *run);
        }
    }

    /// Whether there may be something to tell of a run.
    fn concerns(&self, view: &RunView) -> bool {
        if self.notify.iter().any(|hook| hook.concerns(&view.spec)) {
            return true;
        }
        match &view.spec {
            RunSpec::Orders(spec) => !spec.callbacks.is_empty() || (spec.pull_request.is_some() && self.commenting.is_some()),
            RunSpec::Sync(spec) => self.publishing.is_some() && Publishing::concerns(spec),
            RunSpec::Terraform(_) | RunSpec::Probe(_) => false,
        }
    }

    /// Tells what is due of a run.
    async fn tell(&self, view: &RunView) -> Next {
        let mut next = self.tell_of_kind(view).await;
        for hook in &self.notify {
            next = next.min(unless_stored(view.id, hook.tell(self, view).await));
        }
        next
    }

    /// Tells what is told of runs of its kind alone.
    async fn tell_of_kind(&self, view: &RunView) -> Next {
        match &view.spec {
            RunSpec::Orders(spec) => self.tell_orders(view, spec).await,
            RunSpec::Sync(spec) => match &self.publishing {
                Some(publishing) => unless_stored(view.id, publishing.tell(self, view, spec).await),
                None => Next::Settled,
            },
            RunSpec::Terraform(_) | RunSpec::Probe(_) => Next::Settled,
        }
    }

    async fn tell_orders(&self, view: &RunView, spec: &OrdersSpec) -> Next {
        let mut next = Next::Settled;
        if let (Some(commenting), Some(on)) = (&self.commenting, &spec.pull_request) {
            next = next.min(unless_stored(view.id, commenting.tell(self, view, spec, on).await));
        }
        if view.status.is_terminal() {
            for n in 0..spec.callbacks.len() {
                next = next.min(unless_stored(view.id, self.call(view, &spec.callbacks[n], n).await));
            }
        }
        next
    }

    async fn call(&self, view: &RunView, sealed: &str, n: usize) -> Result<Next, BusError> {
        self.once(view, &subject::callback_key(view.id, n), "callback", self.deliver(view, sealed, n)).await
    }

    async fn deliver(&self, view: &RunView, sealed: &str, n: usize) -> Delivery {
        let (Ok(callback), Some(done)) = (self.sealer.open(sealed), marker(view)) else {
            return Delivery::Never("it was sealed by a gateway with another administrator's token".to_owned());
        };
        if !callback.is_allowed(&self.hosts) {
            return Delivery::Never(format!("{} is no longer among gateway.callback_hosts", callback.host()));
        }
        let (mut headers, mut content, mut body) = (Vec::new(), "application/json", serde_json::to_vec(&done).unwrap_or_default());
        match (callback.method, &self.secret) {
            (super::callback::Method::Put, _) => {}
            (super::callback::Method::Post, None) => {
                return Delivery::Never("there is no gateway.callback_secret to sign it with".to_owned());
            }
            (super::callback::Method::Post, Some(secret)) => {
                let (id, at) = (format!("{}.{n}", view.id), Timestamp::now());
                body = serde_json::to_vec(&event::completed(view, &done, &id, &self.public_url)).unwrap_or_default();
                content = "application/cloudevents+json; charset=utf-8";
                headers = vec![
                    ("webhook-signature", event::signature(secret, &id, at, &body)),
                    ("webhook-timestamp", at.as_second().to_string()),
                    ("webhook-id", id),
                ];
            }
        }
        deliver::send(&self.client, &callback, &headers, content, body).await
    }
}

/// Trouble with the store, or another gateway that was faster: looked at again soon.
fn unless_stored(run: RunId, told: Result<Next, BusError>) -> Next {
    told.unwrap_or_else(|error| {
        tracing::debug!(%run, error = chain(&error), "what is to be told outside could not be looked up; trying again");
        Next::At(Timestamp::now().checked_add(TRY_AGAIN).unwrap_or(Timestamp::MAX))
    })
}

fn settle(pending: &mut BTreeMap<RunId, Pending>, run: RunId, seq: u64, next: Next) {
    let Some(known) = pending.get_mut(&run) else { return };
    known.busy = false;
    // It has changed meanwhile: due at once.
    if known.view.seq != seq {
        return;
    }
    match next {
        Next::At(at) => known.at = at,
        Next::Settled if known.view.status.is_terminal() => drop(pending.remove(&run)),
        Next::Settled => known.at = Timestamp::MAX,
    }
}

fn until_next(pending: &BTreeMap<RunId, Pending>) -> Duration {
    let idle = Duration::from_mins(1);
    let first = pending.values().filter(|due| !due.busy).map(|due| due.at).min();
    let now = Timestamp::now();
    first.map_or(idle, |at| Duration::try_from(at.duration_since(now)).unwrap_or_default().clamp(Duration::from_millis(10), idle))
}
