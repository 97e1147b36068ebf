//! Nodes: groups of identical machines.

use super::addons;
use super::id::{StepId, Verb};
use super::recreate;
use super::step::{Action, Draft};
use hakube_machine as machine;
use hakube_model::{Intent, NodeGroupPart, NodeView, Observed};
use hakube_provider::{
    MachineRef, MachineSpec, NodeGroup, NodeGroupSpec, ResourceId, ResourceKind, Scope,
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let unreachable = &observed.inventory.unreachable;
    let groups = known_groups(intent, observed);
    let mut done: Vec<StepId> = vec![Verb::AwaitEndpoint.into()];
    let changes = changes(intent, observed);
    done.extend(resize(intent, observed, &changes, draft));
    done.extend(recreate::plan(intent, observed, &changes, draft));
    done.extend(extend_tokens(intent, observed, draft));
    done.extend(restore_tokens(intent, observed, draft));
    done.extend(delete_groups(&changes, draft));
    let all_seen = unreachable.is_empty();
    if all_seen {
        delete_templates(intent, observed, &groups, &done, draft);
    }
    let allowed = intent.spec.node_machines.allowed_unready;
    // Without a pod network, nodes register, but aren't ready before the operator installs one.
    let spec = &intent.spec;
    if spec.programs.pods.is_none() || spec.nodes_become_ready() {
        await_nodes(&groups, allowed, observed, &done, draft);
    }
    if all_seen {
        forget_nodes(intent, observed, &done, draft);
    }
}

/// A group of nodes to resize or delete.
pub(super) struct NodeChange {
    /// The desired group; `None` to delete it.
    wanted: Option<NodeGroupPart>,
    /// The group's name and zone.
    name: String,
    zone: String,
    /// Its machines to remove.
    pub(super) leaving: Vec<String>,
}

/// The groups to change. Groups in unreachable zones are left alone.
pub(super) fn changes(intent: &Intent, observed: &Observed) -> Vec<NodeChange> {
    let wanted = known_groups(intent, observed);
    let existing = &observed.inventory.node_groups;
    let resized = wanted
        .iter()
        .filter(|group| !is_settled(intent, observed, group));
    let resized = resized.map(|group| NodeChange {
        name: group.name.clone(),
        zone: group.zone.clone(),
        leaving: existing
            .iter()
            .find(|found| found.name == group.name)
            .map(|found| leaving(intent, found, group.size, observed))
            .unwrap_or_default(),
        wanted: Some(group.clone()),
    });
    let deleted = existing
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

/// Whether the group has its size, and its template has the current authorities and programs.
fn is_settled(intent: &Intent, observed: &Observed, wanted: &NodeGroupPart) -> bool {
    let groups = &observed.inventory.node_groups;
    let found = groups.iter().find(|found| found.name == wanted.name);
    let rotation = intent
        .rotation
        .iter()
        .map(|rotation| &rotation.stale_templates);
    let upgrade = intent
        .upgrade
        .iter()
        .map(|upgrade| &upgrade.stale_templates);
    let stale: Vec<_> = rotation.chain(upgrade).collect();
    let is_stale = |template: &String| stale.iter().any(|stale| stale.contains(template));
    found.is_some_and(|found| found.size == wanted.size && !is_stale(&found.template))
}

pub(super) fn known_groups(intent: &Intent, observed: &Observed) -> Vec<NodeGroupPart> {
    let mut groups = intent.node_groups();
    groups.retain(|group| !observed.inventory.unreachable.contains_key(&group.zone));
    groups
}

/// The machines to remove when the group shrinks, the least useful first. A cordoned node was meant to be
/// removed, by an operator or an earlier run. Nodes that an upgrade would recreate come next. Of the others, the newest
/// go first; the provider lists these last.
fn leaving(intent: &Intent, group: &NodeGroup, size: u32, observed: &Observed) -> Vec<String> {
    let count = group.size.saturating_sub(size) as usize;
    let use_of = |name: &str| match observed.node(name) {
        None => 0,
        Some(node) if !node.ready => 1,
        Some(node) if node.cordoned => 2,
        node if intent.is_outdated(group, name, node) => 3,
        Some(_) => 4,
    };
    let mut machines: Vec<&String> = group.machines.iter().rev().collect();
    if observed.nodes.is_some() {
        machines.sort_by_key(|name| use_of(name));
    }
    machines.into_iter().take(count).cloned().collect()
}

/// Extends tokens in use. A group may recreate a machine from its template at any time, such as after a preemption.
fn extend_tokens(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Option<StepId> {
    let tokens = observed.tokens_due(intent);
    (!tokens.is_empty()).then(|| {
        draft.add(
            Verb::ExtendTokens,
            "extend the nodes' bootstrap token for another day",
            Action::ExtendTokens { tokens },
            &[Verb::AwaitEndpoint.into()],
        )
    })
}

/// Recreates expired tokens that Kubernetes deleted. Machines that groups have recreated since are waiting for them.
fn restore_tokens(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Option<StepId> {
    let templates = observed.templates_without_token(intent);
    (!templates.is_empty()).then(|| {
        draft.add(
            Verb::RestoreTokens,
            "restore the nodes' bootstrap token",
            Action::AdmitNodes { templates },
            &[Verb::AwaitEndpoint.into()],
        )
    })
}

/// Creates or resizes groups. Each gets a new template, because the token in the old one may have expired and a
/// template can't be changed.
fn resize(
    intent: &Intent,
    observed: &Observed,
    changes: &[NodeChange],
    draft: &mut Draft,
) -> Vec<StepId> {
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
    let awaits_endpoint = draft.has(&Verb::AwaitEndpoint.into());
    let admit = draft.add(
        Verb::AdmitNodes,
        "create a bootstrap token for nodes",
        Action::AdmitNodes {
            templates: names.collect(),
        },
        &[Verb::AwaitEndpoint.into(), addons::before_nodes()],
    );
    // Without an endpoint, the machines of new groups boot while the control plane starts. They join once their token
    // exists.
    let boots_early = |group: &str| awaits_endpoint && size_now(observed, group).is_none();
    let foundation = [Verb::Network.into(), Verb::ReserveAddress.into()];
    let groups: Vec<StepId> = (next..)
        .zip(resized)
        .map(|(number, (group, change))| {
            let says = match size_now(observed, &group.name) {
                None => format!("create {} in {}", nodes(group.size), group.zone),
                Some(now) if now == group.size => {
                    format!("update the template of {}", group.name)
                }
                Some(now) => format!(
                    "resize from {now} to {} in {}",
                    nodes(group.size),
                    group.zone
                ),
            };
            let mut needs = foundation.to_vec();
            if !boots_early(&group.name) {
                needs.push(admit.clone());
            }
            if !change.leaving.is_empty() {
                needs.push(Verb::Drain.into());
            }
            // A kubelet may not be newer than the API servers.
            needs.extend(draft.all(Verb::Upgrade));
            let mut spec = group_spec(intent, group, number);
            spec.leaving.clone_from(&change.leaving);
            draft.add(
                Verb::Nodes.of(&group.name),
                says,
                Action::EnsureNodeGroup(spec),
                &needs,
            )
        })
        .collect();
    groups.into_iter().chain([admit]).collect()
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

fn delete_groups(changes: &[NodeChange], draft: &mut Draft) -> Vec<StepId> {
    let deleted = changes.iter();
    deleted
        .filter(|change| change.wanted.is_none())
        .map(|change| {
            let resource = ResourceId {
                kind: ResourceKind::NodeGroup,
                scope: Scope::Zone(change.zone.clone()),
                name: change.name.clone(),
            };
            draft.delete(resource, &[Verb::Drain.into()])
        })
        .collect()
}

/// Deletes templates that no group uses once the steps in `needs` are done.
fn delete_templates(
    intent: &Intent,
    observed: &Observed,
    wanted: &[NodeGroupPart],
    needs: &[StepId],
    draft: &mut Draft,
) {
    let stays = |name: &str| {
        wanted
            .iter()
            .any(|group| group.name == name && is_settled(intent, observed, group))
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
    needs: &[StepId],
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
            Verb::AwaitNodes,
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

/// Registered nodes whose machines are missing. Without a cloud controller, no other program removes them.
pub fn without_machine<'a>(intent: &Intent, observed: &'a Observed) -> Vec<&'a NodeView> {
    let inventory = &observed.inventory;
    if !inventory.unreachable.is_empty() {
        return Vec::new();
    }
    let groups = &inventory.node_groups;
    let machines: BTreeSet<&String> = groups.iter().flat_map(|group| &group.machines).collect();
    let stem = format!("{}-group-", intent.spec.names.minion());
    let is_ours = |name: &str| match &intent.spec.hosts {
        // An unreachable host may still be the node.
        Some(hosts) => {
            hosts.host(name).is_some() && !inventory.unreachable_machines.contains_key(name)
        }
        None => name.starts_with(&stem),
    };
    let nodes = observed.nodes.iter().flatten();
    nodes
        .filter(|node| !node.control_plane && is_ours(&node.name) && !machines.contains(&node.name))
        .collect()
}

fn forget_nodes(intent: &Intent, observed: &Observed, needs: &[StepId], draft: &mut Draft) {
    let gone: Vec<MachineRef> = without_machine(intent, observed)
        .into_iter()
        .map(|node| node.machine_ref())
        .collect();
    if !gone.is_empty() {
        draft.add(
            Verb::ForgetNodes,
            match gone.len() {
                1 => "delete a node whose machine is missing".to_owned(),
                count => format!("delete {count} nodes whose machines are missing"),
            },
            Action::ForgetNodes { nodes: gone },
            needs,
        );
    }
}

pub(super) fn group_spec(intent: &Intent, group: &NodeGroupPart, template: u32) -> NodeGroupSpec {
    let spec = &intent.spec;
    let nodes = &spec.node_machines;
    NodeGroupSpec {
        name: group.name.clone(),
        template: spec.names.node_template(template),
        size: group.size,
        leaving: Vec::new(),
        machine: MachineSpec {
            cluster: spec.mark(),
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
            // hakube doesn't log in on nodes.
            login: None,
        },
    }
}
