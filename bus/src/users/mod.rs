//! Who may do what on NATS: a user for each role, with no more than it needs. One table ([`table`]), from which come the
//! users of `navvy up`'s own server, what `navvy admin users` prints, the page about streams and the test that tries it.
//!
//! Permissions are of subjects and nothing else, so what a role must be held to stands in its subjects.

mod conf;
mod table;

use proto::{PoolName, Seat};
use std::fmt;

/// What a process is on NATS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Creates and updates streams; not used while the fleet runs.
    Admin,
    Gateway,
    Scheduler,
    /// The worker in this seat.
    Worker(Seat),
}

impl Role {
    /// The role of a user of [`Users`], by its name. A pool's user stands for any of its workers; this one is the doctor.
    pub fn of_user(name: &str) -> Option<Self> {
        match name {
            ADMIN => Some(Self::Admin),
            GATEWAY => Some(Self::Gateway),
            SCHEDULER => Some(Self::Scheduler),
            worker => {
                let seat = worker.strip_prefix("worker.")?;
                let (pool, worker) = seat.split_once('.').unwrap_or((seat, "doctor"));
                Seat::of_tokens(pool, worker).map(Self::Worker)
            }
        }
    }

    /// Where its answers come in: the beginning of the subjects, without the last dot. A worker's tells its seat, so that the
    /// scheduler can see that an answer goes to who asked.
    pub(crate) fn inbox(&self) -> String {
        match self {
            Self::Admin => "_INBOX_admin".to_owned(),
            Self::Gateway => "_INBOX_gateway".to_owned(),
            Self::Scheduler => "_INBOX_scheduler".to_owned(),
            Self::Worker(seat) => format!("_INBOX_worker.{seat}"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Gateway => f.write_str("gateway"),
            Self::Scheduler => f.write_str("scheduler"),
            Self::Worker(seat) => write!(f, "worker {} of pool {}", seat.worker, seat.pool),
        }
    }
}

/// The users of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    /// Every pool that has workers; each has one user, which all of its workers share.
    pub pools: Vec<PoolName>,
    /// Workers that have a user of their own, which cannot speak for the others of the pool.
    pub workers: Vec<Seat>,
}

/// A user and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub permissions: Permissions,
}

/// The subjects a user may publish and subscribe to, each group with what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    pub publish: Vec<(&'static str, Vec<String>)>,
    pub subscribe: Vec<(&'static str, Vec<String>)>,
}

impl Users {
    /// One user for each role, and one for each of these pools.
    pub fn of_pools(pools: &[PoolName]) -> Self {
        Self { pools: pools.to_vec(), workers: Vec::new() }
    }

    /// All of them.
    pub fn all(&self) -> Vec<User> {
        let pools: Vec<PoolName> = self
            .pools
            .iter()
            .chain(self.workers.iter().map(|seat| &seat.pool))
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut users = vec![
            User { name: ADMIN.to_owned(), permissions: table::admin() },
            User { name: GATEWAY.to_owned(), permissions: table::gateway(&pools) },
            User { name: SCHEDULER.to_owned(), permissions: table::scheduler(&pools) },
        ];
        users.extend(self.pools.iter().map(|pool| User { name: user_of_pool(pool), permissions: table::worker(pool, None) }));
        users.extend(
            self.workers
                .iter()
                .map(|seat| User { name: format!("worker.{seat}"), permissions: table::worker(&seat.pool, Some(&seat.worker)) }),
        );
        users
    }
}

const ADMIN: &str = "admin";
const GATEWAY: &str = "gateway";
const SCHEDULER: &str = "scheduler";

fn user_of_pool(pool: &PoolName) -> String {
    format!("worker.{pool}")
}

/// The user that a role connects as where workers share their pool's.
pub(crate) fn user_of(role: &Role) -> String {
    match role {
        Role::Admin => ADMIN.to_owned(),
        Role::Gateway => GATEWAY.to_owned(),
        Role::Scheduler => SCHEDULER.to_owned(),
        Role::Worker(seat) => user_of_pool(&seat.pool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_streams_shows_the_users_as_they_are() {
        let page = include_str!("../../../docs/reference/streams.md");
        let example = Users { pools: vec![PoolName::default()], workers: Seat::of_tokens("gpu", "blue").into_iter().collect() };
        let made = example.configuration();
        assert!(page.contains(&made), "docs/reference/streams.md must contain this block:\n{made}");
    }

    #[test]
    fn a_user_tells_its_role() {
        let users = Users { pools: vec![PoolName::default()], workers: Seat::of_tokens("gpu", "blue").into_iter().collect() };
        let roles: Vec<String> = users.all().iter().filter_map(|user| Role::of_user(&user.name)).map(|role| role.to_string()).collect();
        assert_eq!(roles, ["admin", "gateway", "scheduler", "worker doctor of pool default", "worker blue of pool gpu"]);
        assert_eq!(Role::of_user("somebody"), None);
    }

    #[test]
    fn nobody_but_the_admin_may_make_a_stream_and_nobody_may_take_anything_away() {
        let users = Users { pools: vec![PoolName::default()], workers: Seat::of_tokens("gpu", "blue").into_iter().collect() };
        for user in users.all() {
            let subjects = user.permissions.publish.iter().flat_map(|(_, subjects)| subjects);
            for request in subjects.filter_map(|subject| subject.strip_prefix("$JS.API.")) {
                let makes = request.starts_with("STREAM.CREATE") || request.starts_with("STREAM.UPDATE");
                assert!(!makes || user.name == ADMIN, "{}: {request}", user.name);
                for never in
                    ["STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.DELETE", "STREAM.SNAPSHOT", "STREAM.RESTORE", "STREAM.*", "STREAM.>"]
                {
                    assert!(!request.starts_with(never), "{}: {request}", user.name);
                }
                assert!(!request.starts_with(['>', '*']), "{}: {request}", user.name);
            }
        }
    }
}
