//! The harness of the system tests: real processes, a real nats-server, real git over HTTP, real terraform.
//!
//! - [`fleet`]: `navvy up`, or each role as a process of its own that can be killed and started again;
//! - [`forge`]: a forge that signs what it says;
//! - [`git`]: repositories behind `git http-backend`; [`ssh`]: the same behind an sshd;
//! - [`listener`]: a stranger who writes down what he is told;
//! - [`client`]: the HTTP API as a user sees it;
//! - [`eventually`]: waiting for something to become so. Nothing here sleeps for a while and hopes.
//!
//! The stories themselves are in `tests/stories/`, one story per file.

pub mod client;
pub mod fixture;
pub mod fleet;
pub mod forge;
pub mod git;
pub mod listener;
pub mod ssh;

use std::{future::Future, path::PathBuf, time::Duration};

/// How long anything may take on a slow, busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// Asks until the answer is there. `what` says what was waited for, when it never came.
pub async fn eventually<T, F: Future<Output = anyhow::Result<Option<T>>>>(what: &str, mut ask: impl FnMut() -> F) -> anyhow::Result<T> {
    let asking = async {
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer,
        Err(_) => anyhow::bail!("waited {PATIENCE:?} in vain for: {what}"),
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_owned()
}

/// A program built by this workspace, beside the test's own.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a running test has a path");
    // A test lies in `target/<profile>/deps`, another program beside the one that is looked for.
    let mut beside = own.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    beside
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is not built: run `cargo build --workspace` first (`make test` does)"))
}
