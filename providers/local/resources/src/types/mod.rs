//! The types of resources, as clients and `state.json` have them. Plain data.

pub mod address;
pub mod backend_service;
pub mod disk;
pub mod firewall;
pub mod forwarding_rule;
pub mod health_check;
pub mod instance;
pub mod instance_group;
pub mod instance_group_manager;
pub mod instance_template;
pub mod legacy_health_check;
pub mod network;
pub mod operation;
pub mod project;
pub mod route;
pub mod subnetwork;
pub mod target_pool;
pub mod work;

pub use address::Address;
pub use backend_service::BackendService;
pub use disk::Disk;
pub use firewall::Firewall;
pub use forwarding_rule::ForwardingRule;
pub use health_check::HealthCheck;
pub use instance::{
    AccessConfig, AliasIpRange, AttachedDisk, Instance, Metadata, NetworkInterface, Tags,
};
pub use instance_group::InstanceGroup;
pub use instance_group_manager::InstanceGroupManager;
pub use instance_template::InstanceTemplate;
pub use legacy_health_check::{HttpHealthCheck, HttpsHealthCheck};
pub use network::Network;
pub use operation::Operation;
pub use project::Project;
pub use route::Route;
pub use subnetwork::Subnetwork;
pub use target_pool::TargetPool;
pub use work::{Job, Request, Stuck, Work};
