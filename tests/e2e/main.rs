//! End-to-end tests: the built program, the local cloud, real etcd. Each test has its own HAKUBE_HOME, so
//! tests run in parallel and don't disturb the user's own clusters.
//!
//! The tests share no code with the program. They compare its output with etcd's member list and the
//! emulator's REST responses, and write through the endpoint as any client would.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../shared/calls.rs"]
mod calls;
use hakube_testing::counts;
use hakube_testing::sample;
mod support;

mod artifacts;
mod bad_cloud;
mod bad_input;
mod certificates;
mod chaos;
mod compute_engine;
mod conditions;
mod contracts;
mod crashes;
mod crowd;
mod downloads;
mod failures;
mod hypervisor;
mod identity;
mod inputs;
mod kube_up;
mod kubeconfigs;
mod lifecycle;
mod limits;
mod lost_data;
mod neighbours;
mod nodes;
mod planned_calls;
mod private;
mod provider_contract;
mod real_kubernetes;
mod reboot;
mod repair;
mod restore;
mod rotation;
mod secrets;
mod shared_vpc;
mod simultaneous;
mod surroundings;
mod tutorial;
mod upgrade;
