//! Which calls on the wire a change will take, for plans that are shown.

use crate::inventory::ResourceId;
use crate::spec::{
    AddressSpec, BalancerSpec, EndpointSpec, EndpointTarget, FirewallSpec, MachineSpec,
    NetworkSpec, NodeGroupSpec,
};
use serde::{Deserialize, Serialize};

/// What a provider is asked to change: one of its methods, with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// [`crate::Provider::ensure_network`]
    Network(&'a NetworkSpec),
    /// [`crate::Provider::ensure_firewall`]
    Firewall(&'a FirewallSpec),
    /// [`crate::Provider::ensure_address`]
    Address(&'a AddressSpec),
    /// [`crate::Provider::ensure_machine`]
    Machine(&'a MachineSpec),
    /// [`crate::Provider::ensure_balancer`]
    Balancer(&'a BalancerSpec),
    /// [`crate::Provider::point_endpoint`]
    Endpoint(&'a EndpointSpec, &'a EndpointTarget),
    /// [`crate::Provider::ensure_node_group`]
    NodeGroup(&'a NodeGroupSpec),
    /// [`crate::Provider::delete`]
    Delete(&'a ResourceId),
}

/// A call that changes something. Reading and waiting calls are none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WireCall {
    /// The HTTP method.
    pub method: String,
    /// The resource's path below the API's base: `projects/p/zones/europe-west1-b/instances`.
    pub path: String,
}
