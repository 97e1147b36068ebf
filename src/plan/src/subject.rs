//! The subjects of steps, which tell an operation's own failures from others.

use super::step::Action;
use hakube_provider::ResourceKind;

/// The subject of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// One replica.
    Replica(&'a str),
    /// The number of nodes.
    Nodes,
    /// Parts that the whole cluster relies on, and resources to delete.
    Cluster,
    /// Parts that can be missing for a while: ready nodes, ready addons, the user's kubeconfig.
    Convenience,
}

impl Action {
    /// The step's subject.
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::EnsureMachine(spec) => Subject::Replica(&spec.machine.name),
            Self::DeliverSecrets(machine)
            | Self::FormEtcd(machine)
            | Self::HoldEtcd(machine)
            | Self::JoinEtcd(machine)
            | Self::PromoteMember(machine)
            | Self::StartControlPlane(machine)
            | Self::RegisterReplica(machine)
            | Self::RenewCertificates(machine)
            | Self::DefragmentMember(machine)
            | Self::FollowAuthorities(machine)
            | Self::RestoreExternalAddress { machine, .. }
            | Self::ShareAddress { machine, .. }
            | Self::ReleaseAddress(machine) => Subject::Replica(&machine.name),
            Self::HandLeadership { from: name } | Self::RemoveMember { replica: name, .. } => {
                Subject::Replica(name)
            }
            Self::EnsureNetwork(_)
            | Self::EnsureFirewall(_)
            | Self::ReserveAddress(_)
            | Self::EnsureBalancer(_)
            | Self::PointEndpoint { .. }
            | Self::AwaitEndpoint
            | Self::RestoreEtcd { .. }
            | Self::UpgradeReplica(_)
            | Self::UpgradeNode(_)
            | Self::RecreateNode { .. }
            | Self::DrainNodes { .. }
            | Self::ProveEmpty => Subject::Cluster,
            Self::Delete(resource) => match resource.kind {
                ResourceKind::NodeGroup | ResourceKind::MachineTemplate => Subject::Nodes,
                _ => Subject::Cluster,
            },
            Self::AdmitNodes { .. } | Self::EnsureNodeGroup(_) => Subject::Nodes,
            // The database was full before the operation started, and members can change anyway.
            Self::CompactEtcd
            | Self::DisarmNoSpace
            | Self::AwaitNodes { .. }
            | Self::AwaitReplicaNodes { .. }
            | Self::AwaitServing { .. }
            | Self::FollowAuthoritiesOnNodes { .. }
            | Self::ExtendTokens { .. }
            | Self::ForgetNodes { .. }
            | Self::LabelNodes { .. }
            | Self::ApplyAddon { .. }
            | Self::AwaitAddon { .. }
            | Self::RemoveAddon { .. }
            | Self::ApproveServing
            | Self::WriteKubeconfig
            | Self::RemoveKubeconfig => Subject::Convenience,
        }
    }
}
