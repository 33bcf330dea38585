//! What the store says about runs, read past every process of Navvy.

use anyhow::Context as _;
use async_nats::jetstream;
use bus::{Bus, ConnectOptions};
use futures_util::TryStreamExt as _;
use proto::{
    RunId,
    sync::{Environment, ServiceId, ServiceState},
    view::{JobView, JobsPage, RunView},
};
use serde_json::Value;

/// A look into the store.
#[derive(Debug, Clone)]
pub struct Store {
    bus: Bus,
    jetstream: jetstream::Context,
}

/// A run as its log tells it.
#[derive(Debug, Clone)]
pub struct Logged {
    pub id: String,
    /// Every event, oldest first.
    pub events: Vec<Value>,
}

impl Store {
    pub async fn open(options: ConnectOptions) -> anyhow::Result<Self> {
        let mut plain = async_nats::ConnectOptions::new();
        if let (Some(user), Some(password)) = (&options.user, &options.password) {
            plain = plain.user_and_password(user.clone(), password.clone());
        }
        let servers: Vec<&str> = options.url.split(',').collect();
        let client = plain.connect(&servers[..]).await?;
        Ok(Self { bus: Bus::connect(options).await?, jetstream: jetstream::new(client) })
    }

    /// Every run that is in the store, open or over.
    pub async fn runs(&self) -> anyhow::Result<Vec<Logged>> {
        let stream = self.jetstream.get_stream("RUNS").await?;
        let subjects: Vec<(String, usize)> = stream.info_with_subjects("run.>").await?.try_collect().await?;
        let mut runs = Vec::with_capacity(subjects.len());
        for (subject, _) in subjects {
            let id = subject.rsplit('.').next().context("a subject ends with the run")?;
            let run: RunId = id.parse()?;
            let mut events = Vec::new();
            for (_, bytes) in self.bus.run_log().load(run).await? {
                let entry: Value = serde_json::from_slice(&bytes)?;
                events.extend(entry["events"].as_array().cloned().unwrap_or_default());
            }
            runs.push(Logged { id: id.to_owned(), events });
        }
        Ok(runs)
    }

    /// What is shown of a run: its view, and its orders by number.
    pub async fn shown(&self, run: &str) -> anyhow::Result<(RunView, Vec<JobView>)> {
        let run: RunId = run.parse()?;
        let view = self.bus.views().get(run).await?.context("the run has a view")?;
        let mut jobs = Vec::new();
        for page in 0..JobsPage::count(view.orders.map_or(0, |orders| orders.total)) {
            jobs.extend(self.bus.views().jobs(run, page).await?.with_context(|| format!("page {page} is there"))?.jobs);
        }
        Ok((view, jobs))
    }

    /// What is kept of a service; `None`: it was never synced.
    pub async fn service(&self, environment: &Environment, service: &ServiceId) -> anyhow::Result<Option<ServiceState>> {
        Ok(self.bus.services().service(environment, service).await?.value)
    }

    /// Has the servers choose another leader of a stream.
    pub async fn step_down(&self, stream: &str) -> anyhow::Result<()> {
        let _: Value = self.jetstream.request(format!("STREAM.LEADER.STEPDOWN.{stream}"), &()).await?;
        Ok(())
    }
}

impl Logged {
    /// How often an event of this kind is in the log.
    pub fn count(&self, kind: &str) -> usize {
        self.of(kind).count()
    }

    /// The events of one kind.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["event"] == kind)
    }

    /// The workspace that the run is for: tests give each thing they do one of its own.
    pub fn workspace(&self) -> &str {
        self.of("accepted").next().and_then(|event| event["trigger"]["spec"]["workspace"].as_str()).unwrap_or_default()
    }

    /// The trace of a run of orders: tests give each a trace of its own.
    pub fn trace(&self) -> &str {
        self.of("accepted").next().and_then(|event| event["trigger"]["spec"]["trace_id"].as_str()).unwrap_or_default()
    }

    /// How it ended, if it did.
    pub fn ending(&self) -> Option<&str> {
        self.of("run_ended").last().and_then(|event| event["ending"].as_str())
    }

    /// Whether nobody knows what it did, and nobody has settled it.
    pub fn is_unknown(&self) -> bool {
        self.ending().is_none() && self.count("job_unknown") > 0
    }
}
