//! Kinds of conditions. Scripts rely on their names.

use serde::{Serialize, Serializer};
use std::fmt;

/// A kind of condition. docs/reliability.md lists them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionKind {
    /// The stored intent isn't the cluster's newest.
    IntentNotBelieved,
    /// A member's data is missing, so it doesn't start.
    EtcdDataGone,
    /// A member's disk has another member's data.
    EtcdDataForeign,
    /// A member can't read its data.
    EtcdDataDamaged,
    /// A member's data differs from the others'.
    EtcdDataInconsistent,
    /// etcd no longer lists a replica's member.
    EtcdMemberRemoved,
    /// etcd has a member of a replica that isn't in the intent.
    EtcdMemberSurplus,
    /// etcd has a member that hakube didn't create.
    EtcdMemberUnknown,
    /// Members' data differs, so etcd refuses all requests.
    EtcdAlarmCorrupt,
    /// The database has reached its quota, so etcd refuses writes.
    EtcdAlarmNospace,
    /// The database is close to its quota.
    EtcdQuotaNearlyFull,
    /// The file system with a member's data is nearly full.
    EtcdDiskNearlyFull,
    /// A member's version isn't the requested one.
    EtcdVersionDiffers,
    /// A replica's machine is off.
    MachineStopped,
    /// A replica's machine is missing.
    MachineMissing,
    /// A replica's host is unreachable.
    MachineUnreachable,
    /// A node's machine exists, but isn't registered as a node.
    MachineWithoutNode,
    /// A node is registered, but its machine is missing.
    NodeWithoutMachine,
    /// The endpoint's address is no longer reserved.
    EndpointAddressMissing,
    /// The replicas' certificates aren't for the endpoint's address.
    EndpointAddressChanged,
    /// An API server's version isn't the requested one.
    KubernetesVersionDiffers,
    /// A kubelet's version isn't the requested one.
    KubeletVersionDiffers,
    /// A certificate expires soon, or has expired.
    CertificateExpires,
    /// A replica's clock differs from that of the operator's host.
    ClockSkewed,
}

impl ConditionKind {
    /// All kinds, in the documentation's order.
    #[cfg(test)]
    pub const ALL: [Self; 24] = [
        Self::IntentNotBelieved,
        Self::EtcdDataGone,
        Self::EtcdDataForeign,
        Self::EtcdDataDamaged,
        Self::EtcdDataInconsistent,
        Self::EtcdMemberRemoved,
        Self::EtcdMemberSurplus,
        Self::EtcdMemberUnknown,
        Self::EtcdAlarmCorrupt,
        Self::EtcdAlarmNospace,
        Self::EtcdQuotaNearlyFull,
        Self::EtcdDiskNearlyFull,
        Self::EtcdVersionDiffers,
        Self::MachineStopped,
        Self::MachineMissing,
        Self::MachineUnreachable,
        Self::MachineWithoutNode,
        Self::NodeWithoutMachine,
        Self::EndpointAddressMissing,
        Self::EndpointAddressChanged,
        Self::KubernetesVersionDiffers,
        Self::KubeletVersionDiffers,
        Self::CertificateExpires,
        Self::ClockSkewed,
    ];

    /// Its name in `hakube status -o json`. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::IntentNotBelieved => "intent-not-believed",
            Self::EtcdDataGone => "etcd-data-gone",
            Self::EtcdDataForeign => "etcd-data-foreign",
            Self::EtcdDataDamaged => "etcd-data-damaged",
            Self::EtcdDataInconsistent => "etcd-data-inconsistent",
            Self::EtcdMemberRemoved => "etcd-member-removed",
            Self::EtcdMemberSurplus => "etcd-member-surplus",
            Self::EtcdMemberUnknown => "etcd-member-unknown",
            Self::EtcdAlarmCorrupt => "etcd-alarm-corrupt",
            Self::EtcdAlarmNospace => "etcd-alarm-nospace",
            Self::EtcdQuotaNearlyFull => "etcd-quota-nearly-full",
            Self::EtcdDiskNearlyFull => "etcd-disk-nearly-full",
            Self::EtcdVersionDiffers => "etcd-version-differs",
            Self::MachineStopped => "machine-stopped",
            Self::MachineMissing => "machine-missing",
            Self::MachineUnreachable => "machine-unreachable",
            Self::MachineWithoutNode => "machine-without-node",
            Self::NodeWithoutMachine => "node-without-machine",
            Self::EndpointAddressMissing => "endpoint-address-missing",
            Self::EndpointAddressChanged => "endpoint-address-changed",
            Self::KubernetesVersionDiffers => "kubernetes-version-differs",
            Self::KubeletVersionDiffers => "kubelet-version-differs",
            Self::CertificateExpires => "certificate-expires",
            Self::ClockSkewed => "clock-skewed",
        }
    }

    /// Whether `hakube status` shows it in a line of its own instead.
    pub fn has_own_line(self) -> bool {
        matches!(self, Self::CertificateExpires | Self::ClockSkewed)
    }
}

impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for ConditionKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The names in backticks at the start of the table's rows.
    fn documented() -> Vec<&'static str> {
        let text = include_str!("../../../docs/reliability.md");
        let (_, section) = text.split_once("## Conditions\n").unwrap_or_default();
        let (section, _) = section.split_once("\n## ").unwrap_or((section, ""));
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| Some(row.split_once('`')?.0))
            .collect()
    }

    #[test]
    fn the_documentation_lists_exactly_these_kinds() {
        let names = ConditionKind::ALL.map(ConditionKind::name);
        assert_eq!(documented(), names);
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<&str> = ConditionKind::ALL.map(ConditionKind::name).into();
        assert_eq!(names.len(), ConditionKind::ALL.len());
    }
}
