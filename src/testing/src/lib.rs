//! Helpers for tests of several modules.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod counts;
pub mod fixtures;
pub mod histories;
pub mod sample;
