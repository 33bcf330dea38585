//! Connecting to NATS, and the [`Bus`] from which every handle comes.

use crate::error::{BusError, Op};
use crate::link::Link;
use crate::signs::Signs;
use crate::users::Role;
use crate::{
    artifacts::Artifacts, asks::Asks, commit::Committer, control::Control, dead_letters::DeadLetters, decisions::Decisions,
    deliveries::Deliveries, deployments::Deployments, fleet::Fleet, inbox::Inbox, keys::Keys, locks::Locks, logs::Logs, nonces::Nonces,
    notices::Notices, run_log::RunLog, sealed::SealedSecrets, services::Services, views::Views, work::WorkQueue,
};
use async_nats::ConnectErrorKind;
use async_nats::jetstream::context::ContextBuilder;
use proto::PoolName;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How long the first connection may take in all.
const FIRST_CONNECTION: Duration = Duration::from_secs(20);
/// Longest pause between two attempts to reconnect.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A dead connection is noticed after about three of these.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Where NATS is and who we are.
#[derive(Clone, Default)]
pub struct ConnectOptions {
    /// `nats://host:port`, or several separated by commas.
    pub url: String,
    pub user: Option<String>,
    pub password: Option<String>,
    pub token: Option<String>,
    /// A `.creds` file (JWT and NKey).
    pub creds_file: Option<PathBuf>,
    /// Certificates (PEM) that the server's certificate is checked against, besides the system's.
    pub tls_ca_file: Option<PathBuf>,
    /// Shown in the server's list of connections.
    pub client_name: String,
    /// What this process is. Each role has its answers come in at a place of its own, so that permissions can keep others
    /// from reading them. Absent: a client that is none of the roles, with the place that all share.
    pub role: Option<Role>,
}

impl ConnectOptions {
    /// Who we are, in words for a person who looks for a missing permission.
    fn who(&self) -> String {
        let role = self.role.as_ref().map_or_else(String::new, |role| format!("{role} "));
        let credentials = match (&self.user, &self.creds_file) {
            (Some(user), _) => format!("user `{user}`"),
            (None, Some(file)) => format!("credentials file {}", file.display()),
            (None, None) if self.token.is_some() => "token".to_owned(),
            (None, None) => "no credentials".to_owned(),
        };
        format!("this {role}process ({credentials})")
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("url", &without_credentials(&self.url))
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("creds_file", &self.creds_file)
            .field("tls_ca_file", &self.tls_ca_file)
            .field("client_name", &self.client_name)
            .field("role", &self.role)
            .finish()
    }
}

/// A connection to NATS, reconnecting by itself for ever; a cheap clone.
#[derive(Debug, Clone)]
pub struct Bus {
    pub(crate) link: Link,
    committer: Committer,
    views: Views,
}

impl Bus {
    /// Connects, waiting up to 20 s for the server to come up. Wrong credentials and a server older than 2.12 fail at once.
    pub async fn connect(options: ConnectOptions) -> Result<Bus, BusError> {
        let shown = without_credentials(&options.url);
        let op = Op("connect to", &shown);
        let signs = Signs::new(&options.who());
        let client = first_connection(op, &options, &signs).await?;
        let version = client.server_info().version;
        if !new_enough(&version) {
            return Err(BusError::OldServer { version });
        }
        let js = ContextBuilder::new().timeout(crate::link::PATIENCE).build(client.clone());
        let link = Link { client, js, signs, shared_inbox: options.role.is_none() };
        Ok(Bus { committer: Committer::start(link.clone()), views: Views::new(link.clone()), link })
    }

    /// Whether there is a connection at this moment.
    pub fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    /// A real round trip to JetStream: what a readiness check should ask. Fails also when anything was refused on this
    /// connection for want of a permission: whoever cannot do all of its work is not ready.
    pub async fn probe(&self) -> Result<(), BusError> {
        if let Some(subject) = self.link.signs.standing_denial() {
            return Err(BusError::denied(Op("use", "NATS"), &subject, &self.link.signs.who));
        }
        self.link.round_trip().await
    }

    /// Returns once anything was refused on this connection for want of a permission. A role that cannot go on without its
    /// permissions ends with this error, whichever loop ran into it.
    pub async fn refused(&self) -> BusError {
        let subject = self.link.signs.any_denial().await;
        BusError::denied(Op("use", "NATS"), &subject, &self.link.signs.who)
    }

    /// Hands everything that was told without an acknowledgement to the network, before the process ends. Bounded.
    pub async fn close(&self) {
        let flushed = tokio::time::timeout(LONGEST_PAUSE, self.link.client.flush()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::debug!("the last messages may not have left this process");
        }
    }

    /// The version of the server we are connected to.
    pub fn server_version(&self) -> String {
        self.link.client.server_info().version
    }

    /// Triggers, commands and reports.
    pub fn inbox(&self) -> Inbox {
        Inbox::new(self.link.clone())
    }

    /// The decisions about runs.
    pub fn run_log(&self) -> RunLog {
        RunLog::new(self.link.clone(), self.committer.clone())
    }

    /// The decisions about runs, to be read only.
    pub fn decisions(&self) -> Decisions {
        Decisions::new(self.link.clone())
    }

    /// The lock records.
    pub fn locks(&self) -> Locks {
        Locks::new(self.link.clone())
    }

    /// Job orders.
    pub fn work(&self) -> WorkQueue {
        WorkQueue::new(self.link.clone())
    }

    /// A worker's questions to the scheduler.
    pub fn asks(&self) -> Asks {
        Asks::new(self.link.clone())
    }

    /// Stop signals.
    pub fn control(&self) -> Control {
        Control::new(self.link.clone())
    }

    /// Output of attempts.
    pub fn logs(&self) -> Logs {
        Logs::new(self.link.clone())
    }

    /// What the API shows.
    pub fn views(&self) -> Views {
        self.views.clone()
    }

    /// Live workers.
    pub fn fleet(&self) -> Fleet {
        Fleet::new(self.link.clone())
    }

    /// Sealed secrets of open runs.
    pub fn sealed(&self) -> SealedSecrets {
        SealedSecrets::new(self.link.clone())
    }

    /// What gateways have told the outside.
    pub fn notices(&self) -> Notices {
        Notices::new(self.link.clone())
    }

    /// How services and sources stand.
    pub fn services(&self) -> Services {
        Services::new(self.link.clone())
    }

    /// What webhooks brought.
    pub fn deliveries(&self) -> Deliveries {
        Deliveries::new(self.link.clone())
    }

    /// Which run a deployment of a version is.
    pub fn deployments(&self) -> Deployments {
        Deployments::new(self.link.clone())
    }

    /// Nonces of stamped signatures.
    pub fn nonces(&self) -> Nonces {
        Nonces::new(self.link.clone())
    }

    /// API keys and the scheduler's public key.
    pub fn keys(&self) -> Keys {
        Keys::new(self.link.clone())
    }

    /// Messages that nobody could handle.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.link.clone())
    }

    /// A pool's plans, archived logs, state files that could not be saved.
    pub fn artifacts(&self, pool: &PoolName) -> Artifacts {
        Artifacts::new(self.link.clone(), pool)
    }
}

async fn first_connection(op: Op<'_>, options: &ConnectOptions, signs: &Signs) -> Result<async_nats::Client, BusError> {
    let deadline = tokio::time::Instant::now() + FIRST_CONNECTION;
    let servers: Vec<async_nats::ServerAddr> = options
        .url
        .split(',')
        .map(|one| one.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(|e: std::io::Error| BusError::invalid(op, format!("not a NATS address: {e}")))?;
    let mut pause = Duration::from_millis(20);
    loop {
        let error = match client_options(op, options, signs).await?.connect(&servers[..]).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                return Err(BusError::denied(op, op.1, &signs.who));
            }
            ConnectErrorKind::ServerParse => return Err(BusError::invalid(op, "not a NATS address")),
            ConnectErrorKind::Tls
            | ConnectErrorKind::Dns
            | ConnectErrorKind::TimedOut
            | ConnectErrorKind::Io
            | ConnectErrorKind::MaxReconnects => {}
        }
        if tokio::time::Instant::now() + pause > deadline {
            return Err(BusError::unavailable_because(op, error));
        }
        tracing::info!(server = op.1, kind = %error.kind(), "NATS is not reachable yet, trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn client_options(op: Op<'_>, options: &ConnectOptions, signs: &Signs) -> Result<async_nats::ConnectOptions, BusError> {
    let signs = signs.clone();
    let mut made = async_nats::ConnectOptions::new()
        .name(&options.client_name)
        .request_timeout(Some(crate::link::PATIENCE))
        .ping_interval(PING_INTERVAL)
        .reconnect_delay_callback(reconnect_pause)
        .event_callback(move |event| {
            signs.note(&event);
            std::future::ready(())
        });
    if let Some(role) = &options.role {
        made = made.custom_inbox_prefix(role.inbox());
    }
    if let (Some(user), Some(password)) = (&options.user, &options.password) {
        made = made.user_and_password(user.clone(), password.clone());
    }
    if let Some(token) = &options.token {
        made = made.token(token.clone());
    }
    if let Some(file) = &options.tls_ca_file {
        made = made.add_root_certificates(file.clone()).require_tls(true);
    }
    if let Some(file) = &options.creds_file {
        let why = |e| BusError::invalid(op, format!("credentials file {}: {e}", file.display()));
        made = made.credentials_file(file).await.map_err(why)?;
    }
    Ok(made)
}

/// Soon at first, then once a second, spread out so that a fleet does not come back in one instant.
fn reconnect_pause(attempt: usize) -> Duration {
    let pause = Duration::from_millis(4 << attempt.min(10)).min(LONGEST_PAUSE);
    let spread = uuid::Uuid::new_v4().as_bytes()[0];
    pause.mul_f64(0.5 + f64::from(spread) / 510.0)
}

/// NATS 2.12 brought the atomic batches that locks and group commits are made of.
pub(crate) fn new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= (2, 12)
}

/// The address with whatever stands before an `@` taken out.
fn without_credentials(url: &str) -> String {
    url.split(',')
        .map(|one| match (one.find("://"), one.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => format!("{}***{}", &one[..scheme + 3], &one[at..]),
            (_, Some(at)) => format!("***{}", &one[at..]),
            (_, None) => one.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_an_address_are_not_shown() {
        assert_eq!(without_credentials("nats://u:p@a:1, b:2,x@c"), "nats://***@a:1, b:2,***@c");
        let options = ConnectOptions { password: Some("hunter2".into()), token: Some("hunter3".into()), ..ConnectOptions::default() };
        assert!(!format!("{options:?}").contains("hunter"));
    }

    #[test]
    fn servers_before_2_12_are_too_old() {
        for (version, good) in
            [("2.12.0", true), ("2.15.1", true), ("3.0.0", true), ("2.11.9", false), ("", false), ("2.12.0-beta.1", true)]
        {
            assert_eq!(new_enough(version), good, "{version}");
        }
    }

    #[test]
    fn the_pause_before_reconnecting_is_bounded() {
        assert!((0..200).all(|attempt| reconnect_pause(attempt) <= LONGEST_PAUSE));
    }
}
