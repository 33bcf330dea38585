//! The executor `compose` over a real sshd on this machine. Docker itself is played by a program that writes down how it was
//! called.

mod host;
mod rig;
mod stories;
