//! Upgrades of a cluster's programs: which are allowed, and their progress.

use super::{Intent, MarkView, NodeView, Observed, Programs, Versions};
use hakube_provider::NodeGroup;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An upgrade in progress. The intent's specification has the new versions and programs already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The versions before it.
    pub from: Versions,
    /// The programs before it, to go back to.
    pub programs: Programs,
    /// Machine templates from before it. Machines created from them have the old programs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stale_templates: BTreeSet<String>,
    /// Nodes that were cordoned before it, and stay so.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cordoned: BTreeSet<String>,
}

/// How many minor versions a kubelet may be behind its API server.
/// <https://kubernetes.io/releases/version-skew-policy/#kubelet>
pub const KUBELET_SKEW: u64 = 3;

impl Intent {
    /// The intent that upgrades to these versions and programs, or, during an upgrade, that goes back to the earlier ones.
    pub fn upgraded(&self, versions: Versions, programs: Programs, observed: &Observed) -> Self {
        let mut intent = self.clone();
        let templates = observed.inventory.node_groups.iter();
        let nodes = observed.nodes.iter().flatten();
        intent.upgrade = Some(Box::new(Upgrade {
            from: std::mem::replace(&mut intent.spec.versions, versions),
            programs: std::mem::replace(&mut intent.spec.programs, programs),
            // Leased hosts aren't created from a template.
            stale_templates: templates
                .filter(|_| self.spec.hosts.is_none())
                .map(|group| group.template.clone())
                .collect(),
            cordoned: nodes
                .filter(|node| node.cordoned)
                .map(|node| node.name.clone())
                .collect(),
        }));
        intent
    }

    /// Whether an upgrade or a rotation of authorities in progress replaces this machine of a group. `node` is the
    /// machine's, if it has registered.
    pub fn is_outdated(&self, group: &NodeGroup, machine: &str, node: Option<&NodeView>) -> bool {
        let version = &self.spec.versions.kubernetes;
        let is_older =
            |node| kubelet_version(node).is_some_and(|runs| !runs.cmp_precedence(version).is_eq());
        let upgrades = self.upgrade.is_some() && !self.upgrades_nodes_in_place();
        let origin = group.origins.get(machine);
        upgrades && node.is_some_and(is_older)
            || self.rotation.as_ref().is_some_and(|rotation| {
                !self.spec.logs_in_on_nodes()
                    && origin.is_some_and(|origin| rotation.stale_templates.contains(origin))
            })
    }

    /// Whether an upgrade keeps the nodes' machines. Machines of groups are recreated instead.
    pub fn upgrades_nodes_in_place(&self) -> bool {
        self.spec.hosts.is_some()
    }
}

/// Why Kubernetes can't go from one version to another in one step; `None` if it can.
///
/// API servers upgrade one minor version at a time, and never go back to an earlier one: etcd's data may be in its new
/// form. <https://kubernetes.io/releases/version-skew-policy/#supported-component-upgrade-order>
pub fn kubernetes_step(from: &Version, to: &Version) -> Option<String> {
    if from.major != to.major {
        return Some("the major version differs".to_owned());
    }
    let next = format!("v{}.{}", from.major, from.minor + 1);
    match to.minor.checked_sub(from.minor) {
        Some(0 | 1) => None,
        Some(_) => Some(format!(
            "one minor version at a time: upgrade to the latest {next} first"
        )),
        None => Some("Kubernetes can't go back to an earlier minor version".to_owned()),
    }
}

/// The same for etcd. <https://etcd.io/docs/v3.6/upgrades/upgrade_3_6/>: from 3.5.26 on, members' records of who is a
/// learner agree in both of its stores, without which 3.6 may refuse to start.
pub fn etcd_step(from: &Version, to: &Version) -> Option<String> {
    /// The first 3.5 from which 3.6 is safe.
    const SAFE: Version = Version::new(3, 5, 26);
    if from.major != to.major || from.minor > to.minor {
        return Some("etcd can't go back to an earlier minor version".to_owned());
    }
    if to.minor > from.minor + 1 {
        let next = format!("{}.{}", from.major, from.minor + 1);
        return Some(format!(
            "one minor version at a time: upgrade to the latest {next} first"
        ));
    }
    let is_unsafe = (from.minor, to.minor) == (5, 6) && *from < SAFE;
    is_unsafe.then(|| format!("upgrade to {SAFE} or a later 3.5 first"))
}

/// What is in the way of an upgrade to the intent's versions, with the reasons. Every replica must be healthy, and no
/// kubelet too old for the new API servers.
pub fn upgrade_obstacles(intent: &Intent, observed: &Observed) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for replica in &intent.replicas {
        let name = &replica.name;
        let member = observed.etcd.member(name);
        let is_healthy = member.is_some_and(|member| member.healthy) && observed.api_ready(name);
        let why = match observed.releases.get(name) {
            _ if !is_healthy => "it isn't healthy".to_owned(),
            Some(MarkView::InForce(_)) => continue,
            Some(MarkView::Fixed) => {
                "an earlier version of hakube created it, so it can't be upgraded in place; to replace it: \
                 hakube replace"
                    .to_owned()
            }
            Some(MarkView::Unknown { why }) => why.clone(),
            None => "its machine isn't running".to_owned(),
        };
        found.push((name.clone(), why));
    }
    let api = &intent.spec.versions.kubernetes;
    for node in observed.nodes.iter().flatten() {
        let Some(kubelet) = kubelet_version(node) else {
            continue;
        };
        if kubelet.minor + KUBELET_SKEW < api.minor {
            found.push((
                node.name.clone(),
                format!(
                    "its kubelet is v{kubelet}, more than {KUBELET_SKEW} minor versions behind v{api}"
                ),
            ));
        }
    }
    let hidden = observed.hidden_zone(intent);
    found.extend(hidden.map(|(place, why)| (place, format!("it is unreachable: {why}"))));
    found
}

/// The version that the node's kubelet reports.
pub fn kubelet_version(node: &NodeView) -> Option<Version> {
    let text = node.kubelet.as_deref()?;
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn kubernetes_goes_up_one_minor_version_at_a_time_and_never_down_one() {
        for (from, to, allowed) in [
            ("1.35.2", "1.36.0", true),
            ("1.36.0", "1.36.9", true),
            ("1.36.9", "1.36.0", true),
            ("1.36.3", "1.36.3", true),
            ("1.34.9", "1.36.0", false),
            ("1.36.0", "1.35.9", false),
            ("1.36.0", "2.0.0", false),
        ] {
            let why = kubernetes_step(&version(from), &version(to));
            assert_eq!(why.is_none(), allowed, "{from} to {to}: {why:?}");
        }
    }

    #[test]
    fn etcd_goes_from_3_5_to_3_6_by_way_of_a_safe_patch() {
        for (from, to, allowed) in [
            ("3.5.26", "3.6.0", true),
            ("3.5.17", "3.5.26", true),
            ("3.5.17", "3.6.6", false),
            ("3.4.30", "3.6.6", false),
            ("3.6.6", "3.5.26", false),
            ("3.6.6", "3.6.5", true),
        ] {
            let why = etcd_step(&version(from), &version(to));
            assert_eq!(why.is_none(), allowed, "{from} to {to}: {why:?}");
        }
    }
}
