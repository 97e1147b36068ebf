//! The provider's calls on the wire: paths, queries, bodies, their order, and the handling of responses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod balancer;
mod calls;
mod credentials;
mod delete;
mod endpoint;
mod ensure;
mod garbage;
mod inspect;
mod node_group;
mod oddities;
mod permissions;
mod preflight;
mod private;
mod shared;
mod ssh;
mod support;
