//! Decides which machines are in which group. Pure.

use hakube_provider::{BackendGroup, BalancerSpec};
use std::collections::{BTreeMap, BTreeSet};

/// A group's desired state, and the changes it takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GroupChange {
    /// The group with the machines it should have.
    pub(crate) group: BackendGroup,
    /// Whether it must be created.
    pub(crate) make: bool,
    /// The missing machines.
    pub(crate) add: Vec<String>,
    /// The machines to remove.
    pub(crate) remove: Vec<String>,
}

/// The changes after which each zone's group has exactly its backends, and groups of other zones are empty.
pub(crate) fn group_changes(spec: &BalancerSpec, found: &[BackendGroup]) -> Vec<GroupChange> {
    let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for backend in &spec.backends {
        wanted
            .entry(&backend.zone)
            .or_default()
            .insert(&backend.name);
    }
    for group in found.iter().filter(|group| is_of(spec, group)) {
        wanted.entry(&group.zone).or_default();
    }
    let change = |(zone, machines): (&str, BTreeSet<&str>)| {
        let there = found
            .iter()
            .find(|group| group.zone == zone && is_of(spec, group));
        let present: BTreeSet<&str> = there
            .iter()
            .flat_map(|group| group.machines.iter().map(String::as_str))
            .collect();
        let names = |set: BTreeSet<&str>| set.into_iter().map(str::to_owned).collect::<Vec<_>>();
        GroupChange {
            make: there.is_none(),
            add: names(&machines - &present),
            remove: names(&present - &machines),
            group: BackendGroup {
                name: format!("{}-{zone}", spec.name),
                zone: zone.to_owned(),
                machines: names(machines),
            },
        }
    };
    wanted.into_iter().map(change).collect()
}

/// Whether the group is this balancer's.
fn is_of(spec: &BalancerSpec, group: &BackendGroup) -> bool {
    group
        .name
        .strip_prefix(&spec.name)
        .and_then(|rest| rest.strip_prefix('-'))
        == Some(&group.zone)
}

/// The groups that have no machines left.
pub(crate) fn surplus<'a>(
    spec: &BalancerSpec,
    found: &'a [BackendGroup],
    changes: &[GroupChange],
) -> Vec<&'a BackendGroup> {
    let empty = |group: &BackendGroup| {
        changes
            .iter()
            .any(|change| change.group.zone == group.zone && change.group.machines.is_empty())
    };
    found
        .iter()
        .filter(|group| is_of(spec, group) && empty(group))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hakube_provider::MachineRef;
    use hakube_provider::Reach;

    fn spec(backends: &[(&str, &str)]) -> BalancerSpec {
        BalancerSpec {
            cluster: "kubernetes".into(),
            name: "kubernetes-master".into(),
            network: "default".into(),
            reach: Reach::Anywhere,
            port: 6443,
            health_path: "/readyz".into(),
            backends: backends
                .iter()
                .map(|(zone, name)| MachineRef {
                    name: (*name).into(),
                    zone: (*zone).into(),
                })
                .collect(),
        }
    }

    fn group(zone: &str, machines: &[&str]) -> BackendGroup {
        BackendGroup {
            name: format!("kubernetes-master-{zone}"),
            zone: zone.into(),
            machines: machines.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn each_zone_gets_its_own_group() {
        let changes = group_changes(
            &spec(&[("z-b", "m-1"), ("z-c", "m-2"), ("z-b", "m-3")]),
            &[],
        );
        assert_eq!(changes.len(), 2);
        assert!(changes.iter().all(|change| change.make));
        assert_eq!(changes[0].group, group("z-b", &["m-1", "m-3"]));
        assert_eq!(changes[0].add, ["m-1", "m-3"]);
        assert_eq!(changes[1].add, ["m-2"]);
    }

    #[test]
    fn existing_groups_are_not_touched() {
        let spec = spec(&[("z-b", "m-1"), ("z-c", "m-2")]);
        let found = [group("z-b", &["m-1"]), group("z-c", &["m-2"])];
        let changes = group_changes(&spec, &found);
        assert!(
            changes
                .iter()
                .all(|c| !c.make && c.add.is_empty() && c.remove.is_empty())
        );
        assert!(surplus(&spec, &found, &changes).is_empty());
    }

    #[test]
    fn a_group_without_backends_is_emptied_and_deleted() {
        let spec = spec(&[("z-b", "m-1")]);
        let found = [group("z-b", &["m-1", "m-9"]), group("z-c", &["m-2"])];
        let changes = group_changes(&spec, &found);
        assert_eq!(changes[0].remove, ["m-9"]);
        assert_eq!(changes[1].remove, ["m-2"]);
        assert_eq!(surplus(&spec, &found, &changes), [&found[1]]);
    }

    #[test]
    fn groups_of_another_balancer_are_ignored() {
        let mut other = group("z-b", &["m-1"]);
        other.name = "kubernetes-master-2-z-b".into();
        let changes = group_changes(&spec(&[]), &[other]);
        assert!(changes.is_empty(), "{changes:?}");
    }
}
