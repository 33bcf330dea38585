//! From settings to a NATS connection and a layout, and what a person should do when NATS refuses.

use std::time::Duration;

use bus::{Bus, BusError, ConnectOptions, Layout, Role};
use service::settings::Settings;

use crate::exit::Exit;
use crate::problem::CliError;

/// Connects to the servers of `nats.url` as what this process is.
///
/// # Errors
/// There is no `nats.url`; the servers cannot be reached within 20 s, refuse the credentials or are too old.
pub(crate) async fn connect(settings: &Settings, name: &str, role: Role) -> Result<Bus, CliError> {
    let nats = &settings.nats;
    let Some(url) = &nats.url else {
        return Err(CliError::Role {
            what: "it is not known which NATS to use: nats.url is not set".into(),
            next: "give --nats-url (or NAVVY__NATS__URL); `navvy up` brings a NATS of its own".into(),
            exit: Exit::Configuration,
            source: None,
        });
    };
    let options = ConnectOptions {
        url: url.clone(),
        user: nats.user.clone(),
        password: nats.password.as_ref().map(|secret| secret.expose().to_owned()),
        token: nats.token.as_ref().map(|secret| secret.expose().to_owned()),
        creds_file: nats.creds_file.clone(),
        tls_ca_file: nats.tls_ca_file.clone(),
        client_name: name.to_owned(),
        role: Some(role),
    };
    Bus::connect(options).await.map_err(nats_failed("connect to NATS"))
}

/// The streams and buckets that these settings want.
pub(crate) fn layout(settings: &Settings) -> Layout {
    let standard = Layout::default();
    Layout {
        replicas: settings.nats.replicas.max(1) as usize,
        shards: u8::try_from(settings.scheduler.shards.clamp(1, 255)).unwrap_or(1),
        pools: settings.worker.pool.parse().map_or_else(|_| standard.pools.clone(), |pool| vec![pool]),
        run_max_age: Duration::from(settings.scheduler.run_retention),
        ..standard
    }
}

/// Turns what NATS said into what a person should do. `operation` completes "cannot …".
pub(crate) fn nats_failed(operation: &'static str) -> impl Fn(BusError) -> CliError {
    move |error| {
        let (next, exit) = match &error {
            BusError::Unavailable { .. } | BusError::Timeout { .. } => {
                ("is nats-server running with JetStream, and is nats.url its address?", Exit::Unreachable)
            }
            BusError::Full { .. } => ("free disk space for NATS, or raise its limits", Exit::Unreachable),
            BusError::Denied { .. } => {
                ("check the user, token or creds file in the section [nats], and its permissions against `navvy admin users`", Exit::Denied)
            }
            BusError::OldServer { .. } => ("update nats-server to 2.12 or later", Exit::Broken),
            BusError::Layout { .. } | BusError::NotFound { .. } => {
                ("run `navvy admin migrate` with the same settings and enough rights", Exit::Broken)
            }
            BusError::Invalid { .. } => ("check the section [nats]", Exit::Configuration),
            BusError::Conflict { .. } | BusError::TooLarge { .. } | BusError::Corrupt { .. } | BusError::Refused { .. } => {
                ("look at the log of nats-server", Exit::Broken)
            }
        };
        CliError::Role { what: format!("cannot {operation}"), next: next.into(), exit, source: Some(Box::new(error)) }
    }
}

/// Something around a role failed. `what` is a whole sentence.
pub(crate) fn role_failed<E>(what: impl Into<String>, next: impl Into<String>) -> impl FnOnce(E) -> CliError
where
    E: std::error::Error + Send + Sync + 'static,
{
    let (what, next) = (what.into(), next.into());
    move |error| CliError::Role { what, next, exit: Exit::Broken, source: Some(Box::new(error)) }
}
