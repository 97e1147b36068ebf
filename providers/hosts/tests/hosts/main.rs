//! The provider on hosts that boot Debian: tests/yard.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contract;
mod life;
mod stage;
mod trouble;
