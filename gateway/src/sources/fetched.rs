//! Secrets of a webhook that stand in a store of secrets (Vault) and in no file: fetched when a gateway starts, and each minute after.
//!
//! Until they were fetched once there are none, and the source takes nothing. After that those that were good last go on, whatever
//! the store says or does not say, and [`Fetched::check`] tells what is wrong. How the store is asked is its owner's business.

use super::Secrets;
use proto::Secret;
use service::settings::ForgeKind;
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How often a secret is fetched again.
const EACH: Duration = Duration::from_mins(1);
/// How often while there has been none yet.
const AT_FIRST: Duration = Duration::from_secs(2);

/// The text of one field of a secret, or why not, in words without any of it.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Secret, String>> + Send + 'a>>;

/// Where secrets are fetched that stand in no file.
pub trait SecretStore: fmt::Debug + Send + Sync {
    /// One field of a secret: `MOUNT/PATH#FIELD`.
    fn fetch<'a>(&'a self, path: &'a str) -> Fetching<'a>;
}

/// The secrets of one source.
#[derive(Debug)]
pub(super) struct Fetched {
    path: String,
    kind: ForgeKind,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    good: Option<Arc<Secrets>>,
    fault: Option<String>,
}

impl Fetched {
    pub(super) fn new(path: &str, kind: ForgeKind) -> Self {
        let state = State { good: None, fault: Some("they have not been fetched yet".to_owned()) };
        Self { path: path.to_owned(), kind, state: Mutex::new(state) }
    }

    /// Those that were good last; absent: there have been none yet.
    pub(super) fn now(&self) -> Option<Arc<Secrets>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).good.clone()
    }

    /// Whether they could be fetched the last time.
    pub(super) fn check(&self) -> Result<(), String> {
        let fault = self.state.lock().unwrap_or_else(PoisonError::into_inner).fault.clone();
        fault.map_or(Ok(()), |what| Err(format!("the webhook's secrets at {}: {what}", self.path)))
    }

    /// Fetches them anew until the gateway stops.
    pub(super) async fn follow(&self, store: &dyn SecretStore, stop: &CancellationToken) {
        loop {
            let pause = if self.now().is_some() { EACH } else { AT_FIRST };
            tokio::select! {
                () = stop.cancelled() => return,
                () = async {
                    self.take(store.fetch(&self.path).await);
                    tokio::time::sleep(pause).await;
                } => {}
            }
        }
    }

    fn take(&self, fetched: Result<Secret, String>) {
        let fetched = fetched.and_then(|text| Secrets::parse(text.expose(), self.kind));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Ok(secrets) => {
                if state.fault.take().is_some() {
                    tracing::info!(path = self.path, "the secrets of a webhook were fetched");
                }
                state.good = Some(Arc::new(secrets));
            }
            Err(what) => {
                if state.fault.as_ref() != Some(&what) {
                    tracing::error!(
                        path = self.path,
                        why = what,
                        had = state.good.is_some(),
                        "the secrets of a webhook cannot be fetched; those that were good last go on"
                    );
                }
                state.fault = Some(what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_none_before_the_first_and_the_last_good_ones_after() {
        let fetched = Fetched::new("secret/x#Y", ForgeKind::Github);
        let (one, two) = ("a".repeat(32), "b".repeat(32));
        assert!(fetched.now().is_none() && fetched.check().unwrap_err().contains("secret/x#Y"), "not yet");
        fetched.take(Err("Vault is away".into()));
        assert!(fetched.now().is_none() && fetched.check().unwrap_err().contains("Vault is away"));
        fetched.take(Ok(Secret::new("short")));
        assert!(fetched.now().is_none() && fetched.check().unwrap_err().contains("has 5 bytes"));
        fetched.take(Ok(Secret::new(one.as_str())));
        assert_eq!((fetched.now().map(|secrets| secrets.count()), fetched.check()), (Some(1), Ok(())));
        for bad in [Err("Vault is away".into()), Ok(Secret::new("")), Ok(Secret::new(format!("{one}\n{two}\n{one}1")))] {
            fetched.take(bad);
            assert!(fetched.now().is_some_and(|secrets| secrets.count() == 1) && fetched.check().is_err());
        }
        fetched.take(Ok(Secret::new(format!("{two}\n{one}\n"))));
        assert_eq!((fetched.now().map(|secrets| secrets.count()), fetched.check()), (Some(2), Ok(())));
        assert!(!format!("{fetched:?}").contains(&one));
    }
}
