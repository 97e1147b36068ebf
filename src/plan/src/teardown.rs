//! Teardown: deletes everything with the cluster's ownership label, and checks that nothing remains.

use super::id::{StepId, Verb};
use super::step::{Action, Draft, Plan};
use hakube_model::{Intent, Observed, Quorum};
use hakube_provider::{ResourceId, ResourceKind};

/// The kinds to delete before a resource of this kind. The address is deleted once nothing can hold it.
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
    // A machine in an unreachable zone may still hold the address, on the same network.
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
    // In ResourceKind's order, resources come after those that use them.
    resources.sort();
    let mut draft = Draft::new(Quorum {
        voters: 0,
        healthy: 0,
    });
    let mut all: Vec<StepId> = Vec::new();
    for resource in &resources {
        let needs: Vec<StepId> = resources
            .iter()
            .filter(|other| holders(resource.kind).contains(&other.kind))
            .map(|other| StepId::delete(other))
            .collect();
        all.push(draft.delete((*resource).clone(), &needs));
    }
    let proof = draft.add(
        Verb::ProveEmpty,
        format!(
            "check that no resources of cluster {} remain",
            intent.spec.cluster
        ),
        Action::ProveEmpty,
        &all,
    );
    draft.add(
        Verb::RemoveKubeconfig,
        "remove its context from the kubeconfig",
        Action::RemoveKubeconfig,
        &[proof],
    );
    draft.finish()
}
