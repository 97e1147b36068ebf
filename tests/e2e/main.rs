//! End to end: the built program, the local cloud, real etcd. Each test has a HAKUBE_HOME of its own,
//! so they run at the same time, and beside whatever else its user does.
//!
//! Nothing here shares code with the program: what it says is checked against etcd's own member list,
//! against the emulator's REST answers, and by writing through the endpoint as any client would.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../shared/calls.rs"]
mod calls;
#[path = "../shared/counts.rs"]
mod counts;
#[path = "../shared/sample.rs"]
mod sample;
mod support;

mod artifacts;
mod bad_cloud;
mod bad_input;
mod certificates;
mod chaos;
mod compute_engine;
mod contracts;
mod crashes;
mod crowd;
mod downloads;
mod failures;
mod hypervisor;
mod kube_up;
mod lifecycle;
mod lost_data;
mod neighbours;
mod nodes;
mod planned_calls;
mod private;
mod provider_contract;
mod real_kubernetes;
mod reboot;
mod repair;
mod secrets;
mod shared_vpc;
mod simultaneous;
mod surroundings;
