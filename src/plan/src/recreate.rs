//! Machines of node groups that can't be changed in place are replaced.

use super::id::{StepId, Verb};
use super::nodes::{NodeChange, group_spec, known_groups};
use super::step::{Action, Draft};
use super::{trust, upgrade};
use hakube_model::{Intent, Observed};
use hakube_provider::NodeGroupSpec;
use std::collections::BTreeSet;

/// Replaces the nodes that an upgrade or a rotation leaves behind and that hakube can't log in on, one at a time. The
/// replicas come first: no API server is older than a kubelet.
pub(super) fn plan(
    intent: &Intent,
    observed: &Observed,
    changes: &[NodeChange],
    draft: &mut Draft,
) -> Vec<StepId> {
    if !upgrade::reaches_all_replicas(intent, observed, draft)
        || !trust::reaches_all_replicas(intent, observed, draft)
    {
        return Vec::new();
    }
    let leaving: BTreeSet<&String> = changes.iter().flat_map(|change| &change.leaving).collect();
    let mut done = vec![
        Verb::AwaitEndpoint.into(),
        Verb::AdmitNodes.into(),
        Verb::Drain.into(),
    ];
    for verb in [Verb::Upgrade, Verb::FollowAuthorities, Verb::Nodes] {
        done.extend(draft.all(verb));
    }
    let mut steps = Vec::new();
    for group in known_groups(intent, observed) {
        let groups = &observed.inventory.node_groups;
        let Some(found) = groups.iter().find(|found| found.name == group.name) else {
            continue;
        };
        let spec = match draft.action(&Verb::Nodes.of(&group.name)) {
            Some(Action::EnsureNodeGroup(spec)) => NodeGroupSpec {
                leaving: Vec::new(),
                ..spec.clone()
            },
            _ => match intent.spec.names.node_template_number(&found.template) {
                Some(number) => group_spec(intent, &group, number),
                None => continue,
            },
        };
        let outdated = found.machines.iter().filter(|name| {
            intent.is_outdated(found, name, observed.node(name)) && !leaving.contains(name)
        });
        for node in outdated {
            let step = draft.add(
                Verb::Recreate.of(node),
                format!("replace node {node} by one from the group's present template"),
                Action::RecreateNode {
                    group: spec.clone(),
                    node: node.clone(),
                },
                &done,
            );
            done.push(step.clone());
            steps.push(step);
        }
    }
    steps
}
