//! Tests of real machines. The init process is the example `machine-init`, which cargo builds with the
//! tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod guest;
mod ssh;
mod support;
mod units;
