//! Nodes: groups of identical machines.

use super::addons;
use super::drain::DRAIN;
use super::endpoint::AWAIT;
use super::step::{Action, Draft, Key, key};
use crate::cluster::{Intent, NodeGroupPart, Observed};
use crate::machine;
use hakube_provider::{
    MachineRef, MachineSpec, NodeGroup, NodeGroupSpec, ResourceId, ResourceKind, Scope,
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let unreachable = &observed.inventory.unreachable;
    let groups = known_groups(intent, observed);
    let mut done: Vec<Key> = vec![AWAIT.to_owned()];
    let changes = changes(intent, observed);
    done.extend(resize(intent, observed, &changes, draft));
    done.extend(extend_tokens(intent, observed, draft));
    done.extend(restore_tokens(intent, observed, draft));
    done.extend(delete_groups(&changes, draft));
    let all_seen = unreachable.is_empty();
    if all_seen {
        delete_templates(intent, observed, &groups, &done, draft);
    }
    let allowed = intent.spec.node_machines.allowed_unready;
    // Without a pod network they register, and are ready when the operator has installed one.
    let spec = &intent.spec;
    if spec.programs.pods.is_none() || spec.nodes_become_ready() {
        await_nodes(&groups, allowed, observed, &done, draft);
    }
    if all_seen {
        forget_nodes(intent, observed, &done, draft);
    }
}

/// A group of nodes that changes its size, or goes.
pub(super) struct NodeChange {
    /// What there should be; `None`: nothing of it.
    wanted: Option<NodeGroupPart>,
    /// The group's name, and its zone.
    name: String,
    zone: String,
    /// Its machines that go.
    pub(super) leaving: Vec<String>,
}

/// The groups that change. What is in a zone that can't be asked isn't known, and stays.
pub(super) fn changes(intent: &Intent, observed: &Observed) -> Vec<NodeChange> {
    let wanted = known_groups(intent, observed);
    let there = &observed.inventory.node_groups;
    let resized = wanted
        .iter()
        .filter(|group| size_now(observed, &group.name) != Some(group.size));
    let resized = resized.map(|group| NodeChange {
        name: group.name.clone(),
        zone: group.zone.clone(),
        leaving: there
            .iter()
            .find(|found| found.name == group.name)
            .map(|found| leaving(found, group.size, observed))
            .unwrap_or_default(),
        wanted: Some(group.clone()),
    });
    let deleted = there
        .iter()
        .filter(|found| wanted.iter().all(|group| group.name != found.name));
    let deleted = deleted.map(|found| NodeChange {
        name: found.name.clone(),
        zone: found.zone.clone(),
        leaving: found.machines.clone(),
        wanted: None,
    });
    resized.chain(deleted).collect()
}

fn known_groups(intent: &Intent, observed: &Observed) -> Vec<NodeGroupPart> {
    let mut groups = intent.node_groups();
    groups.retain(|group| !observed.inventory.unreachable.contains_key(&group.zone));
    groups
}

/// The machines that go when the group shrinks to this size: those of the least use first. A node that is cordoned was
/// meant to go, by an operator or by an earlier run of this; of the others the newest go, which the provider lists last.
fn leaving(group: &NodeGroup, size: u32, observed: &Observed) -> Vec<String> {
    let count = group.size.saturating_sub(size) as usize;
    let node = |name: &str| {
        let mut nodes = observed.nodes.iter().flatten();
        nodes.find(|node| node.name == name)
    };
    let use_of = |name: &str| match node(name) {
        None => 0,
        Some(node) if !node.ready => 1,
        Some(node) if node.cordoned => 2,
        Some(_) => 3,
    };
    let mut machines: Vec<&String> = group.machines.iter().rev().collect();
    if observed.nodes.is_some() {
        machines.sort_by_key(|name| use_of(name));
    }
    machines.into_iter().take(count).cloned().collect()
}

/// A group makes a machine anew at any time (after a preemption, or when it was deleted by hand), from the template that it
/// has.
fn extend_tokens(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Option<Key> {
    let tokens = observed.tokens_due(intent);
    (!tokens.is_empty()).then(|| {
        draft.add(
            "extend-tokens",
            "let nodes join for another day, with the token that they boot with",
            Action::ExtendTokens { tokens },
            &[AWAIT.to_owned()],
        )
    })
}

/// Kubernetes deletes tokens that have expired. Machines that their group made anew since wait for theirs.
fn restore_tokens(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Option<Key> {
    let templates = observed.templates_without_token(intent);
    (!templates.is_empty()).then(|| {
        draft.add(
            "restore-tokens",
            "let nodes join again, with the token that they boot with",
            Action::AdmitNodes { templates },
            &[AWAIT.to_owned()],
        )
    })
}

/// Groups that aren't there, or not of their size. Each gets a new template: the token in the one that it
/// has may have expired, and a template can't be changed.
fn resize(
    intent: &Intent,
    observed: &Observed,
    changes: &[NodeChange],
    draft: &mut Draft,
) -> Vec<Key> {
    let resized: Vec<(&NodeGroupPart, &NodeChange)> = changes
        .iter()
        .filter_map(|change| Some((change.wanted.as_ref()?, change)))
        .collect();
    if resized.is_empty() {
        return Vec::new();
    }
    let next = templates(observed)
        .filter_map(|name| intent.spec.names.node_template_number(name))
        .max()
        .map_or(0, |last| last.saturating_add(1));
    let names = (next..)
        .zip(&resized)
        .map(|(number, _)| intent.spec.names.node_template(number));
    let admit = draft.add(
        "admit-nodes",
        "let nodes join, with a token that expires",
        Action::AdmitNodes {
            templates: names.collect(),
        },
        &[AWAIT.to_owned(), addons::before_nodes()],
    );
    let mut needs = vec![admit];
    if !intent.spec.has_firewalls() {
        needs.push("network".to_owned());
    }
    (next..)
        .zip(resized)
        .map(|(number, (group, change))| {
            let says = match size_now(observed, &group.name) {
                None => format!("make {} in {}", nodes(group.size), group.zone),
                Some(now) => format!("from {now} to {} in {}", nodes(group.size), group.zone),
            };
            let mut needs = needs.clone();
            if !change.leaving.is_empty() {
                needs.push(DRAIN.to_owned());
            }
            let mut spec = group_spec(intent, group, number);
            spec.leaving.clone_from(&change.leaving);
            draft.add(
                key("nodes", &group.name),
                says,
                Action::EnsureNodeGroup(spec),
                &needs,
            )
        })
        .collect()
}

/// A number of nodes, in words.
fn nodes(count: u32) -> String {
    match count {
        1 => "1 node".to_owned(),
        _ => format!("{count} nodes"),
    }
}

fn size_now(observed: &Observed, group: &str) -> Option<u32> {
    let groups = &observed.inventory.node_groups;
    groups
        .iter()
        .find(|found| found.name == group)
        .map(|found| found.size)
}

fn delete_groups(changes: &[NodeChange], draft: &mut Draft) -> Vec<Key> {
    let deleted = changes.iter();
    deleted
        .filter(|change| change.wanted.is_none())
        .map(|change| {
            let resource = ResourceId {
                kind: ResourceKind::NodeGroup,
                scope: Scope::Zone(change.zone.clone()),
                name: change.name.clone(),
            };
            draft.delete(resource, &[DRAIN.to_owned()])
        })
        .collect()
}

/// Templates that no group will be made from any more, once the steps in `needs` are done.
fn delete_templates(
    intent: &Intent,
    observed: &Observed,
    wanted: &[NodeGroupPart],
    needs: &[Key],
    draft: &mut Draft,
) {
    let stays = |name: &str| {
        wanted
            .iter()
            .any(|group| group.name == name && size_now(observed, name) == Some(group.size))
    };
    let groups = observed.inventory.node_groups.iter();
    let used: BTreeSet<&str> = groups
        .filter(|found| stays(&found.name))
        .map(|found| found.template.as_str())
        .collect();
    let unused = templates(observed).filter(|name| {
        intent.spec.names.node_template_number(name).is_some() && !used.contains(name)
    });
    for name in unused {
        let resource = ResourceId {
            kind: ResourceKind::MachineTemplate,
            scope: Scope::Global,
            name: name.to_owned(),
        };
        draft.delete(resource, needs);
    }
}

fn templates(observed: &Observed) -> impl Iterator<Item = &str> {
    let resources = observed.inventory.resources.iter();
    resources
        .filter(|resource| resource.kind == ResourceKind::MachineTemplate)
        .map(|resource| resource.name.as_str())
}

fn await_nodes(
    groups: &[NodeGroupPart],
    allowed_unready: u32,
    observed: &Observed,
    needs: &[Key],
    draft: &mut Draft,
) {
    let count: u32 = groups.iter().map(|group| group.size).sum();
    let needed = count.saturating_sub(allowed_unready);
    let workers = || {
        let nodes = observed.nodes.iter().flatten();
        nodes.filter(|node| !node.control_plane)
    };
    let up = workers().filter(|node| node.ready).count();
    let registered = workers().count() as u64 >= u64::from(count);
    if (up as u64) < u64::from(needed) {
        draft.add(
            "await-nodes",
            match count {
                _ if needed < count => format!("wait until {needed} of {count} nodes are ready"),
                1 => "wait until the node is ready".to_owned(),
                _ => format!("wait until {count} nodes are ready"),
            },
            Action::AwaitNodes {
                count,
                needed,
                registered,
            },
            needs,
        );
    }
}

/// Nodes that registered and whose machines are gone. Where no cloud controller runs, nobody else takes
/// them off the list.
fn forget_nodes(intent: &Intent, observed: &Observed, needs: &[Key], draft: &mut Draft) {
    let groups = &observed.inventory.node_groups;
    let machines: BTreeSet<&String> = groups.iter().flat_map(|group| &group.machines).collect();
    let stem = format!("{}-group-", intent.spec.names.minion());
    let inventory = &observed.inventory;
    let is_ours = |name: &str| match &intent.spec.hosts {
        // A host that nobody could ask may be the node still.
        Some(hosts) => {
            hosts.host(name).is_some() && !inventory.unreachable_machines.contains_key(name)
        }
        None => name.starts_with(&stem),
    };
    let gone: Vec<MachineRef> = observed
        .nodes
        .iter()
        .flatten()
        .filter(|node| !node.control_plane && is_ours(&node.name) && !machines.contains(&node.name))
        .map(|node| MachineRef {
            name: node.name.clone(),
            zone: node.zone.clone(),
        })
        .collect();
    if !gone.is_empty() {
        draft.add(
            "forget-nodes",
            match gone.len() {
                1 => "forget a node whose machine is gone".to_owned(),
                count => format!("forget {count} nodes whose machines are gone"),
            },
            Action::ForgetNodes { nodes: gone },
            needs,
        );
    }
}

fn group_spec(intent: &Intent, group: &NodeGroupPart, template: u32) -> NodeGroupSpec {
    let spec = &intent.spec;
    let nodes = &spec.node_machines;
    NodeGroupSpec {
        name: group.name.clone(),
        template: spec.names.node_template(template),
        size: group.size,
        leaving: Vec::new(),
        machine: MachineSpec {
            cluster: spec.cluster.clone(),
            machine: MachineRef {
                name: group.name.clone(),
                zone: group.zone.clone(),
            },
            machine_type: nodes.machine_type.clone(),
            image: nodes.image.clone(),
            image_sha256: None,
            boot_disk_gb: nodes.disk_gb,
            boot_disk_kind: nodes.disk_type.clone(),
            data_disk: None,
            network: spec.network.name.clone(),
            subnetwork: spec.network.subnetwork.clone(),
            external: spec.external_address(),
            alias: None,
            tags: vec![spec.names.minion()],
            labels: BTreeMap::from([("hakube-role".to_owned(), "node".to_owned())]),
            preemptible: nodes.preemptible,
            min_cpu_platform: None,
            service_account: nodes.service_account.clone(),
            scopes: nodes.scopes.clone(),
            user_data: machine::node_user_data(spec, &group.zone),
            // Nothing is put on a node after it has booted.
            login: None,
        },
    }
}
