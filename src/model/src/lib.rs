//! The model of a cluster: plain data and quorum arithmetic, without side effects.

mod abandon;
mod addons;
mod belief;
mod certificates;
mod condition;
mod edit;
mod endpoint;
mod etcd_data;
mod identity;
mod intent;
mod names;
mod nodes;
mod observed;
mod quorum;
mod rebuild;
mod space;
mod spec;
mod tokens;
mod trust;
mod upgrade;

pub use abandon::abandoned;
pub use addons::{AddonState, ServingView};
pub use belief::{RecordView, Version, check_belief};
pub use certificates::{Certificate, Certificates, Life, ReplicaCertificates, Severity, Skew};
pub use condition::ConditionKind;
pub use edit::{
    FreeHosts, RemovalRequest, Zones, add_replicas, begin_teardown, choose_removal,
    replace_replica, replica_names, with_first_host,
};
pub use endpoint::{Arrangement, Backend, Endpoint, HoldView, Sharer};
pub use etcd_data::EtcdConditionKind;
pub use identity::{Identity, adopted};
pub use intent::{Intent, NodeGroupIntent, Phase, ReplicaIntent, Restoring};
pub use names::Names;
pub use nodes::{NodeGroupPart, add_nodes, scale_nodes};
pub use observed::{
    Alarm, AlarmView, ApiView, DataCondition, EtcdView, MemberRole, MemberView, NodeView, Observed,
};
pub use quorum::Quorum;
pub use rebuild::rebuilt;
pub use space::{DatabaseSize, DiskSpace, Room};
pub use spec::{
    Addons, AddressSpan, Api, Arch, Artifact, AtRest, Boot, CNI_PLUGINS, ClusterSpec,
    ControllerManager, Controllers, Deferred, Etcd, Host, HostNetwork, HostRole, HostSsh, Hosts,
    Hypervisor, ImageArchive, IsNode, Jump, Libvirt, Lifetimes, LoadBalancer, Malformed, Manifest,
    Named, Network, Nodes, PodNetwork, PodPrograms, Program, Programs, ProviderKind, ProxyMode,
    QuorumReads, ReplicaMachines, RuntimeVersions, Taint, TaintEffect, Versions, Virtualization,
    Zone, controllers, has_flag, is_name_character, name, node_bits, nodes_at_most, nth_address,
};
pub use tokens::{TOKEN_LIFETIME, TokenView};
pub use trust::{MarkView, NextPhase, Rotation, RotationPhase, Trust, next_phase, obstacles};
pub use upgrade::{
    KUBELET_SKEW, Upgrade, etcd_step, kubelet_version, kubernetes_step, upgrade_obstacles,
};

/// The label of control-plane nodes, and their taint of the same name.
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/#node-role-kubernetes-io-control-plane>
pub const CONTROL_PLANE_LABEL: &str = "node-role.kubernetes.io/control-plane";
