//! The nats-server of `navvy up`: started, kept running, stopped last.
//!
//! When it ends by itself it is started again on the same port with the same credentials, so that every connection comes
//! back by itself; what was acknowledged is on disk.

use std::path::PathBuf;
use std::time::Duration;

use bus::{ConnectOptions, Role, Server, ServerError, ServerOptions};
use service::settings::Settings;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::problem::CliError;
use crate::roles;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// After it ran this long its next end is a new story.
const STABLE: Duration = Duration::from_mins(1);
/// It is started again this often in a row; then the process fails, because something is really wrong.
const TRIES: u32 = 10;

/// A running server of our own.
#[derive(Debug)]
pub(super) struct OwnServer {
    server: Server,
    options: ServerOptions,
}

impl OwnServer {
    /// Starts it on the data folder, or takes over the one that a killed process left there.
    pub(super) async fn start(settings: &Settings) -> Result<Self, CliError> {
        let options = ServerOptions {
            binary: settings.nats.server_binary.clone(),
            data_dir: folder(settings),
            pools: roles::layout(settings).pools,
            port: None,
        };
        match Server::start(options.clone()).await {
            Ok(server) => Ok(Self { server, options }),
            Err(error) => Err(failed(error)),
        }
    }

    /// How each role connects to it, with its own user, now and after every restart.
    pub(super) fn ways_to_connect(&self) -> impl Fn(Role) -> ConnectOptions + Send + Sync + use<> {
        self.server.ways_to_connect("navvy-up")
    }

    /// Keeps it running until `stop`, then stops it.
    ///
    /// # Errors
    /// It ended and cannot be started again, or it cannot be stopped.
    pub(super) async fn keep(mut self, stop: CancellationToken) -> Result<(), ServerError> {
        self.options.port = port_of(&self.server.connect_options("navvy-up").url);
        let (mut pause, mut tries) = (FIRST_PAUSE, 0);
        loop {
            let started = Instant::now();
            let status = tokio::select! {
                biased;
                () = stop.cancelled() => return self.server.stop().await,
                status = self.server.wait() => status,
            };
            if started.elapsed() > STABLE {
                (pause, tries) = (FIRST_PAUSE, 0);
            }
            tracing::error!(%status, "the own nats-server ended by itself; starting it again");
            // Frees the folder, which only one server may hold.
            drop(self.server);
            self.server = loop {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(pause) => {}
                }
                (pause, tries) = ((pause * 2).min(LONGEST_PAUSE), tries + 1);
                match Server::start(self.options.clone()).await {
                    Ok(server) => break server,
                    Err(error) if tries >= TRIES => return Err(error),
                    Err(error) => {
                        tracing::error!(%error, tries, "the own nats-server cannot be started; trying again");
                    }
                }
            };
            tracing::warn!(pid = self.server.pid(), "the own nats-server runs again");
        }
    }
}

/// Where the server of `navvy up` keeps everything.
pub(crate) fn folder(settings: &Settings) -> PathBuf {
    settings.data_dir.join("nats")
}

fn port_of(url: &str) -> Option<u16> {
    url.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

fn failed(error: ServerError) -> CliError {
    let next = match &error {
        // These texts say it themselves.
        ServerError::Binary(_) | ServerError::InUse { .. } | ServerError::Stuck { .. } => "",
        ServerError::File { .. } => "check the permissions of the data folder and the room on its disk",
        ServerError::Process { .. } | ServerError::Ended { .. } | ServerError::Silent { .. } => {
            "look at the log of nats-server, or use an existing server with --nats-url"
        }
    };
    let what = "cannot start the own nats-server".to_owned();
    CliError::Role { what, next: next.to_owned(), exit: Exit::Broken, source: Some(Box::new(error)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_keeps_the_port() {
        assert_eq!(port_of("nats://127.0.0.1:4222"), Some(4222));
        assert_eq!(port_of("nats"), None);
    }
}
