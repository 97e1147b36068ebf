//! The identity of a step.

use hakube_provider::ResourceId;
use serde::{Serialize, Serializer};
use std::fmt;

macro_rules! verbs {
    ($($verb:ident $name:literal,)*) => {
        /// What a step does. Each kind of step has one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Verb {
            $($verb,)*
        }

        impl Verb {
            /// Its name in plans and journals: `control-plane`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$verb => $name,)*
                }
            }
        }
    };
}

verbs! {
    Network "network",
    ReserveAddress "reserve-address",
    Firewall "firewall",
    Machine "machine",
    Secrets "secrets",
    FormEtcd "form",
    HoldEtcd "hold",
    RestoreEtcd "restore",
    JoinEtcd "join",
    Promote "promote",
    ControlPlane "control-plane",
    Balancer "balancer",
    PointEndpoint "point-endpoint",
    ExternalAddress "external-address",
    ShareAddress "share-address",
    ReleaseAddress "release-address",
    AwaitEndpoint "await-endpoint",
    Drain "drain",
    AdmitNodes "admit-nodes",
    Nodes "nodes",
    ExtendTokens "extend-tokens",
    RestoreTokens "restore-tokens",
    AwaitNodes "await-nodes",
    ForgetNodes "forget-nodes",
    LabelNodes "label-nodes",
    RegisterReplica "register",
    AwaitReplicaNodes "await-replica-nodes",
    ForgetReplicas "forget-replicas",
    ApplyAddon "addon",
    AwaitAddon "ready-addon",
    RemoveAddon "remove-addon",
    ApproveServing "approve-serving",
    WriteKubeconfig "write-kubeconfig",
    RemoveKubeconfig "remove-kubeconfig",
    Renew "renew",
    AwaitRenewed "await-renewed",
    AwaitEtcd "await-etcd",
    FollowAuthorities "trust",
    Upgrade "upgrade",
    Recreate "recreate",
    FollowAuthoritiesOnNodes "trust-kubelets",
    HandLeadership "hand-leadership",
    LeaveEtcd "leave",
    CompactEtcd "compact-etcd",
    Defragment "defragment",
    DisarmNoSpace "disarm-nospace",
    Delete "delete",
    ProveEmpty "prove-empty",
}

/// Identifies a step. The same work has the same identity in every plan. Displayed as `machine/kubernetes-master`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId {
    verb: Verb,
    of: Of,
}

/// What a step is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Of {
    /// The cluster: there is one such step.
    Cluster,
    /// A part of it, by its name.
    Part(String),
    /// A resource of the provider.
    Resource(ResourceId),
}

impl Verb {
    /// The step that does this to one part of the cluster.
    pub fn of(self, part: &str) -> StepId {
        StepId {
            verb: self,
            of: Of::Part(part.to_owned()),
        }
    }
}

impl From<Verb> for StepId {
    fn from(verb: Verb) -> Self {
        let of = Of::Cluster;
        Self { verb, of }
    }
}

impl StepId {
    /// The step that deletes the resource.
    pub fn delete(resource: &ResourceId) -> Self {
        Self {
            verb: Verb::Delete,
            of: Of::Resource(resource.clone()),
        }
    }

    /// What the step does.
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// Whether the step is about the part of this name.
    pub fn is_of(&self, part: &str) -> bool {
        matches!(&self.of, Of::Part(name) if name == part)
    }

    /// The resource that the step deletes.
    pub fn deleted(&self) -> Option<&ResourceId> {
        match &self.of {
            Of::Resource(resource) if self.verb == Verb::Delete => Some(resource),
            _ => None,
        }
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.verb.name();
        match &self.of {
            Of::Cluster => f.write_str(verb),
            Of::Part(part) => write!(f, "{verb}/{part}"),
            Of::Resource(resource) => {
                write!(f, "{verb}/{}", resource.to_string().replace(' ', "-"))
            }
        }
    }
}

impl Serialize for StepId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Tests name steps as plans show them.
#[cfg(test)]
impl PartialEq<str> for StepId {
    fn eq(&self, shown: &str) -> bool {
        let own = self.to_string();
        own == *shown
    }
}

#[cfg(test)]
impl PartialEq<&str> for StepId {
    fn eq(&self, shown: &&str) -> bool {
        *self == **shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hakube_provider::{ResourceKind, Scope};

    #[test]
    fn a_step_is_shown_by_its_verb_and_what_it_is_about() {
        let disk = ResourceId {
            kind: ResourceKind::Disk,
            scope: Scope::Zone("europe-west1-b".to_owned()),
            name: "kubernetes-master-pd".to_owned(),
        };
        assert_eq!(StepId::from(Verb::Network), "network");
        assert_eq!(
            Verb::ControlPlane.of("kubernetes-master"),
            "control-plane/kubernetes-master"
        );
        assert_eq!(
            StepId::delete(&disk),
            "delete/disk-kubernetes-master-pd-in-europe-west1-b"
        );
    }
}
