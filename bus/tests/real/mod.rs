//! One file for each part of the crate.

mod layout;
