//! Syncs of services under deaths: pushes that a forge tells of, versions and releases that somebody asks for.
//!
//! Every lane follows two repositories of its own: in one, services are synced by a command that writes down what it does; in
//! the other, one by `docker compose` on a host behind a real sshd, one by a stand-in for Dokploy. The bare repository writes
//! down every reference that is changed in it.
//!
//! - [`points`] is the table of moments (C31–C39); [`play`] plays one of them; [`asked`] is what is asked for, and repeated;
//! - [`world`] is what a lane follows, and what can be seen there; [`dokploy`] is the stand-in;
//! - [`oracle`] holds effects, tags, logs and views against one another.

pub mod asked;
pub mod dokploy;
pub mod oracle;
pub mod play;
pub mod points;
pub mod world;
