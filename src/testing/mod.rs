//! What tests of several modules share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/shared/counts.rs"]
pub mod counts;
pub mod histories;
#[path = "../../tests/shared/sample.rs"]
pub mod sample;
