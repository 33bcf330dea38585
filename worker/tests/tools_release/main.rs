//! Tool versions: which one is taken, and what a release must show before it is believed. A mirror on this machine, keys
//! made with the real gpg, checked with the real gpgv.

mod choosing;
mod fetching;
mod keys;
mod mirror;
