//! The interface that hakube requires of a provider of machines.
//!
//! A provider creates machines, one stable address, a balancer that can hold that address, and
//! groups of identical machines. It knows nothing of Kubernetes, etcd or plans. The caller chooses
//! names, zones and sizes; the provider creates exactly those or reports why it can't.
//!
//! Every method is idempotent: it checks first and does only what is missing. Everything created has the
//! cluster's ownership label ([`MARK`]), and [`Provider::inspect`] finds it by that label alone.

mod attempt;
mod calls;
mod error;
mod inventory;
mod owner;
mod spec;

pub use attempt::{Attempt, Failure};
pub use calls::{Change, Method, OperationKey, WireCall};
pub use error::{ErrorKind, ProviderError, Result};
pub use inventory::{
    Address, BackendGroup, Balancer, Disk, Firewall, Inventory, Machine, MachineState, NodeGroup,
    ResourceId, ResourceKind, Scope, SshServer,
};
pub use owner::{Namesake, Owner, namesakes, someone_elses};
pub use spec::{
    AddressSpec, BalancerSpec, DiskSpec, EndpointSpec, EndpointTarget, ExternalAddress,
    FirewallSource, FirewallSpec, Login, MachineRef, MachineSpec, NetworkSpec, NodeGroupSpec,
    PreflightSpec, Reach,
};

use async_trait::async_trait;
use std::collections::BTreeMap;

/// The key of the ownership label, or the start of the description of a resource that can't have
/// labels. The label is `hakube-cluster=<name>_<id>` ([`Owner::mark`]), the description is
/// [`mark_description`]. Wherever this crate has `cluster: &str`, it means that label's value.
pub const MARK: &str = "hakube-cluster";

/// The description of an owned resource that can't have labels: `hakube-cluster=<name>_<id>`. It is
/// compared as a whole, so one cluster's description is never a prefix of another's.
pub fn mark_description(owner: &str) -> String {
    format!("{MARK}={owner}")
}

/// A provider of machines.
///
/// Contract for all methods: idempotent (a second call with the same argument succeeds and changes
/// nothing); safe to repeat after a crash at any point of an earlier call; errors carry a kind that
/// the caller acts on ([`ErrorKind`]) and the provider's own message. No method retries beyond what
/// its client library does within one call.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Finds what would fail before anything is created: credentials, the project, zones, sizes,
    /// images, quotas, names already taken. Reports all findings at once; empty means none. What
    /// the provider doesn't reveal in advance (a zone's capacity, for instance) fails on creation.
    async fn preflight(&self, spec: &PreflightSpec) -> Result<Vec<ProviderError>>;

    /// The zones of the provider's region that can take machines, sorted.
    async fn zones(&self) -> Result<Vec<String>>;

    /// Names for machines created individually, by zone, in the order in which to take them, if
    /// machines exist beforehand. `None` if the provider creates machines under any name.
    async fn free_hosts(&self) -> Result<Option<BTreeMap<String, Vec<String>>>> {
        Ok(None)
    }

    /// Everything that has the cluster's ownership label now, as the provider itself reports it.
    async fn inspect(&self, cluster: &str) -> Result<Inventory>;

    /// The clusters of this name, of any id, that have machines, disks or addresses here; sorted.
    /// Leaves out what is unreachable.
    async fn namesakes(&self, name: &str) -> Result<Vec<Namesake>>;

    /// Ensures that the network and its subnetwork exist. An existing network without the ownership
    /// label is used as it is and never deleted. A missing one that the provider can't create is
    /// [`ErrorKind::Invalid`].
    async fn ensure_network(&self, spec: &NetworkSpec) -> Result<()>;

    /// Ensures that the firewall rule exists as specified. An existing rule that differs is fixed
    /// if it has the ownership label; otherwise it is a [`ErrorKind::Conflict`].
    async fn ensure_firewall(&self, spec: &FirewallSpec) -> Result<()>;

    /// Ensures that the address is reserved. Never moves it. If a certain address is required and
    /// unavailable, returns [`ErrorKind::Conflict`] and reserves nothing. An existing reservation
    /// of that name is used as it is.
    async fn ensure_address(&self, spec: &AddressSpec) -> Result<Address>;

    /// Ensures that the machine and its disks exist and that the machine has been started. Returns
    /// the machine, whose programs may still be booting. A machine of that name that isn't the
    /// cluster's is a [`ErrorKind::Conflict`].
    async fn ensure_machine(&self, spec: &MachineSpec) -> Result<Machine>;

    /// Ensures that all parts of the balancer exist that don't need the endpoint's address, with
    /// exactly these backends: missing ones are added, others removed. Never touches the address.
    async fn ensure_balancer(&self, spec: &BalancerSpec) -> Result<()>;

    /// Ensures that the target holds the endpoint's address. This is the swap: the address is released from
    /// its holder and assigned to the target, with no call in between. Changes nothing if the target holds it
    /// already. The balancer must exist ([`Provider::ensure_balancer`]).
    async fn point_endpoint(&self, spec: &EndpointSpec, target: &EndpointTarget) -> Result<()>;

    /// Ensures that a group of `size` identical machines exists, created from the spec's template.
    /// Returns once the group has that target size; its machines may still be booting.
    async fn ensure_node_group(&self, spec: &NodeGroupSpec) -> Result<()>;

    /// Deletes the resource and returns once it is gone. A missing resource is a success. A resource without
    /// the cluster's ownership label is a [`ErrorKind::Conflict`] and isn't deleted.
    async fn delete(&self, cluster: &str, resource: &ResourceId) -> Result<()>;

    /// A machine by name; `None` if it doesn't exist.
    async fn machine(&self, machine: &MachineRef) -> Result<Option<Machine>>;

    /// The machine's ssh server; `None` until the machine has booted far enough to report its host
    /// keys to the provider. The keys come from the provider, never from the server itself. That
    /// makes it safe to send secrets there.
    async fn ssh_server(&self, machine: &MachineRef) -> Result<Option<SshServer>>;

    /// The end of the machine's console output, for error messages.
    async fn console(&self, machine: &MachineRef) -> Result<String>;

    /// The calls that a change makes if `there` is what exists, for plans. Makes no calls. Empty
    /// for a provider without an API.
    fn calls_for(&self, _change: &Change<'_>, _there: &Inventory) -> Vec<WireCall> {
        Vec::new()
    }

    /// The number of calls made since this provider was built, polling included.
    fn calls(&self) -> u64;
}
