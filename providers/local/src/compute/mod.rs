//! The Compute Engine v1 API: one file per kind of resource, and what they share.

pub mod address;
pub mod backend_service;
pub mod catalog;
pub mod crud;
pub mod disk;
pub mod disk_type;
pub mod empty;
pub mod error;
pub mod filter;
pub mod firewall;
pub mod forwarding_rule;
pub mod health_check;
pub mod instance;
pub mod instance_group;
pub mod instance_group_manager;
pub mod instance_template;
pub mod labels;
pub mod legacy_health_check;
pub mod limits;
pub mod link;
pub mod list;
pub mod managed_instances;
pub mod network;
pub mod patch;
pub mod place;
pub mod ports;
pub mod project;
pub mod quota;
pub mod resource;
pub mod route;
pub mod scope;
pub mod shared_vpc;
pub mod subnetwork;
pub mod target_pool;

use axum::Router;

use crate::cloud::Cloud;
use crate::operation;

/// Everything below `/compute/v1`.
pub fn routes() -> Router<Cloud> {
    Router::new()
        .merge(catalog::routes())
        .merge(disk_type::routes())
        .merge(empty::routes())
        .merge(project::routes())
        .merge(shared_vpc::routes())
        .merge(network::routes())
        .merge(route::routes())
        .merge(subnetwork::routes())
        .merge(patch::routes::<firewall::Firewall>())
        .merge(crud::routes::<address::Address>())
        .merge(crud::aggregated::<address::Address>())
        .merge(labels::routes::<address::Address>())
        .merge(disk::routes())
        .merge(instance::routes())
        .merge(instance_group::routes())
        .merge(crud::routes::<instance_template::InstanceTemplate>())
        .merge(crud::aggregated::<instance_template::InstanceTemplate>())
        .merge(instance_group_manager::routes())
        .merge(managed_instances::routes())
        .merge(patch::routes::<health_check::HealthCheck>())
        .merge(crud::aggregated::<health_check::HealthCheck>())
        .merge(patch::routes::<legacy_health_check::HttpHealthCheck>())
        .merge(patch::routes::<legacy_health_check::HttpsHealthCheck>())
        .merge(backend_service::routes())
        .merge(target_pool::routes())
        .merge(forwarding_rule::routes())
        .merge(operation::routes())
}
