//! Real terraform.
