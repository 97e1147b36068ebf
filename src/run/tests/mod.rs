//! Commands, run whole and in process, against a world that is stricter than the real one.
//!
//! A process is a runtime with a paused clock: killing it is dropping it, and its hours take no time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod converged;
mod crashes;
mod faults;
mod histories;
mod scenarios;
mod site;
mod world;
