//! nats-server: the program, the connection, the streams, and whether every write reaches the disk.
//!
//! Two worlds: an existing NATS (`nats.url`), of which a client cannot see the sync setting; and the own server of
//! `navvy up`, whose configuration lies in the data folder.

use std::path::{Path, PathBuf};

use bus::{Bus, BusError, ConnectOptions, Role};
use serde::Deserialize;
use service::settings::Settings;

use super::Finding;
use super::programs::ask;
use super::version::{Version, find, is_fixed};
use crate::{roles, up};

const LOWEST: Version = Version(2, 12, 0);
/// CVE-2026-33222 and its companions.
const FIXED: [Version; 1] = [Version(2, 12, 6)];
const UPDATE: &str = "update nats-server to 2.12.6 or newer";

/// All that can be known.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    if settings.nats.url.is_some() {
        let mut all = existing(settings).await;
        all.push(Finding::warn(
            "nats sync",
            "a client cannot see whether every write reaches the disk",
            "make sure that each server has jetstream { sync_interval: always }; its /jsz shows config.sync_always",
        ));
        return all;
    }
    let mut all = vec![program(settings).await];
    let folder = up::nats_folder(settings);
    match std::fs::read_to_string(folder.join("nats.conf")) {
        Err(_) => all.push(Finding::ok("nats", "no server of `navvy up` in this data folder yet")),
        Ok(config) => {
            all.push(sync(&config));
            all.extend(own(settings, &folder).await);
        }
    }
    all
}

async fn existing(settings: &Settings) -> Vec<Finding> {
    // The doctor of a machine has the credentials of the role that runs there, and may see what that role may.
    let role = settings.nats.user.as_deref().and_then(Role::of_user).unwrap_or(Role::Admin);
    match roles::connect(settings, "navvy-doctor", role.clone()).await {
        Ok(bus) => connected(&bus, settings, &role).await,
        Err(error) => {
            let found = format!("{error}: {}", crate::problem::causes(&error));
            vec![Finding::fail("nats", found, error.next())]
        }
    }
}

async fn connected(bus: &Bus, settings: &Settings, role: &Role) -> Vec<Finding> {
    let version = bus.server_version();
    let mut all = vec![match find(&version) {
        Some(number) if is_fixed(number, &FIXED) => Finding::ok("nats", format!("connected, nats-server {version}")),
        _ => Finding::warn("nats", format!("connected, nats-server {version} lacks security fixes"), UPDATE),
    }];
    let layout = roles::layout(settings);
    let checked = match role {
        Role::Worker(seat) => bus.check_pool(&seat.pool, &layout).await,
        Role::Admin | Role::Gateway | Role::Scheduler => bus.check_layout(&layout).await,
    };
    all.push(match checked {
        Ok(()) => Finding::ok("streams", "all there and as they should be"),
        Err(error @ BusError::Layout { .. }) => {
            Finding::fail("streams", error.to_string(), "run `navvy admin migrate` with the same settings")
        }
        Err(error) => Finding::fail("streams", error.to_string(), "look at the log of nats-server"),
    });
    all
}

/// The program that `navvy up` would start.
async fn program(settings: &Settings) -> Finding {
    let install = "install nats-server 2.12.6 or newer into PATH, or run `make tools`, or name it with nats.server_binary";
    for path in candidates(settings) {
        let Some(version) = ask(&path, "--version").await.as_deref().and_then(find) else {
            continue;
        };
        let found = format!("{version} at {}", path.display());
        return if version < LOWEST {
            Finding::fail("nats-server", format!("{found} is older than {LOWEST}"), install)
        } else if is_fixed(version, &FIXED) {
            Finding::ok("nats-server", found)
        } else {
            Finding::warn("nats-server", format!("{found} lacks security fixes"), UPDATE)
        };
    }
    Finding::fail("nats-server", "not found, or it does not answer", install)
}

/// The named one only; else PATH, then `.tools/bin` above the working directory.
fn candidates(settings: &Settings) -> Vec<PathBuf> {
    if let Some(named) = &settings.nats.server_binary {
        return vec![named.clone()];
    }
    let here = std::env::current_dir().unwrap_or_default();
    let tools = here.ancestors().map(|dir| dir.join(".tools/bin/nats-server")).filter(|path| path.is_file());
    std::iter::once(PathBuf::from("nats-server")).chain(tools).collect()
}

fn sync(config: &str) -> Finding {
    if config.contains("sync_interval: always") {
        return Finding::ok("nats sync", "the own server writes everything to disk before it answers");
    }
    let advice = "stop `navvy up` and start it again: it writes this configuration itself";
    Finding::fail("nats sync", "the own server's configuration lacks sync_interval: always", advice)
}

/// What `navvy up` remembers of its server (written by the crate `bus`).
#[derive(Deserialize)]
struct Record {
    pid: u32,
    port: u16,
    credentials: Credentials,
}

#[derive(Deserialize)]
struct Credentials {
    user: String,
    password: proto::Secret,
}

async fn own(settings: &Settings, folder: &Path) -> Vec<Finding> {
    let record = std::fs::read(folder.join("nats.json")).ok().and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
    let Some(record) = record.filter(|record| record.pid != 0) else {
        return vec![Finding::ok("nats", "the own server is stopped; `navvy up` starts it")];
    };
    let options = ConnectOptions {
        url: format!("nats://127.0.0.1:{}", record.port),
        user: Some(record.credentials.user),
        password: Some(record.credentials.password.expose().to_owned()),
        client_name: "navvy-doctor".into(),
        ..ConnectOptions::default()
    };
    let patience = std::time::Duration::from_secs(5);
    match tokio::time::timeout(patience, Bus::connect(options)).await {
        Ok(Ok(bus)) => connected(&bus, settings, &Role::Admin).await,
        Ok(Err(error)) => vec![unanswered(&error.to_string())],
        Err(_) => vec![unanswered("no answer within 5 s")],
    }
}

fn unanswered(why: &str) -> Finding {
    let advice = "is `navvy up` running? It starts the server again; its log is nats/nats.log in the data folder";
    Finding::warn("nats", format!("the own server should run and does not answer: {why}"), advice)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_configuration_without_sync_is_a_failure() {
        assert_eq!(sync("jetstream { store_dir: \"x\", sync_interval: always }").state, State::Ok);
        assert_eq!(sync("jetstream { store_dir: \"x\" }").state, State::Fail);
    }
}
