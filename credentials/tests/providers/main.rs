//! Every provider through the public door; those over HTTP are played by a stand-in on this machine.

mod aws;
mod ensured;
mod local;
mod session;
mod signature;
mod stand_in;
mod tls;
mod vault;
