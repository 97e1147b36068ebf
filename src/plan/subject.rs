//! What a step is about: which failures are an operation's own.

use super::step::Action;
use hakube_provider::ResourceKind;

/// What a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// One replica.
    Replica(&'a str),
    /// How many nodes there are.
    Nodes,
    /// What all of the cluster relies on: network, endpoint, what must be gone.
    Cluster,
    /// What the cluster can do without for a while: that nodes and addons are ready, the user's kubeconfig.
    Convenience,
}

impl Action {
    /// What the step is about.
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::EnsureMachine(spec) => Subject::Replica(&spec.machine.name),
            Self::DeliverSecrets(machine)
            | Self::FormEtcd(machine)
            | Self::JoinEtcd(machine)
            | Self::PromoteMember(machine)
            | Self::StartControlPlane(machine)
            | Self::RegisterReplica(machine)
            | Self::RenewCertificates(machine)
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
            | Self::DrainNodes { .. }
            | Self::ProveEmpty => Subject::Cluster,
            Self::Delete(resource) => match resource.kind {
                ResourceKind::NodeGroup | ResourceKind::MachineTemplate => Subject::Nodes,
                _ => Subject::Cluster,
            },
            Self::AdmitNodes { .. } | Self::EnsureNodeGroup(_) => Subject::Nodes,
            Self::AwaitNodes { .. }
            | Self::AwaitReplicaNodes { .. }
            | Self::AwaitRenewed { .. }
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
