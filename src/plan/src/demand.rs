//! What a plan requires of the provider, in total for the preflight, and per step.

use super::{Action, Plan};
use hakube_provider::{Change, EndpointTarget, PreflightSpec};

impl Plan {
    /// Everything that the plan will create.
    pub fn demand(&self) -> PreflightSpec {
        let mut demand = PreflightSpec::default();
        for step in &self.steps {
            match &step.action {
                Action::EnsureNetwork(spec) => demand.networks.push(spec.clone()),
                Action::EnsureFirewall(spec) => demand.firewalls.push(spec.clone()),
                Action::ReserveAddress(spec) => demand.addresses.push(spec.clone()),
                Action::EnsureMachine(spec) => demand.machines.push(spec.clone()),
                Action::EnsureNodeGroup(spec) => demand.node_groups.push(spec.clone()),
                Action::EnsureBalancer(spec) => demand.balancers.push(spec.clone()),
                Action::PointEndpoint {
                    endpoint,
                    target: EndpointTarget::Balancer,
                } => demand.rules.push(endpoint.clone()),
                _ => {}
            }
        }
        demand
    }
}

impl Action {
    /// The provider's resource that the step changes; `None` if it only concerns programs on machines.
    pub fn change(&self) -> Option<Change<'_>> {
        Some(match self {
            Self::EnsureNetwork(spec) => Change::Network(spec),
            Self::EnsureFirewall(spec) => Change::Firewall(spec),
            Self::ReserveAddress(spec) => Change::Address(spec),
            Self::EnsureMachine(spec) => Change::Machine(spec),
            Self::EnsureBalancer(spec) => Change::Balancer(spec),
            Self::PointEndpoint { endpoint, target } => Change::Endpoint(endpoint, target),
            Self::RestoreExternalAddress { endpoint, .. } => {
                Change::Endpoint(endpoint, &EndpointTarget::Balancer)
            }
            Self::EnsureNodeGroup(spec) => Change::NodeGroup(spec),
            Self::Delete(resource) => Change::Delete(resource),
            Self::DeliverSecrets(_)
            | Self::RenewCertificates(_)
            | Self::AwaitServing { .. }
            | Self::FormEtcd(_)
            | Self::HoldEtcd(_)
            | Self::RestoreEtcd { .. }
            | Self::JoinEtcd(_)
            | Self::PromoteMember(_)
            | Self::StartControlPlane(_)
            | Self::ShareAddress { .. }
            | Self::ReleaseAddress(_)
            | Self::AwaitEndpoint
            | Self::CompactEtcd
            | Self::DefragmentMember(_)
            | Self::DisarmNoSpace
            | Self::HandLeadership { .. }
            | Self::RemoveMember { .. }
            | Self::AdmitNodes { .. }
            | Self::ExtendTokens { .. }
            | Self::AwaitNodes { .. }
            | Self::RegisterReplica(_)
            | Self::AwaitReplicaNodes { .. }
            | Self::DrainNodes { .. }
            | Self::LabelNodes { .. }
            | Self::ForgetNodes { .. }
            | Self::ApplyAddon { .. }
            | Self::AwaitAddon { .. }
            | Self::RemoveAddon { .. }
            | Self::ApproveServing
            | Self::WriteKubeconfig
            | Self::RemoveKubeconfig
            | Self::FollowAuthorities(_)
            | Self::FollowAuthoritiesOnNodes { .. }
            | Self::UpgradeReplica(_)
            | Self::UpgradeNode(_)
            | Self::RecreateNode { .. }
            | Self::ProveEmpty => return None,
        })
    }
}
