//! Tests of the local cloud over its API. The daemon is the example `local-cloud`, which cargo builds with
//! the tests; the machines are real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod addresses;
mod balancer;
mod daemon;
mod errors;
mod faults;
mod groups;
mod instances;
mod internal;
mod lists;
mod metadata;
mod networks;
mod pools;
mod quotas;
mod settings;
mod shared_vpc;
mod support;
mod time;
