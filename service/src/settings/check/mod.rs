//! Rules that a single key cannot show: ranges, syntax of addresses, and keys that contradict one another.
//!
//! All problems are collected, because repairing a configuration one error a start is misery. Doubt means refusal:
//! a setting that would open a door wider than its words say is never "fixed up" silently.

mod address;
mod edge;
mod fleet;
mod forge;
mod notify;
mod orders;
mod syncs;
mod worker_sync;

use address::UrlFault;

use super::problem::Problem;
use super::tree::Settings;

/// Collects problems.
#[derive(Debug, Default)]
struct Findings(Vec<Problem>);

impl Findings {
    fn add(&mut self, key: &str, what: impl Into<String>, why: &str, fix: &str) {
        self.0.push(Problem::new(key, what, why, fix));
    }

    /// Adds a problem unless `holds`.
    fn require(&mut self, holds: bool, key: &str, what: impl Into<String>, (why, fix): (&str, &str)) {
        if !holds {
            self.add(key, what, why, fix);
        }
    }
}

impl Findings {
    fn positive(&mut self, key: &str, number: u64) {
        let rest = ("nothing could be served with it", "write a larger number");
        self.require(number > 0, key, "is 0", rest);
    }

    /// Adds what is wrong with a URL, without quoting it: it may hold a password.
    fn url(&mut self, key: &str, fault: Option<UrlFault>, fix: &str) {
        let (what, why, fix) = match fault {
            None => return,
            Some(UrlFault::Shape) => ("is no address of the expected form", "it could not be reached", fix),
            Some(UrlFault::Credentials) => {
                ("holds a user name or password", "addresses are shown in logs and listings", "use the secret keys of the section instead")
            }
            Some(UrlFault::Plain) => {
                ("is plain http to another machine", "secrets or programs travel over it and could be read or replaced on the way", fix)
            }
        };
        self.add(key, what, why, fix);
    }
}

impl Settings {
    /// Compares the settings with one another and with the rules that a type cannot hold.
    ///
    /// # Errors
    /// Every problem found, in the order of the sections. Nothing is read from disk or network here.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        let mut found = Findings::default();
        edge::log(&self.log, &mut found);
        edge::nats(&self.nats, &mut found);
        edge::gateway(&self.gateway, &mut found);
        forge::github(&self.gateway.github, &mut found);
        orders::orders(&self.gateway, &mut found);
        fleet::scheduler(self, &mut found);
        fleet::worker(&self.worker, &mut found);
        orders::sources(&self.worker.sources, &mut found);
        orders::credentials(&self.worker.credentials, &mut found);
        worker_sync::worker_sync(&self.worker.sync, &self.worker.credentials, &mut found);
        fleet::git(&self.git, &mut found);
        edge::ops(self, &mut found);
        syncs::syncs(self, &mut found);
        notify::notify(self, &mut found);
        if found.0.is_empty() { Ok(()) } else { Err(found.0) }
    }
}

#[cfg(test)]
mod tests;
