//! Calls: the operation that they belong to, and those that a change makes, as plans show them.

use crate::inventory::ResourceId;
use crate::spec::{
    AddressSpec, BalancerSpec, EndpointSpec, EndpointTarget, FirewallSpec, MachineSpec,
    NetworkSpec, NodeGroupSpec,
};
use serde::{Deserialize, Serialize};

/// A change to make: one of the provider's methods, with its arguments.
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

/// The HTTP method of a call that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Delete a resource.
    Delete,
    /// Change a part of a resource.
    Patch,
    /// Create a resource, or start an action on one.
    Post,
    /// Replace a resource.
    Put,
}

/// A call that changes something. Reads and waits don't count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WireCall {
    /// The HTTP method.
    pub method: Method,
    /// The path below the API's base: `projects/p/zones/europe-west1-b/instances`.
    pub path: String,
}

/// The operation that a provider's calls are made for.
///
/// A provider whose API recognizes repeated requests derives its request ids from this. A call that is
/// repeated, even by another process after a crash, is then the same call. If an operation does the same
/// thing more than once (create, delete, recreate), the provider must tell these calls apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationKey {
    /// Stays the same until the operation is finished, whichever process continues it. Unique to
    /// the operation.
    pub id: String,
    /// Whether another process, such as one that was killed, may have made calls for it.
    pub resumed: bool,
}
