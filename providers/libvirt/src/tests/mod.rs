//! The provider on libvirt's test driver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contract;
mod crashes;
mod life;
mod preflight;
mod stage;
mod trouble;
mod wrong_host;
