//! What hakube asks of a provider of machines, and nothing else.
//!
//! A provider makes machines, one stable address, a balancer that can hold that address, and groups of
//! identical machines. It knows nothing of Kubernetes, of etcd or of plans: names, zones and sizes are
//! chosen before it is called, and it makes exactly that or says why not.
//!
//! Every method is idempotent: it looks first, and finds done what is done. Everything made bears the
//! cluster's mark ([`MARK`]), and [`Provider::inspect`] finds it again by that mark alone.

mod attempt;
mod calls;
mod error;
mod inventory;
mod operation;
mod spec;

pub use attempt::{Attempt, Failure};
pub use calls::{Change, WireCall};
pub use error::{ErrorKind, ProviderError, Result};
pub use inventory::{
    Address, BackendGroup, Balancer, Disk, Firewall, Inventory, Machine, MachineState, NodeGroup,
    ResourceId, ResourceKind, Scope, SshServer,
};
pub use operation::OperationKey;
pub use spec::{
    AddressSpec, BalancerSpec, DiskSpec, EndpointSpec, EndpointTarget, ExternalAddress,
    FirewallSource, FirewallSpec, Login, MachineRef, MachineSpec, NetworkSpec, NodeGroupSpec,
    PreflightSpec, Reach,
};

use async_trait::async_trait;
use std::collections::BTreeMap;

/// The label (or, where a resource has no labels, the start of its description) that marks what
/// belongs to a cluster. As a label: `hakube-cluster=<name>`; as a description: [`mark_description`].
pub const MARK: &str = "hakube-cluster";

/// The description that marks a resource which can't have labels: `hakube-cluster=<name>`, whole
/// string, so that no cluster's mark is a prefix of another's. Where clusters of one name may meet, a
/// provider's `owner` says more than the name.
pub fn mark_description(owner: &str) -> String {
    format!("{MARK}={owner}")
}

/// A provider of machines.
///
/// Contract for all methods: idempotent (a second call with the same argument changes nothing and
/// succeeds); safe to call again after a crash at any instant of an earlier call; errors carry a kind
/// that the caller acts on ([`ErrorKind`]) and the provider's own words. No method retries beyond what
/// its client library does inside one call.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What can't work is found before anything is made: credentials, the project, zones, sizes, images,
    /// quotas, names that are taken. All findings in one report; empty when all is well. What the provider
    /// doesn't tell beforehand (room in a zone, say) shows when it is asked for.
    async fn preflight(&self, spec: &PreflightSpec) -> Result<Vec<ProviderError>>;

    /// The zones of the provider's region that can take machines, sorted.
    async fn zones(&self) -> Result<Vec<String>>;

    /// The names that machines made one by one may have, by zone, the first to be taken first: where machines are there
    /// already. `None` where they are made, and called as the caller likes.
    async fn free_hosts(&self) -> Result<Option<BTreeMap<String, Vec<String>>>> {
        Ok(None)
    }

    /// Everything that bears the cluster's mark, at this moment, from the provider itself.
    async fn inspect(&self, cluster: &str) -> Result<Inventory>;

    /// The network (and its subnetwork) exists. One that exists already without the cluster's mark is
    /// used as it is and never deleted. One that isn't the provider's to make is [`ErrorKind::Invalid`] if
    /// it is missing.
    async fn ensure_network(&self, spec: &NetworkSpec) -> Result<()>;

    /// The firewall rule exists as specified; a rule of that name which differs is put right if it
    /// bears the mark, else it is a [`ErrorKind::Conflict`].
    async fn ensure_firewall(&self, spec: &FirewallSpec) -> Result<()>;

    /// The address is reserved. Never moves it.
    async fn ensure_address(&self, spec: &AddressSpec) -> Result<Address>;

    /// The machine and its disks exist and the machine has been started. Returns it as it is then; the
    /// programs on it may still be booting. A machine of that name without the mark is a
    /// [`ErrorKind::Conflict`].
    async fn ensure_machine(&self, spec: &MachineSpec) -> Result<Machine>;

    /// Everything of the balancer that can exist before the endpoint's address sits on it, with exactly
    /// these backends: added ones are added, others removed. Never touches the address.
    async fn ensure_balancer(&self, spec: &BalancerSpec) -> Result<()>;

    /// The endpoint's address sits on the target. This is the swap: the address is released from where
    /// it is and put where it should be, with nothing in between. A target that already holds it: no
    /// call that changes anything. The balancer must exist ([`Provider::ensure_balancer`]).
    async fn point_endpoint(&self, spec: &EndpointSpec, target: &EndpointTarget) -> Result<()>;

    /// A group of `size` identical machines exists, made from the spec's template. Returns when the
    /// group was asked for that size; its machines may still be booting.
    async fn ensure_node_group(&self, spec: &NodeGroupSpec) -> Result<()>;

    /// The resource is gone when this returns. Absent is success. A resource that isn't the cluster's
    /// (no mark) is a [`ErrorKind::Conflict`] and stays.
    async fn delete(&self, cluster: &str, resource: &ResourceId) -> Result<()>;

    /// One machine by name, `None` when there is none.
    async fn machine(&self, machine: &MachineRef) -> Result<Option<Machine>>;

    /// The machine's ssh server, `None` until it has booted far enough to have told the provider its
    /// host keys. They come from the provider, never from the server itself: that is what makes it
    /// safe to send secrets there.
    async fn ssh_server(&self, machine: &MachineRef) -> Result<Option<SshServer>>;

    /// The last part of the machine's console, for error messages.
    async fn console(&self, machine: &MachineRef) -> Result<String>;

    /// The calls that a change will take if the cluster has what is `there`, for plans that are shown. Nothing
    /// is called for it. A provider that has no API to call says nothing.
    fn calls_for(&self, _change: &Change<'_>, _there: &Inventory) -> Vec<WireCall> {
        Vec::new()
    }

    /// Calls made over the wire since this provider was built, polling included.
    fn calls(&self) -> u64;
}
