//! The end of a cluster: everything that bears its mark, and the proof that nothing is left.

use super::step::{Action, Draft, Key, Plan, delete_key};
use crate::cluster::{Intent, Observed, Quorum};
use hakube_provider::{ResourceId, ResourceKind};

/// What must be gone before a resource of this kind can go. The address is the last thing that clients
/// know of a cluster, and goes when nothing can hold it any more.
fn holders(kind: ResourceKind) -> &'static [ResourceKind] {
    use ResourceKind as K;
    match kind {
        K::ForwardingRule | K::NodeGroup | K::Machine => &[],
        K::BackendService => &[K::ForwardingRule],
        K::Address => &[K::ForwardingRule, K::Machine],
        K::HealthCheck | K::BackendGroup => &[K::BackendService],
        K::MachineTemplate => &[K::NodeGroup],
        K::Disk => &[K::Machine],
        K::Image => &[K::Machine, K::NodeGroup, K::Disk],
        K::Firewall => &[K::Machine, K::NodeGroup],
        K::Subnetwork => &[
            K::Address,
            K::Machine,
            K::NodeGroup,
            K::MachineTemplate,
            K::Firewall,
            K::BackendGroup,
        ],
        K::Network => &[
            K::Address,
            K::Machine,
            K::NodeGroup,
            K::MachineTemplate,
            K::Firewall,
            K::BackendGroup,
            K::Subnetwork,
        ],
    }
}

pub(super) fn plan(intent: &Intent, observed: &Observed) -> Plan {
    // What is in a zone that can't be asked may hold the address still, on the same network.
    let all_seen = observed.inventory.unreachable.is_empty();
    let is_held_elsewhere = |resource: &ResourceId| {
        !all_seen && matches!(resource.kind, ResourceKind::Address | ResourceKind::Network)
    };
    let mut resources: Vec<&ResourceId> = observed
        .inventory
        .resources
        .iter()
        .filter(|resource| !intent.keeps(resource) && !is_held_elsewhere(resource))
        .collect();
    // ResourceKind's own order is one in which nothing is deleted before what holds it.
    resources.sort();
    let mut draft = Draft::new(Quorum {
        voters: 0,
        healthy: 0,
    });
    let mut all: Vec<Key> = Vec::new();
    for resource in &resources {
        let needs: Vec<Key> = resources
            .iter()
            .filter(|other| holders(resource.kind).contains(&other.kind))
            .map(|other| delete_key(other))
            .collect();
        all.push(draft.delete((*resource).clone(), &needs));
    }
    let proof = draft.add(
        "prove-empty",
        format!(
            "prove that nothing of cluster {} is left",
            intent.spec.cluster
        ),
        Action::ProveEmpty,
        &all,
    );
    draft.add(
        "remove-kubeconfig",
        "take its context out of the kubeconfig",
        Action::RemoveKubeconfig,
        &[proof],
    );
    draft.finish()
}
