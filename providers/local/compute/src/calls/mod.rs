//! The calls of Compute Engine's v1 API: one file per kind of resource, plus shared parts.

mod backend_service;
mod builtin;
pub mod crud;
mod disk;
mod forwarding_rule;
mod image;
mod instance;
mod instance_group;
mod instance_group_manager;
mod labels;
mod managed_instances;
mod network;
mod operation;
mod patch;
mod project;
mod shared_vpc;
mod subnetwork;
mod target_pool;

use axum::Router;
use hakube_local_resources::types::{
    Address, Firewall, HealthCheck, HttpHealthCheck, HttpsHealthCheck, InstanceTemplate, Route,
};

use crate::cloud::Cloud;

pub use managed_instances::{repair, replace_deleted};

/// The routes below `/compute/v1`.
pub fn routes() -> Router<Cloud> {
    Router::new()
        .merge(builtin::routes())
        .merge(crud::changes::<Route>())
        .merge(image::routes())
        .merge(project::routes())
        .merge(shared_vpc::routes())
        .merge(network::routes())
        .merge(subnetwork::routes())
        .merge(patch::routes::<Firewall>())
        .merge(crud::routes::<Address>())
        .merge(crud::aggregated::<Address>())
        .merge(labels::routes::<Address>())
        .merge(disk::routes())
        .merge(instance::routes())
        .merge(instance_group::routes())
        .merge(crud::routes::<InstanceTemplate>())
        .merge(crud::aggregated::<InstanceTemplate>())
        .merge(instance_group_manager::routes())
        .merge(managed_instances::routes())
        .merge(patch::routes::<HealthCheck>())
        .merge(crud::aggregated::<HealthCheck>())
        .merge(patch::routes::<HttpHealthCheck>())
        .merge(patch::routes::<HttpsHealthCheck>())
        .merge(backend_service::routes())
        .merge(target_pool::routes())
        .merge(forwarding_rule::routes())
        .merge(operation::routes())
}
