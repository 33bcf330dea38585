//! Stub
pub mod unpack;
