//! The executor `compose`: `docker compose` on a host, over SSH.
//!
//! A service has a folder on its host: `files`, the commit's files that it needs, and `env`, its variables with what identifies
//! it (mode 0600). What is deployed is read from there before, and again where an answer was lost.

mod tar;

use self::tar::{Archive, LAST, NotPacked};
use super::{
    env_text::Lines,
    environment::Variables,
    floor::{Clock, Floor, Patience, failed, unclear, unless_pressed},
    kept::{self, DEPLOYED},
    made::{self, Made},
    secrets::Secrets,
    ssh::{Host, Input, Ran, Remote, SshError, quoted},
};
use crate::confine::Root;
use proto::{
    message::{AttemptOutcome, JobResult},
    sync::{ComposeTarget, ServiceSync, SyncAction, SyncResult},
};
use services::{
    backoff::REMOTE_UNREADABLE,
    hash::{Gate, VARIABLE},
};
use std::{
    io::{self, BufWriter, Write},
    path::Path,
    time::Duration,
};
use tokio::sync::mpsc;

/// How long reading and copying may take.
const SHORT: Duration = Duration::from_mins(5);
/// Of an archive on its way, in bytes: a few of them are held at a time.
const PIECE: usize = 64 << 10;
/// What the host's script ends with when the service was never deployed.
const ABSENT: i32 = 44;

/// One service to bring up to date.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub sync: &'a ServiceSync,
    pub target: &'a ComposeTarget,
    pub made: &'a Made,
    pub variables: &'a Variables,
    /// The root of the commit's files.
    pub checkout: &'a Path,
    pub host: &'a Host,
    /// Folder on the host below which services have theirs.
    pub dir: &'a str,
    pub secrets: Secrets<'a>,
    pub clock: &'a dyn Clock,
    /// How long a lost connection is looked behind.
    pub patience: Patience,
}

/// Does all of it.
pub async fn perform(floor: &mut impl Floor, order: &Order<'_>) -> AttemptOutcome {
    match begin(floor, order).await {
        Ok(result) => AttemptOutcome::Succeeded { result: JobResult::Sync(result) },
        Err(outcome) => outcome,
    }
}

/// The places of a service on its host.
struct Places {
    /// As a word of a shell.
    folder: String,
    /// Name of the compose project.
    project: String,
}

async fn begin(floor: &mut impl Floor, order: &Order<'_>) -> Result<SyncResult, AttemptOutcome> {
    let places = places(floor, order)?;
    let archive = archive(floor, order).await?;
    let expected = order.secrets.look(floor, order.made).await?;
    let local = order.made.hashes(&expected);
    let before = read(floor, order, &places).await?;
    let gate = kept::gate(&before, &local);
    if let (Gate::Unchanged { by }, false) = (&gate, order.sync.force) {
        let details = format!("nothing has changed: {} is deployed already, as {by} says", order.sync.service.service);
        return Ok(SyncResult { action: SyncAction::Skipped, details, hash: Some(local.v2), untouched: false });
    }
    kept::can_log_in(floor, order.made, &before)?;
    unless_pressed(floor)?;
    floor.start_effects().await.map_err(|reason| AttemptOutcome::NotStarted { reason })?;
    let versions = order.secrets.ensure(floor, order.made).await?;
    let identity = order.made.hashes(&versions).v2;
    if let Some(data) = &order.made.data {
        order.host.make_folder(floor, data).await?;
    }
    copy(floor, order, &places, archive).await?;
    failpoint::failpoint!("worker.compose.copied");
    store(floor, order, &places, &before, &identity).await?;
    failpoint::failpoint!("worker.compose.stored");
    up(floor, order, &places, &identity).await?;
    failpoint::failpoint!("worker.compose.up");
    let action = if gate == Gate::Absent { SyncAction::Created } else { SyncAction::Updated };
    let details = floor.mask(&format!("{} at {}: {}", action.as_str(), order.sync.commit, kept::reason(&gate, order.sync.force)));
    Ok(SyncResult { action, details, hash: Some(identity), untouched: false })
}

fn places(floor: &impl Floor, order: &Order<'_>) -> Result<Places, AttemptOutcome> {
    let project = made::filled(&order.target.project, order.sync, order.variables).map_err(|failure| AttemptOutcome::Failed { failure })?;
    // As docker compose wants it.
    let good = project.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && project.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
    if !good {
        let message =
            "the name of the compose project is none: a-z, 0-9, `_` and `-`, starting with a letter or digit; nothing was touched";
        return Err(failed(floor, "service", message, "Correct `project` in the mapping."));
    }
    let service = &order.sync.service.service;
    let folder = format!("{}/{}/{}{}", order.dir.trim_end_matches('/'), service.project(), service.name(), order.sync.environment.suffix());
    Ok(Places { folder: quoted(&folder), project })
}

async fn archive(floor: &impl Floor, order: &Order<'_>) -> Result<Archive, AttemptOutcome> {
    let (checkout, made) = (order.checkout.to_owned(), order.made.clone());
    let packed = tokio::task::spawn_blocking(move || {
        let root = Root::new(&checkout)?;
        Archive::of(root, std::iter::once(&made.compose_path).chain(&made.files))
    });
    let why = match packed.await {
        Ok(Ok(archive)) => return Ok(archive),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Err(not_packed(floor, &format!("{why}; nothing was touched")))
}

fn not_packed(floor: &impl Floor, why: &str) -> AttemptOutcome {
    let message = format!("the service's files cannot be packed: {why}");
    failed(floor, "service", &message, "Correct the service's files in the repository.")
}

/// What the host says is deployed. A host that does not answer is not deployed to: who forces it must reach it all the same.
async fn read(floor: &mut impl Floor, order: &Order<'_>, places: &Places) -> Result<Lines, AttemptOutcome> {
    let folder = &places.folder;
    let script = format!("[ -e {folder} ] || exit {ABSENT}; cd -- {folder} || exit 1; [ -e env ] || exit {ABSENT}; cat -- env");
    let why = match order.host.run(floor, Remote { script: &script, input: Input::Bytes(b""), limit: SHORT, keep: true }).await {
        Ok(Ran { code: 0, answer, .. }) => match String::from_utf8(answer) {
            Ok(text) => return Ok(kept::read(floor, &text)),
            Err(_) => "its variables are not UTF-8".to_owned(),
        },
        Ok(Ran { code: ABSENT, .. }) => return Ok(Lines::default()),
        Ok(Ran { code, last, .. }) => format!("reading ended with exit code {code}: {last}"),
        Err(error) => error.to_string(),
    };
    let message = format!("what is deployed on {} cannot be read, so that nothing is deployed: {why}", order.host.name());
    Err(failed(floor, REMOTE_UNREADABLE, &message, "Look whether the host is well and lets the worker in; then run the sync again."))
}

/// Brings the files to the host, beside those that are in use, and puts them in their place once all have come.
async fn copy(floor: &mut impl Floor, order: &Order<'_>, places: &Places, archive: Archive) -> Result<(), AttemptOutcome> {
    floor.narrate(&format!("Copying {} files to {}", order.made.files.len() + 1, order.host.name()));
    let folder = &places.folder;
    let script = format!(
        "set -e; umask 077; mkdir -p -- {folder}; cd -- {folder}; rm -rf files.new files.old; mkdir files.new; chmod 755 . files.new; \
         tar -x -f - -C files.new; rm files.new/{LAST}; if [ -e files ]; then mv files files.old; fi; mv files.new files; rm -rf files.old"
    );
    let (sender, pieces) = mpsc::channel(4);
    let packing = tokio::task::spawn_blocking(move || archive.write_to(&mut BufWriter::with_capacity(PIECE, Pieces(sender))));
    let remote = Remote { script: &script, input: Input::Pieces(pieces), limit: SHORT, keep: false };
    let copied = step(floor, order, "the files cannot be copied", remote).await;
    match packing.await {
        // A host that takes no more says by its own end why.
        Ok(Ok(()) | Err(NotPacked::NotTaken(_))) => copied,
        Ok(Err(error @ (NotPacked::Refused(_) | NotPacked::Path(_) | NotPacked::TooLarge | NotPacked::Changed(_)))) => {
            Err(not_packed(floor, &format!("{error}; nothing was deployed")))
        }
        Err(error) => Err(not_packed(floor, &format!("{error}; nothing was deployed"))),
    }
}

/// Hands an archive on as it is written, to whoever reads at the other end.
struct Pieces(mpsc::Sender<Vec<u8>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.blocking_send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the variables: on stdin, never as an argument.
async fn store(floor: &mut impl Floor, order: &Order<'_>, places: &Places, before: &Lines, identity: &str) -> Result<(), AttemptOutcome> {
    let text = kept::variables(order.made, before, order.sync.commit.as_str(), identity, false);
    let text = text.map_err(|error| failed(floor, "service", &error.to_string(), "Write the value without them in the mapping."))?;
    let script = format!("set -e; umask 077; cd -- {}; cat > env.new; mv -f env.new env", places.folder);
    step(
        floor,
        order,
        "the variables cannot be written",
        Remote { script: &script, input: Input::Bytes(text.as_bytes()), limit: SHORT, keep: false },
    )
    .await
}

/// A step before anything runs anew: if it does not end well, nothing was deployed.
async fn step(floor: &mut impl Floor, order: &Order<'_>, what: &str, remote: Remote<'_>) -> Result<(), AttemptOutcome> {
    let why = match order.host.run(floor, remote).await {
        Ok(Ran { code: 0, .. }) => return Ok(()),
        Ok(Ran { code, last, .. }) => format!("it ended with exit code {code}: {last}"),
        Err(error) => error.to_string(),
    };
    let message = format!("nothing was deployed: {what} on {}: {why}", order.host.name());
    Err(failed(floor, "host", &message, "Check the host, its disk, and what the worker's user may do there; then run the sync again."))
}

/// Starts the containers. The host itself writes down that it went well, so that a lost connection can be told from a failure.
async fn up(floor: &mut impl Floor, order: &Order<'_>, places: &Places, identity: &str) -> Result<(), AttemptOutcome> {
    floor.narrate(&format!("Deploying {} at {} on {}", order.sync.service.service, order.sync.commit, order.host.name()));
    let file = quoted(&format!("files/{}", order.made.compose_path));
    // Compose sees no change in what is built from or mounted of the files.
    let anew = if order.made.files.is_empty() { "" } else { " --build --force-recreate" };
    let script = format!(
        "set -e; cd -- {}; docker compose -p {} -f {file} --env-file env up -d --remove-orphans{anew}; printf '%s\\n' {} >> env",
        places.folder,
        quoted(&places.project),
        quoted(&format!("{DEPLOYED}={identity}"))
    );
    let limit = Duration::from_secs(u64::from(order.sync.timeout_s));
    match order.host.run(floor, Remote { script: &script, input: Input::Bytes(b""), limit, keep: false }).await {
        Ok(Ran { code: 0, .. }) => Ok(()),
        Ok(Ran { code, last, .. }) => {
            let message = format!("docker compose on {} ended with exit code {code}: {last}", order.host.name());
            Err(failed(floor, "compose_failed", &message, "Look at the log: its last lines say why. The next sync deploys again."))
        }
        Err(error @ SshError::NotStarted(_)) => {
            Err(failed(floor, "host", &format!("nothing was deployed: {error}"), "Install an SSH client on the worker."))
        }
        Err(error @ (SshError::TimedOut { .. } | SshError::Pressed)) => Err(lost(floor, &error)),
        Err(error @ SshError::Failed { .. }) => settled(floor, order, places, identity, &error).await,
    }
}

/// Reads back what came of it when the connection was lost: the host goes on by itself.
async fn settled(
    floor: &mut impl Floor,
    order: &Order<'_>,
    places: &Places,
    identity: &str,
    error: &SshError,
) -> Result<(), AttemptOutcome> {
    floor.narrate("⚠ the connection was lost; looking what came of it");
    let begun = order.clock.now();
    loop {
        if let Ok(now) = read(floor, order, places).await
            && now.value(DEPLOYED) == Some(identity)
            && now.value(VARIABLE) == Some(identity)
        {
            return Ok(());
        }
        if order.clock.now().saturating_sub(begun) >= order.patience.timeout || unless_pressed(floor).is_err() {
            return Err(lost(floor, error));
        }
        order.clock.pause(order.patience.interval).await;
    }
}

fn lost(floor: &impl Floor, error: &SshError) -> AttemptOutcome {
    unclear(floor, &format!("docker compose was started on the host, and how it ended is not known: {error}"))
}
